import { afterAll, beforeAll, beforeEach } from 'vitest'
import { z } from 'zod'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import { sleep, systemClock } from '../kernel/index.ts'
import { type EventDefinition, event, type Message } from '../message/index.ts'
import { TestDatabase } from './database.test-support.ts'
import { createOutbox, outbox } from './index.ts'

/** What is put in: of each key the numbers from 0 on. */
interface Count {
  readonly key: string
  readonly n: number
  readonly filler?: string | undefined
}

const Counted: EventDefinition<'Counted', Count, Count> = event('Counted', {
  topic: 'counts',
  version: 1,
  data: z.object({ key: z.string(), n: z.number(), filler: z.string().optional() }),
  key: (data) => data.key,
})

export function counted(n: number, key = 'k', filler?: string): Message<'Counted', Count> {
  return Counted({ key, n, ...(filler !== undefined && { filler }) })
}

/** What stands in a topic, by key, in its order. */
export async function byKey(engine: Engine, topic = 'counts'): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {}
  const description = await engine.topics.describe(topic)
  for (const { partition, earliest, latest } of description?.partitions ?? []) {
    for (let offset = earliest; offset < latest; ) {
      const { records, nextOffset } = await engine.topics.read({ topic, partition, offset })
      for (const record of records) {
        if (record.kind !== 'message') continue
        const { key, n } = record.message.data as Count
        found[key] = [...(found[key] ?? []), n]
      }
      offset = nextOffset
    }
  }
  return found
}

export function upTo(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, i) => from + i)
}

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(5, systemClock)
}

/** A database of the user in which each test has an outbox of its own, and an engine in memory. */
export interface OutboxGround {
  readonly database: TestDatabase
  readonly engine: Engine
  /** Of the test, in which the outbox stands. */
  readonly schema: string
  /** The table of the outbox, as statements name it. */
  readonly table: string
  /** Puts what counts so far into the outbox, in one transaction. */
  readonly put: (...ns: readonly number[]) => Promise<unknown>
  /** How many rows are still to be carried over. */
  readonly waiting: () => Promise<number>
}

/**
 * Call it inside a `describe`.
 *
 * @param close Runs at the end of each test, while all of that is still there.
 */
export function outboxGround(name: string, close: () => Promise<void> = () => Promise.resolve()): OutboxGround {
  let database: TestDatabase
  let engine: Engine
  let schemaCount = 0
  let schema = ''
  beforeAll(async () => {
    database = await TestDatabase.open(`${name}_${process.pid}`)
  }, 600_000)
  afterAll(async () => {
    await database[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    schema = `${name}_${process.pid}_${schemaCount++}`
    await database.pool.query(`CREATE SCHEMA "${schema}"`)
    await createOutbox(database.pool, { schema })
    engine = await embedded({ path: ':memory:' }).open()
    return async () => {
      await close()
      await engine.close()
      await database.pool.query(`DROP SCHEMA "${schema}" CASCADE`)
    }
  })
  const table = (): string => `"${schema}".millrace_outbox`
  return {
    get database() {
      return database
    },
    get engine() {
      return engine
    },
    get schema() {
      return schema
    },
    get table() {
      return table()
    },
    put: (...ns) => database.transaction((client) => outbox(client, { schema }).publish(ns.map((n) => counted(n)))),
    waiting: async () => {
      const [row] = await database.rows(`SELECT count(*) AS count FROM ${table()} WHERE sent_at IS NULL`)
      return Number(row?.['count'])
    },
  }
}
