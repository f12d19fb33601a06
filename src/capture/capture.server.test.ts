import { beforeEach, describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import type { Message } from '../message/index.ts'
import {
  CapturedDatabase,
  changeMessages,
  flatMessages,
  folded,
  happening,
  serversWanted,
  until,
} from './captured-database.test-support.ts'
import { type Capture, type CaptureOptions, captureChanges, describeCapture, type RowChange } from './index.ts'

let count = 0
let database: CapturedDatabase
let engine: Engine

const topic = (table: string): string => `${database.name}.${table}`
const capturing = (over: Partial<CaptureOptions> = {}): Capture =>
  captureChanges({ ...database.place, engine, heartbeat: '200ms', ...over })

const flat = (table: string): Promise<readonly Message[]> => flatMessages(engine, topic(table))
const changes = (table: string): Promise<readonly Message[]> => changeMessages(engine, topic(table))

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('changes of tables', { timeout: 120_000 }, () => {
  beforeEach(async () => {
    database = await CapturedDatabase.open(`capture_${process.pid}_${count++}`)
    engine = await embedded({ path: ':memory:' }).open()
    return async () => {
      await database[Symbol.asyncDispose]()
      await engine.close()
    }
  })

  it('come with what was before and after, in the order of their transaction', async () => {
    await database.run('CREATE TABLE t (id integer PRIMARY KEY, name text, total numeric)')
    await database.setUp('t')
    await using capture = capturing()
    await capture.caughtUp()
    await database.run(`INSERT INTO t VALUES (1, 'a', 1.50), (2, 'b', NULL); UPDATE t SET name = 'c' WHERE id = 1;
      UPDATE t SET id = 3 WHERE id = 2; DELETE FROM t WHERE id = 1`)
    await capture.caughtUp()
    const found = await changes('t')
    const told = found
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .map((message) => [happening(message), message.partitionkey, message.data])
    expect(told).toMatchObject([
      [
        'inserted',
        '1',
        { schema: database.name, table: 't', key: { id: 1 }, before: null, after: { id: 1, name: 'a', total: '1.50' } },
      ],
      ['inserted', '2', { key: { id: 2 }, after: { id: 2, name: 'b', total: null } }],
      ['updated', '1', { key: { id: 1 }, before: null, after: { id: 1, name: 'c', total: '1.50' } }],
      ['deleted', '2', { key: { id: 2 }, before: { id: 2 }, after: null, movedTo: { id: 3 } }],
      ['inserted', '3', { key: { id: 3 }, after: { id: 3, name: 'b', total: null }, movedFrom: { id: 2 } }],
      ['deleted', '1', { key: { id: 1 }, before: { id: 1 }, after: null }],
    ])
    const transactions = found.map(({ data }) => (data as RowChange).transaction)
    expect(new Set(transactions.map((transaction) => transaction?.lsn)).size).toBe(1)
    expect(transactions.map((transaction) => transaction?.index ?? -1).toSorted((a, b) => a - b)).toEqual([
      0, 1, 2, 3, 3, 4,
    ])
    expect(transactions[0]?.committedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    const [first] = found
    expect(first).toMatchObject({
      source: `/capture/${database.name}`,
      type: `${topic('t')}.${happening(first as Message)}`,
    })
  })

  it('say what a replica identity lets them say', async () => {
    await database.run(`CREATE TABLE t (id integer PRIMARY KEY, code text NOT NULL UNIQUE, name text, long text);
      ALTER TABLE t ALTER long SET STORAGE EXTERNAL; ALTER TABLE t REPLICA IDENTITY FULL;
      CREATE TABLE u (code text NOT NULL, name text); CREATE UNIQUE INDEX u_code ON u (code);
      ALTER TABLE u REPLICA IDENTITY USING INDEX u_code`)
    await database.setUp('t', 'u')
    await using capture = capturing()
    await database.run(`INSERT INTO t VALUES (1, 'x', 'a', repeat('long', 1000)); UPDATE t SET name = 'b'; DELETE FROM t;
      INSERT INTO u VALUES ('k', 'a'); UPDATE u SET name = 'b'; DELETE FROM u`)
    await capture.caughtUp()
    const long = 'long'.repeat(1000)
    const row = { id: 1, code: 'x', name: 'a', long }
    const [, updated, deleted] = (await changes('t')).map(({ data }) => data as RowChange)
    expect(updated).toMatchObject({ key: { id: 1 }, before: row, after: { ...row, name: 'b' } })
    expect(updated?.unchanged).toBeUndefined()
    expect(deleted).toMatchObject({ key: { id: 1 }, before: { ...row, name: 'b' } })
    expect((await changes('u')).map(({ data }) => data)).toMatchObject([
      { key: { code: 'k' }, after: { code: 'k', name: 'a' } },
      { key: { code: 'k' }, before: null, after: { code: 'k', name: 'b' } },
      { key: { code: 'k' }, before: { code: 'k' }, after: null },
    ])
  })

  it('name the long values that an update did not send, and do not show them as something else', async () => {
    await database.run(`CREATE TABLE t (id integer PRIMARY KEY, n integer, long text);
      ALTER TABLE t ALTER long SET STORAGE EXTERNAL`)
    await database.setUp('t')
    await using capture = capturing()
    await database.run(
      `INSERT INTO t VALUES (1, 1, repeat('x', 5000)); UPDATE t SET n = 2; UPDATE t SET long = 'short'`,
    )
    await capture.caughtUp()
    const [, first, second] = (await changes('t')).map(({ data }) => data as RowChange)
    expect(first).toMatchObject({ after: { id: 1, n: 2 }, unchanged: ['long'] })
    expect(first?.after).not.toHaveProperty('long')
    expect(second).toMatchObject({ after: { id: 1, n: 2, long: 'short' } })
    expect(second).not.toHaveProperty('unchanged')
  })

  it('tell what a table looks like, and when that has changed, also within a transaction and after a restart', async () => {
    await database.run('CREATE TABLE t (id integer PRIMARY KEY, name varchar(10)); INSERT INTO t VALUES (1)')
    await database.setUp('t')
    const first = capturing({ topic: () => `${database.name}.t` })
    await first.caughtUp()
    await database.run(
      'INSERT INTO t VALUES (2); ALTER TABLE t ADD price numeric(10,2); INSERT INTO t VALUES (3, NULL, 1.5)',
    )
    await first.caughtUp()
    await first.close()
    await using second = capturing()
    await database.run('INSERT INTO t VALUES (4); ALTER TABLE t DROP name; ALTER TABLE t ALTER id TYPE bigint')
    await database.run('INSERT INTO t VALUES (5)')
    await second.caughtUp()
    const described = (await flat('t')).filter((message) => happening(message) === 'described')
    const partitions = Map.groupBy(described, ({ data }) => (data as { partition: number }).partition)
    expect([...partitions.keys()].toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3])
    for (const messages of partitions.values()) {
      expect(messages.map(({ data }) => data)).toMatchObject([
        {
          previous: null,
          columns: [
            { name: 'id', type: 'integer', isKey: true },
            { name: 'name', type: 'character varying(10)' },
          ],
        },
        { added: ['price'], removed: [], changed: [], columns: [{}, {}, { name: 'price', type: 'numeric(10,2)' }] },
        { added: [], removed: ['name'], changed: ['id'], columns: [{ type: 'bigint' }, { name: 'price' }] },
      ])
    }
    expect((await folded(engine, topic('t'))).get('{"id":"5"}')).toEqual({ id: '5', price: null })
  })

  it('of all kinds of columns are the same in a snapshot and in the stream', async () => {
    await database.run(`CREATE TYPE mood AS ENUM ('sad', 'so so'); CREATE DOMAIN amount AS bigint CHECK (VALUE > 0);
      CREATE TABLE t (id integer PRIMARY KEY, b boolean, n bigint, f float8, r real, num numeric, t timestamptz, l timestamp, d date,
        i interval, j json, jb jsonb, u uuid, by bytea, ta text[], nested integer[][], m mood, ms mood[], a amount, am amount[],
        generated integer GENERATED ALWAYS AS (id * 2) STORED, point point, nothing text, mo money[], bi bit(3)[], x xml[], po point[], bo box[],
        v tsvector[], ra int4range[], mr int4multirange[], tr tstzrange, ci information_schema.cardinal_number)`)
    const insert = (id: number): Promise<unknown> =>
      database.run(
        `INSERT INTO t VALUES ($1, true, 9007199254740993, 0.1, 'NaN', 1.10, '2026-01-31 12:00:00.5+02', '2026-01-31 12:00', '2026-01-31',
          '1 day 2 hours', '{"a": 1}', '[1, {"b": null}]', '019a9e5c-3a68-7b1e-8d0a-52f6c1a09be4', '\\x00ff', ARRAY['a', NULL, 'b "c"'],
          '{{1,2},{3,4}}', 'so so', '{sad,"so so"}', 7, '{7,8}', DEFAULT, '(1,2)', NULL, '{1.00}', '{101}', '{<a/>}', '{"(1,2)"}', '{(1,1),(0,0)}',
          '{a b}', '{"[1,2)",NULL}', '{"{[1,2)}"}', '[2026-01-31 12:00:00+02,)', 7)`,
        [id],
      )
    await insert(1)
    await database.setUp('t')
    await using capture = capturing()
    await capture.caughtUp()
    await insert(2)
    await capture.caughtUp()
    const rows = await folded(engine, topic('t'))
    const row = {
      id: 1,
      b: true,
      n: '9007199254740993',
      f: 0.1,
      r: 'NaN',
      num: '1.10',
      t: '2026-01-31T10:00:00.5Z',
      l: '2026-01-31T12:00:00',
      d: '2026-01-31',
      i: 'P1DT2H',
      j: { a: 1 },
      jb: [1, { b: null }],
      u: '019a9e5c-3a68-7b1e-8d0a-52f6c1a09be4',
      by: 'AP8=',
      ta: ['a', null, 'b "c"'],
      nested: [
        [1, 2],
        [3, 4],
      ],
      m: 'so so',
      ms: ['sad', 'so so'],
      a: '7',
      am: ['7', '8'],
      point: '(1,2)',
      nothing: null,
      mo: ['$1.00'],
      bi: ['101'],
      x: ['<a/>'],
      po: ['(1,2)'],
      bo: '{(1,1),(0,0)}',
      v: ["'a' 'b'"],
      ra: ['[1,2)', null],
      mr: ['{[1,2)}'],
      tr: '["2026-01-31 10:00:00+00",)',
      ci: 7,
    }
    expect(rows.get('{"id":1}')).toEqual(row)
    expect(rows.get('{"id":2}')).toEqual({ ...row, id: 2 })
  })

  it('do not hold back the log of a server on which only other tables change, or nothing', async () => {
    await database.run('CREATE TABLE t (id integer PRIMARY KEY); CREATE TABLE other (id integer)')
    await database.setUp('t')
    await using capture = capturing()
    await capture.caughtUp()
    const confirmed = async (): Promise<bigint> => {
      const [row] = await database.run(
        `SELECT confirmed_flush_lsn - '0/0'::pg_lsn AS lsn FROM pg_replication_slots WHERE slot_name = $1`,
        [database.name],
      )
      return BigInt(String(row?.['lsn']))
    }
    await database.run('INSERT INTO other SELECT generate_series(1, 50000)')
    const [end] = await database.run(`SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS lsn`)
    await until(async () => (await confirmed()) >= BigInt(String(end?.['lsn'])))
    expect(await changes('t')).toHaveLength(0)
  })

  it('of one slot are captured by one capture, and by the next one when that is closed', async () => {
    await database.run('CREATE TABLE t (id integer PRIMARY KEY)')
    await database.setUp('t')
    const first = capturing()
    await first.caughtUp()
    const waiter = `${database.name}_waiter`
    const second = capturing({ connection: { connectionString: database.url, application_name: waiter } })
    await until(() => second.state === 'standing-by')
    const backends = await database.run('SELECT backend_type FROM pg_stat_activity WHERE application_name = $1', [
      waiter,
    ])
    // Connections that replicate are few, and each refused start of a stream is a line in the server's log.
    expect(backends).toEqual([{ backend_type: 'client backend' }])
    await database.run('INSERT INTO t VALUES (1)')
    await first.caughtUp()
    await first.close()
    await first.close()
    expect(first.state).toBe('ended')
    await database.run('INSERT INTO t VALUES (2)')
    await second.caughtUp()
    await second.close()
    expect([...(await folded(engine, topic('t'))).keys()].toSorted()).toEqual(['{"id":1}', '{"id":2}'])
  })

  it('leave out what is too long for the topic, and say so', async () => {
    await database.run('CREATE TABLE t (id integer PRIMARY KEY, short text, long text)')
    await database.setUp('t')
    await engine.topics.create(topic('t'), { recordBytesMax: 20_000 })
    await using capture = capturing()
    await database.run(`INSERT INTO t VALUES (1, 'a', repeat('x', 50000)), (2, 'b', repeat('y', 15000))`)
    await capture.caughtUp()
    const [first, second] = (await changes('t'))
      .map(({ data }) => data as RowChange)
      .toSorted((a, b) => Number(a.key?.['id']) - Number(b.key?.['id']))
    expect(first).toMatchObject({ after: { id: 1, short: 'a' }, omitted: ['long'] })
    expect(first?.after).not.toHaveProperty('long')
    expect(second?.after).toEqual({ id: 2, short: 'b', long: 'y'.repeat(15_000) })
  })

  it('of tables that are added later begin with a snapshot of these', async () => {
    await database.run('CREATE TABLE t (id integer PRIMARY KEY); CREATE TABLE later (id integer PRIMARY KEY)')
    await database.run('INSERT INTO later VALUES (1), (2)')
    await database.setUp('t')
    await using capture = capturing()
    await capture.caughtUp()
    await database.setUp('t', 'later')
    await database.run('INSERT INTO later VALUES (3)')
    await until(async () => (await folded(engine, topic('later'))).size === 3)
    expect(await folded(engine, topic('later'))).toEqual(await database.contents('later'))
  })

  it('of tables that are added later begin with a change of these where no snapshot is wanted', async () => {
    await database.run(`CREATE TABLE t (id integer PRIMARY KEY); CREATE TABLE later (id integer PRIMARY KEY);
      CREATE TABLE quiet (id integer PRIMARY KEY); INSERT INTO later VALUES (1); INSERT INTO quiet VALUES (1)`)
    await database.setUp('t')
    const first = capturing({ snapshot: false })
    await first.caughtUp()
    await database.setUp('t', 'later', 'quiet')
    await database.run('INSERT INTO later VALUES (2)')
    await first.caughtUp()
    await first.close()
    // What was left out once does not come later, when nobody thinks of it any more.
    await using second = capturing()
    await database.run('INSERT INTO later VALUES (3)')
    await second.caughtUp()
    expect((await flat('later')).map(happening).filter((what) => what !== 'described')).toEqual([
      'inserted',
      'inserted',
    ])
    expect((await flat('quiet')).map(happening)).not.toContain('found')
  })

  it('of partitioned tables are those of one table, and lists of columns and conditions are kept to', async () => {
    await database.run(`CREATE TABLE t (id integer PRIMARY KEY, n integer) PARTITION BY RANGE (id);
      CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (100); CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (100) TO (200);
      INSERT INTO t VALUES (1, 1), (101, 1);
      CREATE TABLE u (id integer PRIMARY KEY, shown text, hidden text, region text); INSERT INTO u VALUES (1, 'a', 'b', 'north');
      INSERT INTO u VALUES (2, 'a', 'b', 'south')`)
    await database.setUp('t', 'u')
    await database.run(`ALTER PUBLICATION "${database.name}" SET TABLE t, u (id, shown) WHERE (id % 2 = 1)`)
    await using capture = capturing()
    await capture.caughtUp()
    await database.run(`UPDATE t SET n = 2; INSERT INTO u VALUES (3, 'c', 'd', 'east'), (4, 'c', 'd', 'east')`)
    await capture.caughtUp()
    expect(await folded(engine, topic('t'))).toEqual(await database.contents('t'))
    expect(
      [...(await folded(engine, topic('u'))).values()].toSorted((a, b) => Number(a?.['id']) - Number(b?.['id'])),
    ).toEqual([
      { id: 1, shown: 'a' },
      { id: 3, shown: 'c' },
    ])
  })

  it('of a table that gets another name go on under that name, after its rows', async () => {
    await database.run('CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)')
    await database.setUp('t')
    await using capture = capturing()
    await capture.caughtUp()
    await database.run('ALTER TABLE t RENAME TO u; INSERT INTO u VALUES (2)')
    await capture.caughtUp()
    await until(async () => (await folded(engine, topic('u'))).size === 2)
    expect(await folded(engine, topic('u'))).toEqual(await database.contents('u'))
    expect((await folded(engine, topic('t'))).size).toBe(1)
  })

  it('of rows whose keys have any characters keep their order', async () => {
    await database.run('CREATE TABLE t (a text, b integer, n integer, PRIMARY KEY (b, a))')
    await database.setUp('t')
    await using capture = capturing()
    await capture.caughtUp()
    const keys = ['', ' ', 'a\nb', '\u0085', '💥', '"quoted"', "o'clock", '\\', 'NULL', '__proto__']
    for (const key of keys) await database.run('INSERT INTO t VALUES ($1, 7, 0)', [key])
    await database.run('UPDATE t SET n = n + 1')
    await capture.caughtUp()
    const found = Map.groupBy(await changes('t'), ({ partitionkey }) => partitionkey)
    expect(found.size).toBe(keys.length)
    for (const messages of found.values()) expect(messages.map(happening)).toEqual(['inserted', 'updated'])
    const names = (await changes('t')).map(({ data }) => (data as RowChange).after?.['a'])
    expect(new Set(names)).toEqual(new Set(keys))
  })

  it('are told of by a description of what the server keeps', async () => {
    expect(await describeCapture(database.place)).toEqual({ tables: [], slot: null })
    await database.run('CREATE TABLE t (id integer PRIMARY KEY)')
    await database.setUp('t')
    const { slot, tables } = await describeCapture(database.place)
    expect(tables).toEqual([topic('t')])
    expect(slot).toMatchObject({ isActive: false, walStatus: 'reserved' })
    expect(slot?.retainedBytes).toBeGreaterThan(0)
  })
})
