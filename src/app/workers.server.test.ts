import { type ChildProcess, spawn } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SeededRandom, sleep, systemClock, systemRandom } from '../kernel/index.ts'
import { postgres } from '../postgres/index.ts'
import { dropSchema, serversWanted, serverUrl } from '../postgres/real-server.test-support.ts'
import { numbersByKey } from './app.test-support.ts'
import { crashApp, perKey } from './fixtures/crash-handlers.ts'

const workerCount = 3
const faultCount = 8

/** One process of the app, which publishes and handles until it is killed; a new one takes its place. */
class Worker {
  acknowledged = 0
  #child: ChildProcess | undefined
  readonly #schema: string
  readonly #url: string

  constructor(schema: string, url: string) {
    this.#schema = schema
    this.#url = url
  }

  /** Resolves when it runs. */
  async start(run: number): Promise<void> {
    const program = new URL('./fixtures/crash-app.ts', import.meta.url).pathname
    const child = spawn(process.execPath, [program, this.#schema, String(run), 'postgres'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, DATABASE_URL: this.#url },
    })
    this.#child = child
    const ready = Promise.withResolvers<void>()
    let rest = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line === 'ready') ready.resolve()
        this.acknowledged += Number(/^published (\d+)$/.exec(line)?.[1] ?? 0)
      }
    })
    child.on('exit', () => ready.resolve())
    await ready.promise
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await exited
  }
}

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('an app in three processes on PostgreSQL', () => {
  const schema = `workers_${process.pid}`
  let url = ''
  beforeAll(async () => {
    url = await serverUrl()
  }, 600_000)
  afterAll(() => dropSchema(url, schema))

  it('loses nothing and does nothing twice, whoever is killed or stopped for a while', {
    timeout: 240_000,
  }, async () => {
    const random = new SeededRandom(systemRandom.nextUint32())
    const workers = Array.from({ length: workerCount }, () => new Worker(schema, url))
    await Promise.all(workers.map((worker) => worker.start(1)))
    for (let fault = 0; fault < faultCount; fault++) {
      await sleep(200 + random.nextFloat() * 1000, systemClock)
      const worker = workers[random.nextUint32() % workerCount] as Worker
      if (fault % 4 === 3) {
        // Longer than a session: when it wakes up, its partitions belong to others.
        worker.signal('SIGSTOP')
        await sleep(3500, systemClock)
        worker.signal('SIGCONT')
      } else {
        await worker.kill()
        await worker.start(fault + 2)
      }
    }
    await Promise.all(workers.map((worker) => worker.kill()))
    await using engine = await postgres({ connection: url, schema, pollMs: 50 }).open()
    await using running = await crashApp(0).start({ engine, sessionTimeout: '2s' })
    await running.idle()
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(await running.deadLetters.count(), `seed ${random.seed}`).toBe(0)
    const placed = Object.values(await numbersByKey(engine, 'orders')).flat().length
    const acknowledged = workers.reduce((sum, worker) => sum + worker.acknowledged, 0)
    expect(acknowledged, `seed ${random.seed}`).toBeGreaterThan(0)
    expect(placed, `seed ${random.seed}`).toBeGreaterThanOrEqual(acknowledged)
    for (const topic of ['payments', 'shipments']) {
      const byKey = await numbersByKey(engine, topic)
      // Each message had its effect once and in order: the counts that were published have no gap and no double.
      for (const numbers of Object.values(byKey))
        expect(numbers, `seed ${random.seed}`).toEqual(numbers.map((_, index) => index))
      expect(Object.values(byKey).flat(), `seed ${random.seed}`).toHaveLength(placed)
    }
    let viewed = 0
    for await (const { value } of running.view(perKey).list()) viewed += value
    expect(viewed, `seed ${random.seed}`).toBe(placed)
  })
})
