import { beforeEach, describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import type { Message } from '../message/index.ts'
import {
  CapturedDatabase,
  flatMessages,
  folded,
  happening,
  serversWanted,
  until,
} from './captured-database.test-support.ts'
import { type Capture, type CaptureOptions, captureChanges } from './index.ts'

let count = 0
let database: CapturedDatabase
let engine: Engine

const topic = (table: string): string => `${database.name}.${table}`
const capturing = (over: Partial<CaptureOptions> = {}): Capture =>
  captureChanges({ ...database.place, engine, heartbeat: '200ms', ...over })

const flat = (table: string): Promise<readonly Message[]> => flatMessages(engine, topic(table))

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('changes of rows', { timeout: 120_000 }, () => {
  beforeEach(async () => {
    database = await CapturedDatabase.open(`keys_${process.pid}_${count++}`)
    engine = await embedded({ path: ':memory:' }).open()
    return async () => {
      await database[Symbol.asyncDispose]()
      await engine.close()
    }
  })

  it('go by the key that their table had then, where the log does not name it', async () => {
    await database.run(`CREATE TABLE t (id integer PRIMARY KEY, code integer NOT NULL, name text);
      ALTER TABLE t REPLICA IDENTITY FULL; CREATE TABLE u (LIKE t INCLUDING ALL); ALTER TABLE u REPLICA IDENTITY FULL`)
    await database.setUp('t', 'u')
    const first = capturing()
    await first.caughtUp()
    await database.run(`INSERT INTO t VALUES (0, 7, 'a')`)
    await first.caughtUp()
    await first.close()
    for (const table of ['t', 'u']) {
      await database.run(`INSERT INTO ${table} VALUES (1, 7, 'a'), (2, 7, 'b')`)
      await database.run(`UPDATE ${table} SET name = 'c'`)
    }
    // Names are swapped; and only the name of the key is another one.
    await database.run(
      'ALTER TABLE t RENAME id TO x; ALTER TABLE t RENAME code TO id; ALTER TABLE t RENAME x TO code; ALTER TABLE u RENAME id TO x',
    )
    await using second = capturing()
    await second.caughtUp()
    await database.run(`INSERT INTO t VALUES (3, 7, 'd'); INSERT INTO u VALUES (3, 7, 'd')`)
    await second.caughtUp()
    expect([...(await folded(engine, topic('t'))).keys()].toSorted()).toEqual([
      '{"code":3}',
      '{"id":0}',
      '{"id":1}',
      '{"id":2}',
    ])
    expect([...(await folded(engine, topic('u'))).keys()].toSorted()).toEqual(['{"id":1}', '{"id":2}', '{"x":3}'])
  })

  it('go by another key from the next look on, where the log does not name it and the columns are the same', async () => {
    await database.run(`CREATE TABLE t (id integer PRIMARY KEY, code integer NOT NULL);
      ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t VALUES (1, 10)`)
    await database.setUp('t')
    await using capture = capturing({ heartbeat: '100ms' })
    await capture.caughtUp()
    await database.run('ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (code)')
    const described = async (): Promise<readonly Message[]> =>
      (await flat('t')).filter((message) => happening(message) === 'described')
    await until(async () => (await described()).length === 8)
    await database.run('INSERT INTO t VALUES (1, 20)')
    await capture.caughtUp()
    expect((await described()).at(-1)?.data).toMatchObject({ changed: ['id', 'code'] })
    expect([...(await folded(engine, topic('t'))).keys()].toSorted()).toEqual(['{"code":20}', '{"id":1}'])
  })

  it('of a table with more rows than a chunk has come once each, also with a key of a composite type', async () => {
    await database.run(`CREATE TYPE pair AS (a integer, b text); CREATE DOMAIN paired AS pair;
      CREATE TABLE t (id pair, more paired, part char(3), PRIMARY KEY (id, more, part));
      INSERT INTO t SELECT row(n / 7, 'x''' || n)::pair, row(n, NULL)::pair, 'ab' FROM generate_series(1, 6000) AS n`)
    await database.setUp('t')
    await using capture = capturing()
    await capture.caughtUp()
    expect((await folded(engine, topic('t'))).size).toBe(6_000)
    expect((await flat('t')).filter((message) => happening(message) === 'found')).toHaveLength(6_000)
  })
})
