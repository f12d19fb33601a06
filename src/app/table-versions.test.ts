import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { SeededRandom, systemRandom } from '../kernel/index.ts'
import { sqliteTables } from '../tables/index.ts'
import { app, service } from './index.ts'
import { killAfterLines } from './killed-process.test-support.ts'
import { testTableDifference } from './table-difference-cases.test-support.ts'
import { sqliteGround, startTables } from './table-ground.test-support.ts'
import { testTableNames } from './table-names-cases.test-support.ts'
import { testTableShapes } from './table-shapes-cases.test-support.ts'
import { swappedViews } from './table-swaps.test-support.ts'
import { sales, sell, testTableVersions } from './table-versions-cases.test-support.ts'

testTableVersions(sqliteGround)
testTableDifference(sqliteGround)
testTableNames(sqliteGround)
testTableShapes(sqliteGround)

describe('versions of a view in tables of SQLite', () => {
  it('wait for a database that somebody else holds', async () => {
    await using tables = await sqliteGround.open()
    const [first, second] = [sales(1, tables), sales(2, tables)]
    await using running = await startTables([first, second])
    await sell(running, 3)
    await running.idle()
    const { copies } = running.view(second)
    await tables.change('BEGIN IMMEDIATE')
    await expect(copies.swap({ timeout: 0 })).rejects.toMatchObject({ code: 'TABLES_UNAVAILABLE' })
    const swapping = copies.swap({ timeout: '1m' })
    await new Promise((resolve) => setTimeout(resolve, 300))
    await tables.change('ROLLBACK')
    await swapping
    expect((await copies.status()).live.copy).toBe('v2')
  })

  it('wait for a transaction of the program, and for a connection that is closed', async () => {
    await using tables = await sqliteGround.open()
    const own = new DatabaseSync(':memory:')
    const database = sqliteTables(own)
    const [first, second] = [sales(1, { ...tables, database }), sales(2, { ...tables, database })]
    await using running = await startTables([first, second])
    await sell(running, 3)
    await running.idle()
    const { copies } = running.view(second)
    own.exec('BEGIN')
    const unavailable = { code: 'TABLES_UNAVAILABLE' }
    await expect(copies.swap({ timeout: 0 })).rejects.toMatchObject(unavailable)
    own.exec('ROLLBACK')
    await copies.swap()
    own.close()
    await expect(copies.status()).rejects.toMatchObject(unavailable)
    await expect(copies.difference({ to: 'previous' })).rejects.toMatchObject(unavailable)
    await expect(copies.rollBack({ timeout: 0 })).rejects.toMatchObject(unavailable)
  })

  it('are not shown by an SQL view in another file, which SQLite would make', async () => {
    using own = new DatabaseSync(':memory:')
    own.exec("ATTACH ':memory:' AS aux")
    const version = { view: 'sums', version: 1, tables: { 'aux.sums': 'sums_v1' }, topics: [] }
    const prepared = sqliteTables(own).prepare(['CREATE TABLE sums_v1 (n INTEGER)'], version)
    await expect(prepared).rejects.toMatchObject({ code: 'TABLE_SWAP_REFUSED' })
  })

  it('are not shown where their tables are gone, which SQLite would take', async () => {
    await using tables = await sqliteGround.open()
    const [first, second] = [sales(1, tables), sales(2, tables)]
    await using running = await startTables([first, second])
    await sell(running, 3)
    await running.idle()
    await running.view(second).copies.status()
    await tables.change('DROP TABLE sales_v2')
    await expect(tables.database.versions?.makeLive('sales', 1, 2)).rejects.toMatchObject({
      code: 'TABLE_SWAP_REFUSED',
    })
    expect(await tables.read('SELECT DISTINCT made_by FROM sales')).toEqual([{ made_by: 1 }])
  })

  it.each([
    ['NOCASE', 'ABC', 'abc'],
    ['RTRIM', 'x', 'x  '],
  ])('are compared byte by byte where a column is COLLATE %s', async (collation, value, other) => {
    using database = new DatabaseSync(':memory:')
    for (const [table, text] of [
      ['a', value],
      ['b', other],
    ]) {
      database.exec(`CREATE TABLE ${table} (n INTEGER PRIMARY KEY, x TEXT COLLATE ${collation})`)
      database.exec(`INSERT INTO ${table} VALUES (1, '${text}')`)
    }
    expect(await sqliteTables(database).versions?.compare('a', 'b', { limit: 5 })).toMatchObject({
      sameCount: 0,
      differingCount: 1,
      first: [{ live: { x: value }, other: { x: other } }],
    })
  })

  it('are compared by blobs and numbers, too', async () => {
    using database = new DatabaseSync(':memory:')
    database.exec(`CREATE TABLE a (n INTEGER PRIMARY KEY, x BLOB, y REAL); CREATE TABLE b (n INTEGER PRIMARY KEY, x BLOB, y REAL);
      INSERT INTO a VALUES (9007199254740993, x'00ff', 0.5), (2, NULL, 1); INSERT INTO b VALUES (9007199254740993, x'00fe', 0.5), (2, NULL, 1)`)
    const found = await sqliteTables(database).versions?.compare('a', 'b', { limit: 5 })
    expect(found).toMatchObject({
      sameCount: 1,
      first: [{ key: { n: '9007199254740993' }, live: { x: "X'00FF'", y: '0.5' }, other: { x: "X'00FE'", y: '0.5' } }],
    })
  })
})

describe('versions of a view in tables whose process is killed while it swaps', () => {
  it('are the one or the other to readers, and the live one is what they see', { timeout: 120_000 }, async () => {
    const random = new SeededRandom(systemRandom.nextUint32())
    const folder = mkdtempSync(join(tmpdir(), 'millrace-tables-'))
    const path = join(folder, 'tables.db')
    try {
      await killAfterLines('table-swap-app.ts', [folder], 1)
      using readers = new DatabaseSync(path, { timeout: 10_000 })
      const seen = new Set<string>()
      const look = (): number => {
        const rows = readers.prepare('SELECT made_by FROM counted').all()
        seen.add(JSON.stringify([rows.length, [...new Set(rows.map((row) => row['made_by']))]]))
        return Number(rows[0]?.['made_by'])
      }
      for (let run = 0; run < 4; run++) {
        let isOver = false
        const reading = (async () => {
          for (; !isOver; look()) await new Promise((resolve) => setTimeout(resolve, 2))
        })()
        await killAfterLines('table-swap-app.ts', [folder], 3 + Math.floor(random.nextFloat() * 30))
        isOver = true
        await reading
        const [live] = readers.prepare(`SELECT version FROM millrace_table_views WHERE role = 'live'`).all()
        expect(look(), `seed ${random.seed}`).toBe(live?.['version'])
      }
      expect([...seen].sort(), `seed ${random.seed}`).toEqual(['[7,[1]]', '[7,[2]]'])
      using own = new DatabaseSync(path)
      const views = swappedViews(sqliteTables(own))
      await using running = await app('swapping', { services: [service('reports', views)] }).start({
        engine: embedded({ path: join(folder, 'engine.db') }),
      })
      await running.idle()
      const [first] = views
      // Both hold each event once, whatever was swapped meanwhile.
      expect(await running.view(first).copies.difference({ to: 'previous', columns: ['n'] })).toMatchObject({
        sameCount: 7,
        differingCount: 0,
      })
      expect(await running.deadLetters.count()).toBe(0)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
