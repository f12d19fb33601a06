import pg from 'pg'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Engine } from '../engine/index.ts'
import { channels, type RelayFailedReport } from '../telemetry/index.ts'
import { serversWanted, type TestDatabase } from './database.test-support.ts'
import { outbox, type RelayOptions, relayOutbox } from './index.ts'
import { byKey, counted, outboxGround, until, upTo } from './outbox-ground.test-support.ts'

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('a relay of an outbox', { timeout: 60_000 }, () => {
  let database: TestDatabase
  let engine: Engine
  let schema = ''
  const ground = outboxGround('relay')
  const { put, waiting } = ground
  const table = (): string => ground.table
  beforeEach(() => {
    ;({ database, engine, schema } = ground)
  })

  const relay = (over: Partial<RelayOptions> = {}) =>
    relayOutbox({ pool: database.pool, engine, schema, poll: '5ms', ...over })

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
