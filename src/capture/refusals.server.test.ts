import { beforeEach, describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import { sleep, systemClock } from '../kernel/index.ts'
import { type CaptureFailedReport, channels } from '../telemetry/index.ts'
import { CapturedDatabase, folded, serversWanted, until } from './captured-database.test-support.ts'
import { captureChanges, createCapture, describeCapture, dropCapture, forgetCapture } from './index.ts'
import type { PgClient, TextRow } from './pg-client.ts'
import { checkServer } from './server-check.ts'

let count = 0
let database: CapturedDatabase
let engine: Engine

const capturing = (over: object = {}): ReturnType<typeof captureChanges> =>
  captureChanges({ ...database.place, engine, heartbeat: '200ms', ...over })

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('a capture that cannot go on', { timeout: 60_000 }, () => {
  beforeEach(async () => {
    database = await CapturedDatabase.open(`refused_${process.pid}_${count++}`)
    engine = await embedded({ path: ':memory:' }).open()
    await database.run('CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)')
    return async () => {
      await database[Symbol.asyncDispose]()
      await engine.close()
    }
  })

  it('says that there is no slot, or no publication, or no database, or no right', async () => {
    const failures: CaptureFailedReport[] = []
    const note = (report: unknown): number => failures.push(report as CaptureFailedReport)
    channels.captureFailed.subscribe(note)
    const missing = capturing()
    await expect(missing.finished).rejects.toMatchObject({ code: 'CAPTURE_SLOT_MISSING', details: { lsn: null } })
    await expect(missing.caughtUp()).rejects.toMatchObject({ code: 'CAPTURE_SLOT_MISSING' })
    expect(missing.state).toBe('ended')
    await missing.close()
    channels.captureFailed.unsubscribe(note)
    expect(failures).toMatchObject([{ slot: database.name, error: { code: 'CAPTURE_SLOT_MISSING' }, delayMs: null }])
    await database.setUp('t')
    await expect(capturing({ publication: 'nobody_s' }).finished).rejects.toMatchObject({
      code: 'CAPTURE_PUBLICATION_MISSING',
    })
    const elsewhere = new URL(database.url)
    elsewhere.pathname = '/nowhere'
    await expect(capturing({ connection: elsewhere.href }).finished).rejects.toMatchObject({ code: 'CAPTURE_REFUSED' })
    const stranger = new URL(database.url)
    stranger.password = 'wrong'
    await expect(capturing({ connection: stranger.href }).finished).rejects.toMatchObject({
      code: 'CAPTURE_ACCESS_REFUSED',
    })
    await expect(createCapture({ connection: stranger.href, slot: 'x', tables: ['t'] })).rejects.toMatchObject({
      code: 'CAPTURE_ACCESS_REFUSED',
    })
  })

  it('says which tables have no key, and which is not there', async () => {
    await database.run(
      'CREATE TABLE keyless (id integer); CREATE TABLE whole (id integer); ALTER TABLE whole REPLICA IDENTITY FULL',
    )
    await expect(database.setUp('t', 'keyless', 'whole')).rejects.toMatchObject({
      code: 'CAPTURE_TABLE_KEYLESS',
      details: { tables: [`${database.name}.keyless`, `${database.name}.whole`] },
    })
    await expect(database.setUp('nothing')).rejects.toMatchObject({
      code: 'CAPTURE_REFUSED',
      details: { sqlState: '42P01' },
    })
  })

  it('does not take two tables for one whose names with their schemas read the same', async () => {
    const { name } = database
    await database.run(`CREATE SCHEMA "${name}.b"; CREATE TABLE "${name}.b".c (id integer PRIMARY KEY);
      CREATE TABLE "b.c" (id integer PRIMARY KEY)`)
    const tables = [
      { schema: `${name}.b`, name: 'c' },
      { schema: name, name: 'b.c' },
    ]
    const refusal = { code: 'CAPTURE_TABLES_ALIKE', details: { fullName: `${name}.b.c` } }
    await expect(createCapture({ ...database.place, tables })).rejects.toMatchObject(refusal)
    await createCapture({ ...database.place, tables: tables.slice(0, 1) })
    const capture = capturing()
    await database.run(`INSERT INTO "${name}.b".c VALUES (1)`)
    await capture.caughtUp()
    await database.run(`ALTER PUBLICATION "${name}" ADD TABLE "b.c"; INSERT INTO "b.c" VALUES (2)`)
    await expect(capture.finished).rejects.toMatchObject(refusal)
    await expect(capturing().finished).rejects.toMatchObject(refusal)
    await database.run(`DROP SCHEMA "${name}.b" CASCADE`)
    expect([...(await folded(engine, `${name}.b.c`)).keys()]).toEqual(['{"id":1}'])
  })

  it('says that its publication was dropped, though it was made anew, and begins anew when it is told to', async () => {
    await database.setUp('t')
    const first = capturing()
    await first.caughtUp()
    await first.close()
    await database.run(`DROP PUBLICATION "${database.name}"`)
    await database.run('INSERT INTO t VALUES (2)')
    await database.run(`CREATE PUBLICATION "${database.name}" FOR TABLE t`)
    await expect(capturing().finished).rejects.toMatchObject({
      code: 'CAPTURE_PUBLICATION_LOST',
      details: { slot: database.name },
    })
    await until(() =>
      dropCapture(database.place).then(
        () => true,
        () => false,
      ),
    )
    await forgetCapture(engine, database.name)
    await engine.topics.delete(`${database.name}.t`)
    await database.setUp('t')
    await using again = capturing()
    await again.caughtUp()
    expect([...(await folded(engine, `${database.name}.t`)).keys()].toSorted()).toEqual(['{"id":1}', '{"id":2}'])
  })

  it('finds out that its slot was made anew behind its back, and begins anew when it is told to', async () => {
    await database.setUp('t')
    const first = capturing()
    await first.caughtUp()
    await expect(dropCapture(database.place)).rejects.toMatchObject({ code: 'CAPTURE_SLOT_ACTIVE' })
    // It is not told of a reader that is on its way out.
    const dropped = dropCapture(database.place)
    await sleep(300, systemClock)
    await first.close()
    await dropped
    await dropCapture(database.place)
    await expect(capturing().finished).rejects.toMatchObject({
      code: 'CAPTURE_SLOT_MISSING',
      details: { lsn: expect.any(String) },
    })
    await database.run('INSERT INTO t VALUES (2)')
    await database.setUp('t')
    await expect(capturing().finished).rejects.toMatchObject({ code: 'CAPTURE_POSITION_LOST' })
    await forgetCapture(engine, database.name)
    await engine.topics.delete(`${database.name}.t`)
    await using again = capturing()
    await again.caughtUp()
    expect([...(await folded(engine, `${database.name}.t`)).keys()].toSorted()).toEqual(['{"id":1}', '{"id":2}'])
  })

  it('waits for a slot that somebody else is making', async () => {
    const slow = await database.pool.connect()
    await slow.query('BEGIN; INSERT INTO t VALUES (2)')
    let whole = 0
    const makers = [database.setUp('t'), database.setUp('t')].map((made) => made.then(() => whole++))
    await until(async () => (await describeCapture(database.place)).slot?.confirmedLsn === null)
    await sleep(300, systemClock)
    expect(whole).toBe(0)
    await slow.query('COMMIT')
    slow.release()
    await Promise.all(makers)
    expect((await describeCapture(database.place)).slot?.confirmedLsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/)
  })

  it('does not go on in the log of another server', async () => {
    await database.setUp('t')
    const first = capturing()
    await first.caughtUp()
    await first.close()
    const entry = await engine.state.get('capture', database.name)
    const value = { ...(entry?.value as { readonly lsn: string }), system: '1' }
    await engine.commit({ state: [{ kind: 'set', namespace: 'capture', key: database.name, value }] })
    await expect(capturing().finished).rejects.toMatchObject({
      code: 'CAPTURE_DATABASE_CHANGED',
      details: { expectedSystem: '1' },
    })
  })

  it('says so when its topic never takes what is to be published', async () => {
    await database.setUp('t')
    await engine.topics.create('small', { recordBytesMax: 2_000 })
    const records = [{ key: null, value: 'x'.repeat(5_000) }]
    const refused = capturing({ publish: () => [{ topic: 'small', records }] })
    await expect(refused.finished).rejects.toMatchObject({ code: 'RECORD_TOO_LARGE' })
  })

  it('refuses a slot that is for something else', async () => {
    await database.setUp('t')
    const other = `${database.name}_other`
    await database.run(`SELECT pg_create_logical_replication_slot($1, 'test_decoding')`, [other])
    const refused = capturing({ slot: other, publication: database.name }).finished
    await expect(refused).rejects.toMatchObject({
      code: 'CAPTURE_SLOT_UNUSABLE',
      details: { reason: expect.stringMatching(/test_decoding/) },
    })
    await dropCapture({ connection: database.url, slot: other })
  })
})

describe('a server', () => {
  const answering = (row: TextRow): PgClient => ({ query: async () => ({ rows: [row] }) }) as unknown as PgClient

  it('that writes too little into its log, or is too old, is refused', async () => {
    const server = { number: '150018', version: '15.18', wal_level: 'logical' }
    await checkServer(answering(server))
    await expect(checkServer(answering({ ...server, wal_level: 'replica' }))).rejects.toMatchObject({
      code: 'CAPTURE_WAL_LEVEL',
    })
    await expect(checkServer(answering({ ...server, number: '130022', version: '13.22' }))).rejects.toMatchObject({
      code: 'CAPTURE_REFUSED',
    })
  })
})
