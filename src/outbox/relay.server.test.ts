import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import { sleep, systemClock } from '../kernel/index.ts'
import { event } from '../message/index.ts'
import { channels, type RelayFailedReport } from '../telemetry/index.ts'
import { serversWanted, TestDatabase } from './database.test-support.ts'
import { createOutbox, outbox, type RelayOptions, relayOutbox } from './index.ts'

const Counted = event('RelayCounted', {
  topic: 'counts',
  version: 1,
  data: z.object({ key: z.string(), n: z.number() }),
  key: (data) => data.key,
})

const counted = (n: number, key = 'k') => Counted({ key, n })

/** What stands in the topic, by key, in its order. */
async function byKey(engine: Engine, topic = 'counts'): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {}
  const description = await engine.topics.describe(topic)
  for (const { partition, earliest, latest } of description?.partitions ?? []) {
    for (let offset = earliest; offset < latest; ) {
      const { records, nextOffset } = await engine.topics.read({ topic, partition, offset })
      for (const record of records) {
        if (record.kind !== 'message') continue
        const { key, n } = record.message.data as { key: string; n: number }
        found[key] = [...(found[key] ?? []), n]
      }
      offset = nextOffset
    }
  }
  return found
}

const upTo = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i)

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(5, systemClock)
}

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('a relay of an outbox', { timeout: 60_000 }, () => {
  let database: TestDatabase
  let engine: Engine
  let schemaCount = 0
  let schema = ''
  const table = (): string => `"${schema}".millrace_outbox`

  beforeAll(async () => {
    database = await TestDatabase.open(`relay_${process.pid}`)
  }, 600_000)
  afterAll(async () => {
    await database[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    schema = `relay_${process.pid}_${schemaCount++}`
    await database.pool.query(`CREATE SCHEMA "${schema}"`)
    await createOutbox(database.pool, { schema })
    engine = await embedded({ path: ':memory:' }).open()
    return async () => {
      await engine.close()
      await database.pool.query(`DROP SCHEMA "${schema}" CASCADE`)
    }
  })

  const relay = (over: Partial<RelayOptions> = {}) =>
    relayOutbox({ pool: database.pool, engine, schema, poll: '5ms', ...over })
  const put = (...ns: readonly number[]) =>
    database.transaction((client) => outbox(client, { schema }).publish(ns.map((n) => counted(n))))
  const waiting = async (): Promise<number> =>
    Number((await database.rows(`SELECT count(*) AS count FROM ${table()} WHERE sent_at IS NULL`))[0]?.['count'])

  it('lets rows wait whose topic is not there and may not be created, and no others', async () => {
    await engine.topics.create('counts')
    const failures: RelayFailedReport[] = []
    const note = (report: unknown): number => failures.push(report as RelayFailedReport)
    channels.relayFailed.subscribe(note)
    const box = outbox(database.pool, { schema })
    for (let n = 0; n < 6; n++) await box.publish(counted(n), { topic: n % 2 === 0 ? 'counts' : 'typo' })
    await using _running = relay({ createTopics: false, batchRowsMax: 2 })
    await until(async () => (await waiting()) === 3)
    await box.publish(counted(6), { topic: 'counts' })
    await until(async () => (await byKey(engine))['k']?.length === 4)
    expect(await byKey(engine)).toEqual({ k: [0, 2, 4, 6] })
    await engine.topics.create('typo')
    await box.publish(counted(7), { topic: 'typo' })
    await until(async () => (await waiting()) === 0)
    channels.relayFailed.unsubscribe(note)
    expect(await byKey(engine, 'typo')).toEqual({ k: [1, 3, 5, 7] })
    expect(failures.map(({ error }) => (error as { code?: string }).code)).toEqual(['OUTBOX_TOPIC_MISSING'])
  })

  it('goes on where its topic is deleted', async () => {
    await using _running = relay()
    await put(0)
    await until(async () => (await waiting()) === 0)
    await engine.topics.delete('counts')
    await put(1)
    await until(async () => (await waiting()) === 0)
    expect(await byKey(engine)).toEqual({ k: [1] })
  })

  it('is relayed through a pool whose numbers and truth values are something else than usual', async () => {
    const parsers: Readonly<Record<number, (text: string) => unknown>> = { 16: (text) => text, 20: BigInt, 23: BigInt }
    const getTypeParser = (oid: number) => parsers[oid] ?? ((text: string) => text)
    const pool = new pg.Pool({ connectionString: database.url, types: { getTypeParser } })
    const failures: RelayFailedReport[] = []
    const note = (report: unknown): number => failures.push(report as RelayFailedReport)
    channels.relayFailed.subscribe(note)
    await put(0, 1)
    const first = relay({ pool, keep: '1ms' })
    await until(async () => failures.length > 0 || (await database.rows(`SELECT 1 FROM ${table()}`)).length === 0)
    await first.close()
    channels.relayFailed.unsubscribe(note)
    await put(2)
    await using second = relay({ pool })
    await until(async () => failures.length > 0 || (await waiting()) === 0)
    await second.close()
    await pool.end()
    expect(failures).toEqual([])
    expect(await byKey(engine)).toEqual({ k: [0, 1, 2] })
  })

  it('is relayed on, and the process does not end, when connections of the pool are cut while nobody uses them', async () => {
    const name = `${schema}_idle`
    const pool = new pg.Pool({ connectionString: database.url, application_name: name })
    await using _running = relay({ pool })
    await put(0)
    await until(async () => (await waiting()) === 0)
    // Without one, what is cut here would end the process.
    expect(pool.listenerCount('error')).toBe(1)
    await Promise.all(upTo(3).map(() => pool.query('SELECT pg_sleep(0.05)')))
    let removed = 0
    pool.on('remove', () => removed++)
    await database.rows('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [name])
    await put(1)
    await until(async () => removed >= 4 && (await waiting()) === 0)
    expect(await byKey(engine)).toEqual({ k: [0, 1] })
    await _running.close()
    await pool.end()
  })
})
