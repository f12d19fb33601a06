import { rmSync } from 'node:fs'
import { Producer } from '@platformatic/kafka'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  type KafkaConnection,
  type PostgresConnection,
  type RunningServer,
  type ServerNode,
  startServer,
  stopServer,
} from '../../scripts/servers/index.ts'
import type { Engine } from '../engine/index.ts'
import { SeededRandom, sleep, systemClock, systemRandom } from '../kernel/index.ts'
import { placeAbove, serversWanted } from '../postgres/real-server.test-support.ts'
import { TcpProxy } from '../postgres/tcp-proxy.test-support.ts'
import { crashApp, crashGrounds, stateFolder } from './fixtures/crash-handlers.ts'
import { ledgerOf, Worker } from './workers.test-support.ts'

const workerCount = 3
/** Who is not heard of for so long has lost its partitions, in milliseconds. */
const sessionMs = 2000
/** Servers that these tests may harm. */
const place = placeAbove(5500)
const kafkaSettings = {
  'group.consumer.session.timeout.ms': String(sessionMs),
  'group.consumer.heartbeat.interval.ms': '200',
}

const seed = systemRandom.nextUint32()
const random = new SeededRandom(seed)
const pause = (ms: number): Promise<void> => sleep(ms, systemClock)

/** What there is to harm. */
interface Stage {
  readonly name: string
  readonly workers: readonly Worker[]
  readonly engine: Engine
  /** Between the workers and each server. */
  readonly proxies: readonly TcpProxy[]
  /** Where the ground has a database. */
  readonly database: ServerNode | undefined
  /** Where the ground has brokers. */
  readonly broker: ServerNode | undefined
  readonly brokers: readonly string[]
}

interface Fault {
  readonly name: string
  readonly needs?: 'kafka' | 'postgres'
  readonly inflict: (stage: Stage) => Promise<void>
  /** Dead letters that nothing brings to life. Default 0. */
  readonly hopelessCount?: (stage: Stage) => number
}

const faults: readonly Fault[] = [
  {
    name: 'processes are killed, and stopped for longer than a session',
    inflict: async ({ workers }) => {
      for (let fault = 0; fault < 6; fault++) {
        await pause(200 + random.nextFloat() * 1000)
        const worker = workers[random.nextUint32() % workerCount] as Worker
        if (fault % 3 === 2) {
          worker.signal('SIGSTOP')
          await pause(sessionMs * 1.75)
          worker.signal('SIGCONT')
        } else {
          await worker.kill()
          await worker.start(fault + 2)
        }
      }
    },
  },
  {
    name: 'the broker is killed and started',
    needs: 'kafka',
    inflict: async ({ broker }) => killAndStart(broker as ServerNode),
  },
  {
    name: 'the broker does not answer for longer than a session',
    needs: 'kafka',
    inflict: async ({ broker }) => stopAndGoOn(broker as ServerNode),
  },
  {
    name: 'the database is killed and started',
    needs: 'postgres',
    inflict: async ({ database }) => killAndStart(database as ServerNode),
  },
  {
    name: 'the database does not answer for longer than a session',
    needs: 'postgres',
    inflict: async ({ database }) => stopAndGoOn(database as ServerNode),
  },
  {
    name: 'connections are cut again and again',
    inflict: async ({ proxies }) => {
      for (let round = 0; round < 8; round++) {
        await pause(300 + random.nextFloat() * 1000)
        for (const proxy of proxies) if (random.nextFloat() < 0.7) proxy.cut()
      }
    },
  },
  {
    name: 'answers take their time, more and less',
    inflict: async ({ proxies }) => {
      for (const ms of [20, 100, 0, 50, 0]) {
        for (const proxy of proxies) proxy.delay(ms)
        await pause(1500)
      }
    },
  },
  {
    name: 'connections stay open and nothing comes through any more',
    inflict: async ({ proxies }) => {
      for (const proxy of proxies) {
        proxy.silence()
        await pause(500)
      }
    },
  },
  {
    name: 'members join and leave all the time',
    inflict: async ({ engine }) => {
      const comeAndGo = async (): Promise<void> => {
        for (let round = 0; round < 6; round++) {
          await using _member = await crashApp(100 + round, engine).start({ engine, sessionTimeout: '2s' })
          await pause(random.nextFloat() * 600)
        }
      }
      await Promise.all([comeAndGo(), comeAndGo()])
    },
  },
  {
    name: 'there are records that nobody can read',
    inflict: async ({ engine, brokers, name }) => {
      const value = 'no event at all'
      for (const key of ['k3', 'k7']) await engine.commit({ publish: [{ topic: 'orders', records: [{ key, value }] }] })
      for (const bootstrapBroker of brokers) await publishBomb(bootstrapBroker, `${name}.orders`)
    },
    // Two handlers read them.
    hopelessCount: ({ brokers }) => (2 + brokers.length) * 2,
  },
]

async function killAndStart(server: ServerNode): Promise<void> {
  for (let round = 0; round < 2; round++) {
    await pause(500 + random.nextFloat() * 1000)
    await server.kill()
    await server.start()
  }
}

async function stopAndGoOn(server: ServerNode): Promise<void> {
  await pause(500 + random.nextFloat() * 500)
  await server.pause()
  await pause(sessionMs * 1.75)
  await server.resume()
}

/** A batch of some 500 KB that would be more than 128 MiB. */
async function publishBomb(bootstrapBroker: string, topic: string): Promise<void> {
  const producer = new Producer({ clientId: 'foreign', bootstrapBrokers: [bootstrapBroker], compression: 'lz4' })
  await producer.send({ messages: [{ topic, value: Buffer.alloc(129 * 1024 * 1024) }], acks: -1 })
  await producer.close()
}

// Skipped because it needs real servers: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('an app in three processes', () => {
  let kafka: RunningServer<KafkaConnection>
  let postgres: RunningServer<PostgresConnection>
  const closing: (() => Promise<unknown>)[] = []
  beforeAll(async () => {
    console.info(`an app in three processes: seed ${seed}`)
    kafka = await startServer('kafka', { ...place, settings: kafkaSettings })
    postgres = await startServer('postgres', place)
  }, 600_000)
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  }, 120_000)
  afterAll(async () => {
    await stopServer('kafka', { ...place, deleteData: true })
    await stopServer('postgres', { ...place, deleteData: true })
  }, 120_000)

  /** Starts the workers, whose connections go through proxies. */
  async function set(ground: string, name: string): Promise<Stage> {
    const { url, port } = postgres.connection
    const { proxied, bootstrapBrokers } = kafka.connection
    const [hasBroker, hasDatabase] = [ground.includes('kafka'), ground.includes('postgres')]
    closing.push(async () => rmSync(stateFolder(name), { recursive: true, force: true }))
    const kept = <One extends AsyncDisposable>(one: One): One => {
      closing.push(async () => one[Symbol.asyncDispose]())
      return one
    }
    const databaseProxy = kept(await TcpProxy.to(port))
    const proxies = hasDatabase ? [databaseProxy] : []
    for (const one of hasBroker ? proxied : []) proxies.push(kept(await TcpProxy.to(one.upstreamPort, one.port)))
    const direct = { DATABASE_URL: url, KAFKA_BROKERS: bootstrapBrokers.join() }
    const engine = kept(await (crashGrounds[ground] as NonNullable<(typeof crashGrounds)[string]>)(name, direct).open())
    const servers = {
      DATABASE_URL: databaseProxy.urlOf(url),
      KAFKA_BROKERS: proxied.map((one) => `127.0.0.1:${one.port}`).join(),
    }
    const workers = Array.from({ length: workerCount }, () => new Worker({ ground, name, servers }))
    closing.push(() => Promise.all(workers.map((worker) => worker.kill())))
    await Promise.all(workers.map((worker) => worker.start(1)))
    const database = hasDatabase ? postgres.nodes[0] : undefined
    const broker = hasBroker ? kafka.nodes[0] : undefined
    return { name, workers, engine, proxies, database, broker, brokers: hasBroker ? bootstrapBrokers : [] }
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
  for (const ground of ['postgres', 'kafka+postgres', 'kafka']) {
    const possible = faults.filter(({ needs }) => needs === undefined || ground.includes(needs))
    it.each(possible)(
      `loses nothing on ${ground} and does nothing twice when $name`,
      async ({ inflict, hopelessCount = () => 0 }) => {
        const stage = await set(ground, `workers_${process.pid}_${cases++}`)
        await goesOn(stage)
        await inflict(stage)
        await goesOn(stage)
        await Promise.all(stage.workers.map((worker) => worker.kill()))
        const ledger = await ledgerOf(stage.engine, stage.workers)
        const [count = 0] = ledger.counts
        expect(count).toBeGreaterThan(0)
        expect(ledger, `seed ${seed}, ${JSON.stringify(ledger)}`).toEqual({
          faults: [],
          hopelessCount: hopelessCount(stage),
          lostCount: 0,
          disorder: [],
          wrongCauses: [],
          counts: [count, count, count, count],
        })
      },
      400_000,
    )
  }
})
