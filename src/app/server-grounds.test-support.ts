import { afterAll, afterEach, beforeAll } from 'vitest'
import { deployment } from '../bridge/index.ts'
import type { EngineSource } from '../engine/index.ts'
import { kafka } from '../kafka/index.ts'
import { freshName, sharedServer } from '../kafka/real-server.test-support.ts'
import { sleep, systemClock } from '../kernel/index.ts'
import { postgres } from '../postgres/index.ts'
import { PushedClock } from '../postgres/pushed-clock.test-support.ts'
import { dropSchema, serverUrl } from '../postgres/real-server.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'

/** PostgreSQL, a schema for each place. Call it inside a `describe`, which then needs a real server. */
export function postgresGround(): AppGround {
  return groundOn(schemasOfServer())
}

/** Topics on Kafka and everything else in PostgreSQL. Call it inside a `describe`, which then needs real servers. */
export function bridgedGround(): AppGround {
  let brokers: readonly string[] = []
  beforeAll(async () => {
    brokers = (await sharedServer()).bootstrapBrokers
  }, 600_000)
  const store = schemasOfServer()
  return groundOn(() => {
    const prefix = `${freshName('ground')}.`
    return deployment({ topics: kafka({ brokers, prefix, heartbeatIntervalMs: 100 }), store: store() })
  })
}

function groundOn(place: () => EngineSource): AppGround {
  const source = (): EngineSource => onMachineTime(place())
  return {
    source,
    open: (environment) => source().open(environment),
    clock: () => new PushedClock(),
    pass: async (clock, holds) => {
      while (!(await holds())) {
        await clock.advance('20s')
        // What that set off asks the server.
        await sleep(5, systemClock)
      }
    },
    latenessMsMax: Number.POSITIVE_INFINITY,
    runs: (count) => Math.ceil(count / 5),
  }
}

/** An engine that goes by the machine's time: pushed forward, it would take its server for one that does not answer. */
function onMachineTime(source: EngineSource): EngineSource {
  return { ...source, open: ({ clock: _clock, ...environment } = {}) => source.open(environment) }
}

/** Schemas of the server that tests share, each gone after its test. */
function schemasOfServer(): () => EngineSource {
  let url = ''
  let count = 0
  const schemas: string[] = []
  const drop = async (): Promise<void> => {
    for (const schema of schemas.splice(0)) await dropSchema(url, schema)
  }
  beforeAll(async () => {
    url = await serverUrl()
  }, 600_000)
  afterEach(drop)
  afterAll(drop)
  return () => {
    const schema = `ground_${process.pid}_${count++}`
    schemas.push(schema)
    // Looking often costs a test server nothing and makes cases that wait for others short.
    return postgres({ connection: url, schema, pollMs: 20 })
  }
}
