import { afterAll, beforeAll, describe, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { type ConformanceCase, conformanceCases, type Ground, runCase, verdictOf } from '../engine/conformance/index.ts'
import type { Engine, EngineSource } from '../engine/index.ts'
import { kafka } from '../kafka/index.ts'
import { sharedServer } from '../kafka/real-server.test-support.ts'
import { postgres } from '../postgres/index.ts'
import { dropSchema, serversWanted, serverUrl } from '../postgres/real-server.test-support.ts'
import { deployment } from './index.ts'

/** All cases share one engine until one of them closes it. */
function lastingGroundOn(source: () => EngineSource): Ground {
  let kept: Engine | undefined
  return {
    open: async () => {
      const isOpen = await kept?.timers.nextDueMs('anybody').then(
        () => true,
        () => false,
      )
      if (isOpen === true && kept !== undefined) return kept
      await kept?.close()
      kept = await source().open()
      return kept
    },
    release: async () => {},
  }
}

interface Topics {
  readonly name: string
  /** Of brokers that `prepare` has found. */
  source(): EngineSource
  prepare(): Promise<void>
  /** Cases that suppose what these topics do not do, with the reason. */
  readonly reasons: Readonly<Record<string, string>>
}

/** A case that stops the engine finds new topics beside an old store. */
const inMemory: Topics = {
  name: 'the embedded engine',
  source: () => embedded({ path: ':memory:' }),
  prepare: async () => {},
  reasons: {},
}

let brokers: readonly string[] = ['127.0.0.1:9']
const onKafka: Topics = {
  name: 'Kafka',
  // Asking often costs a test server nothing and makes cases that wait for others short.
  source: () => kafka({ brokers, prefix: `bridge-${process.pid}.`, heartbeatIntervalMs: 100 }),
  prepare: async () => {
    brokers = (await sharedServer()).bootstrapBrokers
  },
  reasons: {
    'topics: names that Kafka refuses are refused, the longest one is not':
      'the longest name has no room for a prefix; the run of the Kafka engine without one has this case',
    'topics: a partition count that is no whole number from 1 to 1,000 is refused':
      'a thousand partitions take one broker some ten seconds; the run of the Kafka engine alone has this case',
    'retention: a bound in bytes drops the oldest and keeps the newest, in each partition':
      'brokers apply retention in their own time, to whole segments; maintain() does not hurry them',
    'parallel: beside compaction, readers see values of a key in their order, and never miss the last one':
      'brokers compact in their own time; maintain() does not hurry them',
  },
}

// Skipped because it needs real servers: `npm run test:engines` runs it.
describe.skipIf(!serversWanted).each([inMemory, onKafka])('$name and PostgreSQL as one', (topics) => {
  const schema = `bridge_${topics === onKafka ? 'kafka' : 'memory'}_${process.pid}`
  let url = 'postgres://nobody@localhost/nothing'
  const source = (): EngineSource =>
    deployment({ topics: topics.source(), store: postgres({ connection: url, schema, pollMs: 20 }) })
  const { capabilities } = source()
  const verdictOn = (one: ConformanceCase): true | string =>
    topics.reasons[one.name] ?? verdictOf(one, { capabilities, movesTime: false })

  beforeAll(async () => {
    url = await serverUrl()
    await topics.prepare()
  }, 600_000)
  const ground = lastingGroundOn(source)
  afterAll(async () => {
    await (await ground.open()).close()
    await dropSchema(url, schema)
  })

  for (const one of conformanceCases) {
    const verdict = verdictOn(one)
    it(`${one.name}`, async (context) => {
      if (verdict !== true) context.skip(verdict)
      await runCase(one, ground)
    }, 60_000)
  }
})
