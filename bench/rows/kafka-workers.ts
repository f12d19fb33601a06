import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { startServer } from '../../scripts/servers/index.ts'
import type { Engine } from '../../src/engine/index.ts'
import { deployment } from '../../src/index.ts'
import { kafka } from '../../src/kafka/index.ts'
import { postgres } from '../../src/postgres/index.ts'
import { orderMessages, partitionCount } from '../events.ts'
import { kafkaGround } from '../kafka-ground.ts'
import { inFlight, inTurn, ordersTopic, piecesOf } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { alternate } from '../statistics.ts'
import { takingGroup } from '../taking.ts'

const batch = 500
const lookMs = 10

async function run({ quick }: RowSettings): Promise<readonly Figure[]> {
  const count = quick ? 10_000 : 60_000
  await using ground = await kafkaGround()
  const { url } = (await startServer('postgres')).connection
  const next = inTurn(piecesOf(orderMessages(20_000), batch))
  const schemas: string[] = []
  let runs = 0
  const rateWith = async (workerCount: number): Promise<number> => {
    const prefix = `${ground.prefix}run-${runs}.`
    const schema = `bench_${process.pid}_${runs++}`
    const { brokers } = ground
    await using engine = await deployment({
      topics: kafka({ brokers, prefix }),
      store: postgres({ connection: url, schema }),
    }).open()
    for (const topic of [ordersTopic, 'taken']) await engine.topics.create(topic, { partitions: partitionCount })
    const workers = Array.from({ length: workerCount }, () => startWorker([brokers.join(), prefix, url, schema]))
    try {
      await areShared(engine, workerCount)
      const startMs = performance.now()
      await inFlight({ commits: count / batch, inFlight: 16 }, () =>
        engine.commit({ publish: [{ topic: ordersTopic, messages: next() }] }),
      )
      await areDone(engine)
      return (count * 1000) / (performance.now() - startMs)
    } finally {
      await Promise.all(workers.map(stopWorker))
      schemas.push(schema)
    }
  }
  const found = await alternate(quick ? 1 : 3, { one: () => rateWith(1), two: () => rateWith(2) })
  const database = new pg.Client(url)
  await database.connect()
  for (const schema of schemas) await database.query(`DROP SCHEMA ${schema} CASCADE`)
  await database.end()
  const notes = [
    'from the first publication until everything has arrived, with the broker and the database on this machine',
  ]
  return [
    { what: 'one worker', value: found.one, unit: 'messages/s', notes },
    { what: 'two workers', value: found.two, unit: 'messages/s', limit: { what: 'one worker', value: found.one } },
  ]
}

function startWorker(args: readonly string[]): ChildProcess {
  const program = new URL('../kafka-worker.ts', import.meta.url).pathname
  return spawn(process.execPath, [program, ...args], { stdio: ['pipe', 'inherit', 'inherit'] })
}

async function stopWorker(worker: ChildProcess): Promise<void> {
  const exited = worker.exitCode === null ? once(worker, 'exit') : undefined
  worker.stdin?.end()
  await exited
}

/** Resolves when each worker has its share of the partitions. */
async function areShared(engine: Engine, workerCount: number): Promise<void> {
  for (;;) {
    const { members = [], lag = [] } = (await engine.groups.describe(takingGroup)) ?? {}
    const isShared = members.every(({ claims }) => claims.length === partitionCount / workerCount)
    if (members.length === workerCount && isShared && lag.length === partitionCount) return
    await pause(lookMs)
  }
}

/** Resolves when all is handled and nothing is left in an outbox. */
async function areDone(engine: Engine): Promise<void> {
  for (;;) {
    const { lag = [] } = (await engine.groups.describe(takingGroup)) ?? {}
    if (lag.every(({ lagMessages }) => lagMessages === 0) && ((await engine.inTransit?.()) ?? []).length === 0) return
    await pause(lookMs)
  }
}

/** The same app in one process and in two. */
export const kafkaWorkers: BenchRow = { title: 'From one worker to two', run }
