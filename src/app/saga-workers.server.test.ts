import { type ChildProcess, spawn } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sharedServer } from '../kafka/real-server.test-support.ts'
import { sleep, systemClock } from '../kernel/index.ts'
import { dropSchema, serversWanted, serverUrl } from '../postgres/real-server.test-support.ts'
import { SagaDesk } from '../saga/index.ts'
import { messagesOf, temporaryFolder } from './app.test-support.ts'
import { crashGrounds, type ServerAddresses } from './fixtures/crash-handlers.ts'
import { ledgerLines, ledgerSummary, wantedLedger } from './saga-ledger.test-support.ts'

const instanceCount = 300
/** Longer than a session of the processes. */
const absentMs = 5000

// Skipped because it needs real servers: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('sagas in three processes', () => {
  let servers: ServerAddresses = {}
  const processes: ChildProcess[] = []
  const names = ['postgres', 'kafka+postgres'].map((ground, n) => ({ ground, name: `sagas_${process.pid}_${n}` }))
  beforeAll(async () => {
    const [DATABASE_URL, { bootstrapBrokers }] = await Promise.all([serverUrl(), sharedServer()])
    // A session of the brokers that tests share lasts 45 s by itself.
    servers = { DATABASE_URL, KAFKA_BROKERS: bootstrapBrokers.join(','), KAFKA_GROUP_PROTOCOL: 'classic' }
  }, 600_000)
  afterAll(async () => {
    for (const one of processes) one.kill('SIGKILL')
    for (const { name } of names) await dropSchema(servers['DATABASE_URL'] ?? '', name)
  })

  function start(ground: string, name: string, run: number, ledger: string): ChildProcess {
    const program = new URL('./fixtures/saga-crash-app.ts', import.meta.url).pathname
    const args = [program, name, String(run), ground, ledger, String(instanceCount)]
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, ...servers },
    })
    processes.push(child)
    return child
  }

  it.each(names)(
    'on $ground are taken over from those that die or stop',
    { timeout: 240_000 },
    async ({ ground, name }) => {
      using folder = temporaryFolder()
      const ledger = folder.path('ledger.txt')
      const happened = async (count: number): Promise<void> => {
        while (ledgerLines(ledger).length < count) await sleep(20, systemClock)
      }
      const [first, second, third] = [1, 2, 3].map((run) => start(ground, name, run, ledger))
      await happened(50)
      first?.kill('SIGKILL')
      await happened(150)
      // When it wakes up, its instances belong to others, and it writes nothing more.
      second?.kill('SIGSTOP')
      await sleep(absentMs, systemClock)
      second?.kill('SIGCONT')
      await using engine = await crashGrounds[ground]?.(name, servers).open()
      const desk = new SagaDesk(engine as NonNullable<typeof engine>, 'crash', 'ledger')
      const ended = (): ReturnType<typeof desk.list> =>
        desk.list({ status: ['completed', 'compensated'], limit: instanceCount })
      while ((await ended()).length < instanceCount) await sleep(200, systemClock)
      // What they publish may still be on its way to the topics.
      const completed = Array.from({ length: instanceCount }, (_, n) => n).filter((n) => n % 3 !== 0)
      const shipped = async (): Promise<readonly number[]> =>
        (await messagesOf(engine as NonNullable<typeof engine>, 'shipments')).map(({ data }) => data.n)
      while ((await shipped()).length < completed.length) await sleep(200, systemClock)
      for (const one of [second, third]) one?.kill('SIGKILL')
      expect([...(await shipped())].sort((a, b) => a - b)).toEqual(completed)
      expect(await desk.list({ status: 'parked' })).toEqual([])
      expect(ledgerSummary(ledger, instanceCount)).toEqual(wantedLedger(instanceCount))
    },
  )
})
