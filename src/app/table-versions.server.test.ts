import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { startServer } from '../../scripts/servers/index.ts'
import { SeededRandom, systemRandom } from '../kernel/index.ts'
import { serversWanted } from '../postgres/real-server.test-support.ts'
import type { RowDifference } from '../tables/index.ts'
import { postgresTestTables } from './postgres-ground.test-support.ts'
import { testTableDifference } from './table-difference-cases.test-support.ts'
import { run, Sold, startTables, type TableTestGround } from './table-ground.test-support.ts'
import { testTableNames } from './table-names-cases.test-support.ts'
import { testTableShapes } from './table-shapes-cases.test-support.ts'
import { sales, sell, testTableVersions } from './table-versions-cases.test-support.ts'

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('tables of PostgreSQL', () => {
  let url = ''
  beforeAll(async () => {
    url = (await startServer('postgres')).connection.url
  }, 600_000)
  const ground: TableTestGround = { open: () => postgresTestTables(url) }

  testTableVersions(ground)
  testTableDifference(ground)
  testTableNames(ground)
  testTableShapes(ground)

  describe('versions of a view in tables of PostgreSQL', () => {
    it('are granted to those to whom the SQL view was, also where its columns are others', async () => {
      await using tables = await postgresTestTables(url)
      const role = `${tables.schema}_reader`
      const [first, second] = [
        sales(1, tables),
        sales(2, tables, {
          setup: ['CREATE TABLE IF NOT EXISTS sales_v2 (n integer NOT NULL, day text PRIMARY KEY)'],
          on: {
            Sold: (client, { data }) =>
              run(client, ['INSERT INTO sales_v2 VALUES (1, $1) ON CONFLICT DO NOTHING', data.day]),
          },
        }),
      ]
      await using running = await startTables([first, second])
      await sell(running, 3)
      await running.idle()
      await tables.change(
        `CREATE ROLE ${role}; GRANT ${role} TO CURRENT_USER; GRANT USAGE ON SCHEMA ${tables.schema} TO ${role}; GRANT SELECT ON sales TO ${role}`,
      )
      try {
        const { copies } = running.view(second)
        const asReader = `SET ROLE ${role}; SELECT count(*)::int AS n FROM ${tables.schema}.sales; RESET ROLE`
        const countOf = async (): Promise<unknown> => {
          const answers = (await tables.pool.query(asReader)) as unknown as pg.QueryResult<{ n: number }>[]
          return answers[1]?.rows[0]?.n
        }
        expect(await countOf()).toBe(3)
        await copies.swap()
        expect(await countOf()).toBe(3)
        await copies.rollBack()
        expect(await countOf()).toBe(3)
      } finally {
        await tables.change(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
      }
    })

    it('are refused a swap that something else depends on, and readers see what they saw', async () => {
      await using tables = await postgresTestTables(url)
      const [first, second] = [
        sales(1, tables),
        sales(2, tables, {
          setup: ['CREATE TABLE IF NOT EXISTS sales_v2 (n integer NOT NULL, day text PRIMARY KEY)'],
          on: { Sold: () => undefined },
        }),
      ]
      await using running = await startTables([first, second])
      await sell(running, 3)
      await running.idle()
      await tables.change('CREATE VIEW richest AS SELECT day FROM sales ORDER BY pence DESC LIMIT 1')
      const { copies } = running.view(second)
      await expect(copies.swap()).rejects.toMatchObject({ code: 'TABLE_SWAP_REFUSED', cause: { code: '2BP01' } })
      expect(await tables.read('SELECT * FROM richest')).toHaveLength(1)
      await tables.change('DROP VIEW richest')
      await copies.swap()
      expect((await copies.status()).live.copy).toBe('v2')
    })

    it('wait for a query that holds the SQL view, and hold no other reader up for long', async () => {
      await using tables = await postgresTestTables(url)
      const [first, second] = [sales(1, tables), sales(2, tables)]
      await using running = await startTables([first, second])
      await sell(running, 3)
      await running.idle()
      const { copies } = running.view(second)
      const holder = new pg.Client({ connectionString: url })
      await holder.connect()
      await holder.query(`BEGIN; SELECT * FROM ${tables.schema}.sales`)
      await expect(copies.swap({ timeout: 0 })).rejects.toMatchObject({
        code: 'TABLES_UNAVAILABLE',
        cause: { code: '55P03' },
      })
      const swapping = copies.swap({ timeout: '1m' })
      await wait(1500)
      expect(await tables.read('SELECT made_by FROM sales LIMIT 1')).toEqual([{ made_by: 1 }])
      await holder.query('COMMIT')
      await holder.end()
      await swapping
      expect(await tables.read('SELECT made_by FROM sales LIMIT 1')).toEqual([{ made_by: 2 }])
    })

    it('are swapped though the connections are cut all the time', { timeout: 120_000 }, async () => {
      await using tables = await postgresTestTables(url, '-c application_name=millrace-swap-cut')
      const [first, second] = [sales(1, tables), sales(2, tables)]
      await using running = await startTables([first, second])
      await sell(running, 3)
      await running.idle()
      const { copies } = running.view(second)
      await copies.swap()
      const admin = new pg.Client({ connectionString: url })
      await admin.connect()
      const random = new SeededRandom(systemRandom.nextUint32())
      let isOver = false
      let cutCount = 0
      const cutting = (async () => {
        const text = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE application_name = 'millrace-swap-cut' AND state <> 'idle'`
        // Now and then it has to come through, however slow the machine is.
        for (; !isOver; await wait(random.nextFloat() * 100)) cutCount += (await admin.query(text)).rowCount ?? 0
      })()
      const seen = new Set<string>()
      const reading = (async () => {
        while (!isOver) {
          const rows = await tables.read('SELECT made_by FROM sales')
          seen.add(JSON.stringify([rows.length, [...new Set(rows.map((row) => row['made_by']))]]))
        }
      })()
      const selling = (async () => {
        for (; !isOver; await wait(5)) await sell(running, 3)
      })()
      let live = 2
      try {
        // On a fast machine twenty swaps may be over before anything was cut or read.
        for (let n = 0; n < 20 || cutCount < 5 || seen.size < 2; n++) {
          await copies.rollBack({ behind: 'accept', timeout: '1m' })
          live = 3 - live
          const [row] = await tables.read(`SELECT version FROM millrace_table_views WHERE role = 'live'`)
          expect(row, `seed ${random.seed}`).toEqual({ version: live })
          expect(await tables.read('SELECT DISTINCT made_by FROM sales')).toEqual([{ made_by: live }])
        }
      } finally {
        isOver = true
        await Promise.all([reading, selling, cutting])
        await admin.end()
      }
      expect([...seen].sort()).toEqual(['[3,[1]]', '[3,[2]]'])
      expect(cutCount).toBeGreaterThan(0)
      await running.idle()
      expect(await running.deadLetters.count()).toBe(0)
      const { sameCount } = await copies.difference({ to: 'previous', columns: ['day'] })
      expect(sameCount).toBe(3)
    })

    it('are rehearsed in a transaction of which nothing is left', async () => {
      await using tables = await postgresTestTables(url)
      const first = sales(1, tables)
      const sold = [Sold({ day: 'monday', pence: 10 }), Sold({ day: 'monday', pence: 20 })]
      const sql = 'SELECT day, pence FROM sales'
      expect(await first.rehearse(sold, sql)).toEqual([{ day: 'monday', pence: 32 }])
      expect(await first.rehearse([], sql)).toEqual([])
      await expect(first.rehearse(sold, 'SELECT nothing FROM sales')).rejects.toMatchObject({ code: '42703' })
      const ending = sales(1, tables, { on: { Sold: (client) => run(client, ['COMMIT']) } })
      await expect(ending.rehearse(sold, sql)).rejects.toMatchObject({ code: 'TABLE_CHANGE_INVALID' })
      await expect(tables.read(`SELECT * FROM ${tables.schema}.millrace_inbox`)).rejects.toMatchObject({
        code: '42P01',
      })
      expect(tables.pool.idleCount).toBe(tables.pool.totalCount)
    })

    it('are compared by values of every kind', async () => {
      await using tables = await postgresTestTables(url)
      await tables.change(`CREATE TYPE mood AS ENUM ('sad', 'glad')`)
      const values = `1, 1.50, '{"a":1, "b":2}', '{"a":1}', '(1,2)', '{1,2}', 'glad', '\\x00ff', '2026-01-01 12:00+00', 'x', NULL`
      const others = values.replace('1.50', '1.5').replace('{"a":1, "b":2}', '{"b":2,"a":1}')
      for (const [table, row] of [
        ['a', values],
        ['b', others],
      ] as const) {
        await tables.change(`CREATE TABLE ${table} (id integer PRIMARY KEY, n numeric, j json, jb jsonb, p point, l integer[], m mood,
          bin bytea, at timestamptz, v varchar(5), nothing xml)`)
        await tables.change(`INSERT INTO ${table} VALUES (${row})`)
      }
      const compare = (): Promise<RowDifference> | undefined =>
        tables.database.versions?.compare('a', 'b', { limit: 9 })
      expect(await compare()).toMatchObject({ sameCount: 1, differingCount: 0, key: ['id'] })
      await tables.change(`UPDATE b SET p = '(1,3)', nothing = '<a/>', m = 'sad'`)
      expect(await compare()).toMatchObject({
        differingCount: 1,
        first: [{ live: { p: '(1,2)', m: 'glad', nothing: null }, other: { p: '(1,3)', m: 'sad', nothing: '<a/>' } }],
      })
    })

    it('are compared byte by byte whatever the collation, and by the columns of the key only', async () => {
      await using tables = await postgresTestTables(url)
      await tables.change(
        `CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
      )
      for (const [table, value] of [
        ['a', 'ABC'],
        ['b', 'abc'],
      ]) {
        await tables.change(
          `CREATE TABLE ${table} (n integer, x text COLLATE any_case, PRIMARY KEY (n) INCLUDE (x)); INSERT INTO ${table} VALUES (1, '${value}')`,
        )
      }
      expect(await tables.database.versions?.compare('a', 'b', { limit: 9 })).toMatchObject({
        key: ['n'],
        sameCount: 0,
        differingCount: 1,
        first: [{ live: { x: 'ABC' }, other: { x: 'abc' } }],
      })
    })

    it('keep pace with a build that is bounded, and tell how long it takes', { timeout: 120_000 }, async () => {
      await using tables = await postgresTestTables(url)
      const [first, second] = [sales(1, tables), sales(2, tables, { eventsPerSecond: 100 })]
      await using running = await startTables([first, second])
      await running.publish(Array.from({ length: 300 }, (_, n) => Sold({ day: `d${n}`, pence: 1 })))
      const { copies } = running.view(second)
      await copies.status()
      await expect.poll(async () => (await copies.status()).next?.secondsLeft ?? 0).toBeGreaterThan(0)
      const { live, next } = await copies.status()
      expect(next?.eventsTotal).toBe(300)
      expect(next?.speedEventsPerSecond).toBeGreaterThan(0)
      await expect(copies.swap({ timeout: 0 })).rejects.toMatchObject({ code: 'VIEW_BEHIND', details: { isRun: true } })
      expect(live.copy).toBe('v1')
      await copies.swap({ timeout: '1m' })
      expect((await copies.status()).live.copy).toBe('v2')
    })
  })
})
