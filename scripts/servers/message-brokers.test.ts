import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { firstAnswer } from './first-answer.ts'
import { startServer, stopServer } from './index.ts'

// Other servers than those that `npm run servers` starts by itself, so that nobody's are killed by these tests.
const place = { portBase: 21_600 }
const serversWanted = process.env['MILLRACE_REAL_SERVERS'] === '1'
const names = ['rabbitmq', 'nats', 'redis'] as const

// Skipped because it installs and runs servers: `npm run test:servers` does, `npm test` does not.
describe.skipIf(!serversWanted)('message brokers', () => {
  afterAll(async () => {
    for (const name of names) await stopServer(name, { ...place, deleteData: true })
  }, 120_000)

  it.each(names)(
    '%s is started, killed, paused and stopped, with all its processes',
    { timeout: 600_000 },
    async (name) => {
      await stopServer(name, { ...place, deleteData: true })
      const server = await startServer(name, place)
      const [node] = server.nodes
      await node?.kill()
      expect([node?.state(), await node?.answers()]).toEqual(['stopped', false])
      await node?.start()
      await node?.pause()
      expect(await node?.answers()).toBe(false)
      await node?.resume()
      await node?.waitUntilAnswering()
      await server.stop()
      expect(node?.state()).toBe('stopped')
      // Nothing that it started outlives it, such as the port mapper of Erlang.
      expect(commandLinesWith(`/${place.portBase}/${name}-1/`)).toEqual([])
      await node?.start()
      expect(await node?.answers()).toBe(true)
    },
  )

  it('Redis keeps what it acknowledged when it is killed', { timeout: 600_000 }, async () => {
    const redis = await startServer('redis', place)
    const { port, password } = redis.connection
    const ask = (command: string): Promise<string> =>
      firstAnswer(port, `AUTH ${password}\r\n${command}\r\n`, /\+OK\r\n(.*\r\n)+/)
    expect(await ask('SET k v')).toBe('+OK\r\n+OK\r\n')
    await redis.nodes[0]?.kill()
    await redis.nodes[0]?.start()
    expect(await ask('GETRANGE k 0 9')).toContain('v\r\n')
  })
})

/** Processes in whose arguments or environment something stands. */
function commandLinesWith(text: string): string[] {
  const found: string[] = []
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8') + readFileSync(`/proc/${pid}/environ`, 'utf8')
      if (line.includes(text)) found.push(line.slice(0, 200))
    } catch {
      // It has just ended, or is somebody else's.
    }
  }
  return found
}
