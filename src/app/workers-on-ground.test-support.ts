import { rmSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  type KafkaConnection,
  type PostgresConnection,
  type RunningServer,
  startServer,
  stopServer,
} from '../../scripts/servers/index.ts'
import { sleep, systemClock } from '../kernel/index.ts'
import { TcpProxy } from '../kernel/tcp-proxy.test-support.ts'
import { placeAbove, serversWanted } from '../postgres/real-server.test-support.ts'
import { crashGrounds, stateFolder } from './fixtures/crash-handlers.ts'
import { faults, type Stage, seed, sessionMs } from './worker-faults.test-support.ts'
import { ledgerOf, Worker } from './workers.test-support.ts'

const workerCount = 3
const kafkaSettings = {
  'group.consumer.session.timeout.ms': String(sessionMs),
  'group.consumer.heartbeat.interval.ms': '200',
}
/** Longer than anything takes here, also where many tests run at once. */
const overdueMs = 120_000
const pause = (ms: number): Promise<void> => sleep(ms, systemClock)

/** Where an app is harmed. */
export interface HarmedGround {
  readonly ground: 'postgres' | 'kafka+postgres' | 'kafka'
  /** Above the shared servers: those of this ground may be killed, so they are nobody else's. */
  readonly portDistance: number
}

/** Tests that an app of several processes loses nothing on a ground and does nothing twice, whatever befalls it there. */
export function testWorkers({ ground, portDistance }: HarmedGround): void {
  const place = placeAbove(portDistance)
  const [hasBroker, hasDatabase] = [ground.includes('kafka'), ground.includes('postgres')]

  // Skipped because it needs real servers: `npm run test:engines` runs it.
  describe.skipIf(!serversWanted)('an app in three processes', () => {
    let kafka: RunningServer<KafkaConnection> | undefined
    let postgres: RunningServer<PostgresConnection> | undefined
    const closing: (() => Promise<unknown>)[] = []
    beforeAll(async () => {
      console.info(`an app in three processes on ${ground}: seed ${seed}`)
      if (hasBroker) kafka = await startServer('kafka', { ...place, settings: kafkaSettings, isBrief: true })
      if (hasDatabase) postgres = await startServer('postgres', place)
    }, 600_000)
    afterEach(async () => {
      for (const close of closing.splice(0).reverse()) await close()
    }, 120_000)
    afterAll(async () => {
      if (hasBroker) await stopServer('kafka', { ...place, deleteData: true })
      if (hasDatabase) await stopServer('postgres', { ...place, deleteData: true })
    }, 120_000)

    /** Starts the workers, whose connections go through proxies. */
    async function set(name: string): Promise<Stage> {
      const url = postgres?.connection.url ?? ''
      const { proxied = [], bootstrapBrokers = [] } = kafka?.connection ?? {}
      closing.push(async () => rmSync(stateFolder(name), { recursive: true, force: true }))
      const kept = <One extends AsyncDisposable>(one: One): One => {
        closing.push(async () => one[Symbol.asyncDispose]())
        return one
      }
      const databaseProxy = postgres && kept(await TcpProxy.to(postgres.connection.port))
      const proxies = databaseProxy ? [databaseProxy] : []
      for (const one of proxied) proxies.push(kept(await TcpProxy.to(one.upstreamPort, one.port)))
      const direct = { DATABASE_URL: url, KAFKA_BROKERS: bootstrapBrokers.join() }
      const engine = kept(
        await (crashGrounds[ground] as NonNullable<(typeof crashGrounds)[string]>)(name, direct).open(),
      )
      const servers = {
        DATABASE_URL: databaseProxy?.urlOf(url),
        KAFKA_BROKERS: proxied.map((one) => `127.0.0.1:${one.port}`).join(),
      }
      const workers = Array.from({ length: workerCount }, () => new Worker({ ground, name, servers }))
      closing.push(() => Promise.all(workers.map((worker) => worker.kill())))
      await Promise.all(workers.map((worker) => worker.start(1)))
      const [database, broker] = [postgres?.nodes[0], kafka?.nodes[0]]
      return { name, workers, engine, proxies, database, broker, brokers: bootstrapBrokers }
    }

    /** Resolves when each worker has published more than it had, and handlers have handled more. */
    async function goesOn({ workers, engine }: Stage): Promise<void> {
      const handledCount = async (): Promise<number> =>
        (await engine.topics.describe('payments'))?.partitions.reduce((sum, { latest }) => sum + latest, 0) ?? 0
      const published = workers.map(({ acknowledged }) => acknowledged)
      const handled = await handledCount()
      for (;;) {
        const faulty = workers.flatMap((worker) => worker.faults)
        expect(faulty, `seed ${seed}`).toEqual([])
        const isPublishing = workers.every((worker, i) => worker.acknowledged > (published[i] ?? 0))
        if (isPublishing && (await handledCount()) > handled) return
        await pause(50)
      }
    }

    let cases = 0
    const possible = faults.filter(({ needs }) => needs === undefined || ground.includes(needs))
    it.each(possible)(
      `loses nothing on ${ground} and does nothing twice when $name`,
      async ({ inflict, hopelessCount = () => 0 }) => {
        const stage = await set(`workers_${process.pid}_${cases++}`)
        await inTime('did not begin', stage, goesOn(stage))
        await inflict(stage)
        await inTime('did not go on', stage, goesOn(stage))
        await Promise.all(stage.workers.map((worker) => worker.kill()))
        const ledger = await inTime('did not finish', stage, ledgerOf(stage.engine, stage.workers))
        const [count = 0] = ledger.counts
        expect(count).toBeGreaterThan(0)
        expect(ledger, `seed ${seed}, ${JSON.stringify(ledger)}`).toEqual({
          faults: [],
          hopelessCount: hopelessCount(stage),
          lostCount: 0,
          disorder: [],
          wrongCauses: [],
          publishedTwice: [],
          counts: [count, count, count, count],
        })
      },
      400_000,
    )
  })
}

/** What does not come about is told with how everything stands. */
async function inTime<T>(what: string, { engine, workers }: Stage, work: Promise<T>): Promise<T> {
  const over = new AbortController()
  const overdue = sleep(overdueMs, systemClock, over.signal).then(async () => {
    const groups = await Promise.all((await engine.groups.list()).map((group) => engine.groups.describe(group)))
    const published = workers.map(({ acknowledged }) => acknowledged)
    const standing = { published, inTransit: await engine.inTransit?.(), groups }
    throw new Error(`seed ${seed}: ${what}: ${JSON.stringify(standing)}`)
  })
  overdue.catch(() => undefined)
  return Promise.race([work, overdue]).finally(() => over.abort())
}
