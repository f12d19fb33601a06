import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startServer, stopServer } from '../../scripts/servers/index.ts'
import type { Engine, GroupDescription } from '../engine/index.ts'
import { SeededRandom, sleep, systemClock, systemRandom } from '../kernel/index.ts'
import type { WorkerNews, WorkerOrders } from './fixtures/group-worker.ts'
import { type PostgresEngine, postgres } from './index.ts'
import { dropSchema, placeAbove, serversWanted, serverUrl } from './real-server.test-support.ts'

const workerPath = fileURLToPath(new URL('./fixtures/group-worker.ts', import.meta.url))
const schema = `chaos_${process.pid}`
/** A server that these tests may kill, and no others use. */
const placeToKill = placeAbove(5000)
const partitions = 8
const outPartitions = 4
const keyCount = 24

/** A process with members, and what it has said. */
class Worker {
  readonly news: WorkerNews[] = []
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  complaint = ''

  constructor(orders: WorkerOrders) {
    const child = spawn(process.execPath, [workerPath, JSON.stringify(orders)], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.#exited = once(child, 'exit')
    createInterface({ input: child.stdout }).on('line', (line) => this.news.push(JSON.parse(line) as WorkerNews))
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.complaint += text
    })
  }

  count(kind: WorkerNews['kind']): number {
    return this.news.filter((one) => one.kind === kind).length
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  /** What has gone wrong in it beside what the test did to it. */
  get faults(): readonly unknown[] {
    return [...this.news.filter(({ kind }) => kind === 'failed'), ...(this.complaint === '' ? [] : [this.complaint])]
  }
}

/** One input, one output and one group of a case. */
class Ledger {
  readonly from: string
  readonly to: string
  readonly group: string
  readonly #engine: Engine
  #published = 0

  constructor(engine: Engine, name: string) {
    this.#engine = engine
    this.from = `${name}-in`
    this.to = `${name}-out`
    this.group = name
  }

  async create(): Promise<void> {
    await this.#engine.topics.create(this.from, { partitions })
    await this.#engine.topics.create(this.to, { partitions: outPartitions })
  }

  /** Publishes records, each with the next number, in commits of a few. */
  async publish(count: number): Promise<void> {
    for (const end = this.#published + count; this.#published < end; ) {
      const size = Math.min(10, end - this.#published)
      const records = Array.from({ length: size }, (_, i) => {
        const number = this.#published + i
        return { key: `key ${number % keyCount}`, value: String(number) }
      })
      await this.#engine.commit({ publish: [{ topic: this.from, records }] })
      this.#published += size
    }
  }

  async handledCount(): Promise<number> {
    const description = await this.#engine.topics.describe(this.to)
    return description?.partitions.reduce((sum, { latest }) => sum + latest, 0) ?? 0
  }

  async untilHandled(count: number): Promise<void> {
    while ((await this.handledCount()) < count) await sleep(20, systemClock)
  }

  /** What is wrong with how the records were handled, once as many are handled as there are. */
  async audit(): Promise<Audit> {
    await this.untilHandled(this.#published)
    const counts = Array.from({ length: this.#published }, () => 0)
    const last = new Map<string, number>()
    const outOfOrder: number[] = []
    for (let partition = 0; partition < outPartitions; partition++) {
      for (let offset = 0; ; ) {
        const page = await this.#engine.topics.read({ topic: this.to, partition, offset })
        for (const record of page.records) {
          const number = record.kind === 'undecodable' ? Number(Buffer.from(record.value).toString()) : Number.NaN
          if (number <= (last.get(String(record.key)) ?? -1)) outOfOrder.push(number)
          last.set(String(record.key), number)
          counts[number] = (counts[number] ?? 0) + 1
        }
        offset = page.nextOffset
        if (offset >= page.latest) break
      }
    }
    const lag = (await this.#engine.groups.describe(this.group))?.lag ?? []
    const numbers = [...counts.keys()]
    return {
      lost: numbers.filter((number) => counts[number] === 0),
      doubled: numbers.filter((number) => (counts[number] ?? 0) > 1),
      outOfOrder,
      lagMessages: lag.reduce((sum, one) => sum + one.lagMessages, 0),
    }
  }
}

interface Audit {
  readonly lost: readonly number[]
  readonly doubled: readonly number[]
  readonly outOfOrder: readonly number[]
  readonly lagMessages: number
}

const exact: Audit = { lost: [], doubled: [], outOfOrder: [], lagMessages: 0 }

// Skipped because these need a server, which only a run that asks for servers starts.
describe.skipIf(!serversWanted)('members in several processes', () => {
  let url = ''
  let engine: PostgresEngine
  const workers = new Set<Worker>()
  const seed = systemRandom.nextUint32()
  const random = new SeededRandom(seed)

  beforeAll(async () => {
    url = await serverUrl()
    engine = await postgres({ connection: url, schema, pollMs: 50 }).open()
    console.info(`members in several processes: seed ${seed}`)
  }, 600_000)
  afterEach(async () => {
    await Promise.all([...workers].map((worker) => worker.kill()))
    workers.clear()
  })
  afterAll(async () => {
    await engine?.close()
    await dropSchema(url, schema)
  })

  async function ledgerOf(name: string): Promise<Ledger> {
    const ledger = new Ledger(engine, name)
    await ledger.create()
    return ledger
  }

  function start({ from, to, group }: Ledger, orders: Partial<WorkerOrders> = {}): Worker {
    const usual = {
      url,
      schema,
      group,
      from,
      to,
      sessionTimeoutMs: 1_500,
      handleMs: 0,
      memberCount: 1,
      isRestless: false,
    }
    const worker = new Worker({ ...usual, ...orders })
    workers.add(worker)
    return worker
  }

  /** Waits, but not for what a worker that failed can no longer bring about. */
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) {
      const faults = [...workers].flatMap((worker) => worker.faults)
      if (faults.length > 0) throw new TypeError(JSON.stringify(faults))
      await sleep(10, systemClock)
    }
  }

  it('take over what a dead process had long before its session would have ended', async () => {
    const ledger = await ledgerOf('dead')
    const victim = start(ledger, { sessionTimeoutMs: 600_000 })
    await until(() => victim.count('assigned') > 0)
    const heir = start(ledger, { sessionTimeoutMs: 600_000 })
    await until(() => heir.count('assigned') > 0)
    await ledger.publish(100)
    await victim.kill()
    await ledger.publish(100)
    expect(await ledger.audit()).toEqual(exact)
  }, 120_000)

  it('handle everything once, in the order of keys, however often they are killed', async () => {
    const ledger = await ledgerOf('killed')
    const running = [start(ledger), start(ledger), start(ledger)]
    const all = [...running]
    const publishing = ledger.publish(4000)
    let killedAtWork = 0
    for (let round = 0; round < 6; round++) {
      await until(() => running.every((worker) => worker.count('assigned') > 0))
      await sleep(200 + random.nextFloat() * 400, systemClock)
      const at = Math.floor(random.nextFloat() * running.length)
      const before = await ledger.handledCount()
      await (running[at] as Worker).kill()
      if ((await ledger.handledCount()) > before) killedAtWork++
      const next = start(ledger)
      all.push(next)
      running[at] = next
    }
    await publishing
    await ledger.publish(500)
    expect(await ledger.audit()).toEqual(exact)
    expect(all.flatMap((worker) => worker.faults)).toEqual([])
    expect(killedAtWork).toBeGreaterThan(0)
  }, 120_000)

  it('cannot commit what they were at when they wake up after their session', async () => {
    const ledger = await ledgerOf('stopped')
    const [sleeper, other] = [start(ledger, { handleMs: 25 }), start(ledger, { handleMs: 25 })]
    await until(() => sleeper.count('assigned') > 0 && other.count('assigned') > 0)
    for (let round = 1; round <= 3; round++) {
      await ledger.publish(600)
      await ledger.untilHandled((round - 1) * 600 + 50)
      const [lost, assigned] = [sleeper.count('lost'), sleeper.count('assigned')]
      sleeper.signal('SIGSTOP')
      // The other one takes over while it sleeps.
      const isAlone = async (): Promise<boolean> => {
        const { members } = (await engine.groups.describe(ledger.group)) as GroupDescription
        return members.length === 1 && members[0]?.claims.length === partitions
      }
      while (!(await isAlone())) await sleep(50, systemClock)
      sleeper.signal('SIGCONT')
      // It is told, and then comes back by itself.
      await until(() => sleeper.count('lost') > lost && sleeper.count('assigned') > assigned)
    }
    expect(sleeper.count('fenced')).toBeGreaterThan(0)
    expect(await ledger.audit()).toEqual(exact)
    expect([...sleeper.faults, ...other.faults]).toEqual([])
  }, 120_000)

  it('handle everything once while all of them come and go all the time', async () => {
    const ledger = await ledgerOf('storm')
    const storm = [0, 1, 2].map(() => start(ledger, { memberCount: 4, isRestless: true }))
    await ledger.publish(3000)
    const killed = storm[0] as Worker
    await ledger.untilHandled(500)
    await killed.kill()
    expect(await ledger.audit()).toEqual(exact)
    expect(storm.flatMap((worker) => worker.faults)).toEqual([])
    const handovers = storm.reduce((sum, worker) => sum + worker.count('assigned'), 0)
    expect(handovers).toBeGreaterThan(20)
  }, 120_000)

  it('go on by themselves when the server was killed and started again', async () => {
    const server = await startServer('postgres', placeToKill)
    const [node] = server.nodes
    const killedUrl = server.connection.url
    const own = await postgres({ connection: killedUrl, schema, pollMs: 50 }).open()
    try {
      const ledger = new Ledger(own, 'restarted')
      await ledger.create()
      const all = [0, 1, 2].map(() => start(ledger, { url: killedUrl, handleMs: 2 }))
      const publishing = ledger.publish(3000)
      for (let kills = 0; kills < 2; kills++) {
        await ledger.untilHandled(300 * (kills + 1))
        await node?.kill()
        await node?.start()
        await server.waitUntilReady()
      }
      await publishing
      expect(await ledger.audit()).toEqual(exact)
      expect(all.flatMap((worker) => worker.faults)).toEqual([])
      await Promise.all(all.map((worker) => worker.kill()))
    } finally {
      await own.close()
      await stopServer('postgres', { ...placeToKill, deleteData: true })
    }
  }, 600_000)
})
