import { Producer } from '@platformatic/kafka'
import type { ServerNode } from '../../scripts/servers/index.ts'
import type { Engine } from '../engine/index.ts'
import { SeededRandom, sleep, systemClock, systemRandom } from '../kernel/index.ts'
import type { TcpProxy } from '../kernel/tcp-proxy.test-support.ts'
import { crashApp } from './fixtures/crash-handlers.ts'
import type { Worker } from './workers.test-support.ts'

/** Who is not heard of for so long has lost its partitions, in milliseconds. */
export const sessionMs = 2000

/** From which the moments and the victims of all faults come. */
export const seed: number = systemRandom.nextUint32()
const random = new SeededRandom(seed)
const pause = (ms: number): Promise<void> => sleep(ms, systemClock)

/** What there is to harm. */
export interface Stage {
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

export interface Fault {
  readonly name: string
  readonly needs?: 'kafka' | 'postgres'
  readonly inflict: (stage: Stage) => Promise<void>
  /** Dead letters that nothing brings to life. Default 0. */
  readonly hopelessCount?: (stage: Stage) => number
}

export const faults: readonly Fault[] = [
  {
    name: 'processes are killed, and stopped for longer than a session',
    inflict: async ({ workers }) => {
      for (let fault = 0; fault < 3; fault++) {
        await pause(200 + random.nextFloat() * 1000)
        const worker = workers[random.nextUint32() % workers.length] as Worker
        if (fault === 1) {
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
      for (let round = 0; round < 5; round++) {
        await pause(300 + random.nextFloat() * 1000)
        for (const proxy of proxies) if (random.nextFloat() < 0.7) proxy.cut()
      }
    },
  },
  {
    name: 'answers take their time, more and less',
    inflict: async ({ proxies }) => {
      for (const ms of [20, 100, 0]) {
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
        for (let round = 0; round < 4; round++) {
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
