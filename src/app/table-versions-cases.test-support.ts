import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { none } from '../runtime/index.ts'
import { type TableView, type TableViewOptions, tableView } from '../tables/index.ts'
import { app, type RunningApp, service } from './index.ts'
import {
  type AnyClient,
  run,
  Sold,
  startTables,
  type TableTestGround,
  type TestTables,
} from './table-ground.test-support.ts'

/** Sums sales by day; each version says that it made the row, and the first one counts a penny too much for each sale. */
export function sales(
  version: number,
  { database }: TestTables,
  options: Partial<TableViewOptions<readonly [typeof Sold], AnyClient>> = {},
): TableView {
  const table = `sales_v${version}`
  return tableView('sales', {
    database,
    version,
    tables: { sales: table },
    setup: [
      `CREATE TABLE IF NOT EXISTS ${table} (day TEXT PRIMARY KEY, pence INTEGER NOT NULL, made_by INTEGER NOT NULL)`,
    ],
    events: [Sold],
    on: {
      Sold: (client, { data: { day, pence } }) => {
        if (version > 1 && day === 'poison') throw new RangeError('cannot be applied')
        return run(client, [
          `INSERT INTO ${table} (day, pence, made_by) VALUES ($1, $2, ${version})
           ON CONFLICT (day) DO UPDATE SET pence = ${table}.pence + excluded.pence`,
          day,
          version === 1 ? pence + 1 : pence,
        ])
      },
    },
    retry: none,
    ...options,
  })
}

const days = ['monday', 'tuesday', 'wednesday']
const readSql = 'SELECT day, pence, made_by FROM sales ORDER BY day'

export async function sell(running: RunningApp, count: number, pence = 10): Promise<void> {
  await running.publish(Array.from({ length: count }, (_, n) => Sold({ day: days[n % 3] as string, pence })))
}

/** What readers shall see after so many sales of each day. */
function sold(version: number, countByDay: number): unknown[] {
  return days.map((day) => ({ day, pence: countByDay * (version === 1 ? 11 : 10), made_by: version }))
}

/** Versions of a view in tables of the user's own. */
export function testTableVersions(ground: TableTestGround): void {
  describe('versions of a view in tables', () => {
    it('are built beside the live one, compared, swapped and rolled back', async () => {
      await using tables = await ground.open()
      const [first, second] = [sales(1, tables), sales(2, tables)]
      await using engine = await embedded({ path: ':memory:' }).open()
      {
        await using running = await app('shop', { services: [service('reports', [first])] }).start({ engine })
        await sell(running, 30)
        await running.idle()
        expect(await tables.read(readSql)).toEqual(sold(1, 10))
        const { copies } = running.view(first)
        expect(await copies.status()).toMatchObject({
          live: { copy: 'v1', tables: { sales: 'sales_v1' }, eventsDone: 30, eventsBehind: 0, deadLetterCount: 0 },
          previous: null,
          next: null,
        })
        await expect(copies.swap()).rejects.toMatchObject({ code: 'VIEW_BUILD_MISSING' })
        await expect(copies.rollBack()).rejects.toMatchObject({ code: 'VIEW_PREVIOUS_MISSING' })
      }
      await using running = await app('shop', { services: [service('reports', [first, second])] }).start({ engine })
      const { copies } = running.view(second)
      await running.idle()
      expect(await copies.status()).toMatchObject({
        live: { copy: 'v1' },
        next: { copy: 'v2', eventsDone: 30, eventsTotal: 30, eventsBehind: 0, memberCount: 1 },
      })
      expect(await copies.difference({ limit: 1, columns: ['pence'] })).toEqual({
        copies: { live: 'v1', other: 'v2' },
        table: 'sales',
        columns: ['day', 'pence'],
        key: ['day'],
        onlyLiveColumns: [],
        onlyOtherColumns: [],
        sameCount: 0,
        differingCount: 3,
        onlyLiveCount: 0,
        onlyOtherCount: 0,
        first: [
          { key: { day: 'monday' }, live: { day: 'monday', pence: '110' }, other: { day: 'monday', pence: '100' } },
        ],
      })
      expect(await tables.read(readSql)).toEqual(sold(1, 10))
      await copies.swap()
      expect(await tables.read(readSql)).toEqual(sold(2, 10))
      expect(await copies.status()).toMatchObject({ live: { copy: 'v2' }, previous: { copy: 'v1' }, next: null })
      await sell(running, 3)
      await running.idle()
      expect(await tables.read(readSql)).toEqual(sold(2, 11))
      await copies.rollBack()
      // The version before was kept up to date, and no event was applied twice.
      expect(await tables.read(readSql)).toEqual(sold(1, 11))
      await copies.rollBack()
      expect(await tables.read(readSql)).toEqual(sold(2, 11))
    })

    it.each([
      ['alike', 'day TEXT PRIMARY KEY, pence INTEGER NOT NULL, made_by INTEGER NOT NULL'],
      ['others', 'made_by INTEGER NOT NULL, pence INTEGER NOT NULL, day TEXT PRIMARY KEY'],
    ])('show readers one of them at a time while events come, where columns are %s', async (_how, columns) => {
      await using tables = await ground.open()
      const first = sales(1, tables)
      const second = sales(2, tables, { setup: [`CREATE TABLE IF NOT EXISTS sales_v2 (${columns})`] })
      await using running = await startTables([first, second])
      await sell(running, 3)
      await running.idle()
      const { copies } = running.view(second)
      let isOver = false
      let readCount = 0
      const seen = new Set<string>()
      const reader = async (): Promise<void> => {
        while (!isOver) {
          const said = await tables.read(readSql).then(
            (rows) => JSON.stringify([rows.length, [...new Set(rows.map((row) => row['made_by']))]]),
            (error: unknown) => String(error),
          )
          readCount++
          seen.add(said)
        }
      }
      let soldCount = 1
      const seller = async (): Promise<void> => {
        for (; !isOver; soldCount++) {
          await sell(running, 3)
          // As fast as it can, it would leave views on a server behind.
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
      }
      const others = Promise.all([reader(), reader(), seller()])
      try {
        await copies.swap()
        for (let n = 0; n < 20; n++) {
          const before = readCount
          await copies.rollBack()
          while (readCount < before + 4) await new Promise((resolve) => setTimeout(resolve, 1))
        }
      } finally {
        isOver = true
        await others
      }
      // Whole tables of one version at a time, of both.
      expect([...seen].sort()).toEqual(['[3,[1]]', '[3,[2]]'])
      await running.idle()
      expect(await tables.read(readSql)).toEqual(sold(2, soldCount))
      expect(await running.deadLetters.count()).toBe(0)
    })

    it('are not swapped in while they lack events, or could not take some, unless that is accepted', async () => {
      await using tables = await ground.open()
      const [first, second] = [sales(1, tables), sales(2, tables)]
      await using engine = await embedded({ path: ':memory:' }).open()
      const start = (...handlers: TableView[]): Promise<RunningApp> =>
        app('shop', { services: [service('reports', handlers)] }).start({ engine })
      {
        await using running = await start(first, second)
        await sell(running, 3)
        await running.publish(Sold({ day: 'poison', pence: 1 }))
        await running.idle()
        const { copies } = running.view(first)
        await expect(copies.swap()).rejects.toMatchObject({
          code: 'VIEW_DEAD_LETTERS',
          details: { view: 'sales', copy: 'v2', deadLetterCount: 1 },
        })
        expect((await copies.status()).live.copy).toBe('v1')
        await copies.swap({ deadLetters: 'accept' })
        await copies.rollBack()
      }
      {
        await using running = await start(first)
        await sell(running, 6)
        await running.idle()
        const { copies } = running.view(first)
        await expect(copies.rollBack()).rejects.toMatchObject({
          code: 'VIEW_BEHIND',
          details: { copy: 'v2', eventsBehind: 6, operation: 'roll-back', isRun: false },
        })
        expect((await copies.status()).live.copy).toBe('v1')
        await copies.rollBack({ behind: 'accept' })
        expect(await tables.read(readSql)).toEqual(sold(2, 1))
      }
      await using running = await start(second)
      await running.idle()
      expect(await tables.read(readSql)).toEqual(sold(2, 3))
    })

    it('are not swapped nor rolled back once the signal has aborted', async () => {
      await using tables = await ground.open()
      const [first, second] = [sales(1, tables), sales(2, tables)]
      await using running = await startTables([first, second])
      await sell(running, 3)
      await running.idle()
      const { copies } = running.view(second)
      const signal = AbortSignal.abort(new RangeError('changed my mind'))
      await expect(copies.swap({ signal })).rejects.toThrow('changed my mind')
      expect((await copies.status()).live.copy).toBe('v1')
      const { database } = tables
      const meanwhile = new AbortController()
      const swapping = copies.swap({ signal: meanwhile.signal })
      meanwhile.abort(new RangeError('changed my mind'))
      await expect(swapping).rejects.toThrow('changed my mind')
      expect(await database.versions?.read('sales')).toMatchObject({ live: { version: 1 } })
      await copies.swap()
      await expect(copies.rollBack({ signal, behind: 'accept' })).rejects.toThrow('changed my mind')
      expect((await copies.status()).live.copy).toBe('v2')
      await expect(copies.swap()).rejects.toMatchObject({
        code: 'VIEW_BUILD_MISSING',
        remedy: expect.stringContaining('rollBack() to show readers v1 again') as string,
      })
    })

    it('refuse options that are none', async () => {
      await using tables = await ground.open()
      const [first, second] = [sales(1, tables), sales(2, tables)]
      await using running = await startTables([first, second])
      await running.idle()
      const { copies } = running.view(second)
      const invalid = { code: 'ARGUMENT_INVALID' }
      for (const options of [
        { columns: 'day' },
        { columns: [7] },
        { key: 5 },
        { key: [null] },
        { limit: 10_001 },
        { limit: -1 },
        { table: 7 },
        { to: 'live' },
        { tabel: 'sales' },
      ]) {
        await expect(copies.difference(options as never)).rejects.toMatchObject(invalid)
      }
      for (const options of [{ deadLetters: 'maybe' }, { behind: 'accept' }, { deadLetters: true }]) {
        await expect(copies.swap(options as never)).rejects.toMatchObject(invalid)
      }
      expect((await copies.status()).live.copy).toBe('v1')
      for (const options of [{ behind: 'maybe' }, { deadLetters: 'accept' }, { wait: 5 }]) {
        await expect(copies.rollBack(options as never)).rejects.toMatchObject(invalid)
      }
    })

    it('stay as they are where a swap fails in its middle', async () => {
      await using tables = await ground.open()
      const first = sales(1, tables)
      const wider = (name: string): TableView =>
        sales(2, tables, {
          tables: { sales: 'sales_v2', [name]: 'others_v2' },
          setup: [
            'CREATE TABLE IF NOT EXISTS sales_v2 (day TEXT PRIMARY KEY, pence INTEGER NOT NULL, made_by INTEGER NOT NULL)',
            'CREATE TABLE IF NOT EXISTS others_v2 (n INTEGER)',
          ],
        })
      const second = wider('others')
      await tables.change('CREATE TABLE others (mine INTEGER)')
      await using running = await startTables([first, second])
      await sell(running, 3)
      await running.idle()
      const { copies } = running.view(second)
      await expect(copies.swap()).rejects.toMatchObject({ code: 'TABLE_SWAP_REFUSED', details: { version: 2 } })
      // The SQL view of sales was replaced before the other one met a table of its name.
      expect(await tables.read(readSql)).toEqual(sold(1, 1))
      expect(await copies.status()).toMatchObject({ live: { copy: 'v1' }, previous: null, next: { copy: 'v2' } })
      await tables.change('DROP TABLE others')
      await copies.swap()
      expect(await tables.read(readSql)).toEqual(sold(2, 1))
      expect(await tables.read('SELECT * FROM others')).toEqual([])
      await copies.rollBack()
      expect(await tables.read(readSql)).toEqual(sold(1, 1))
      await expect(tables.read('SELECT * FROM others')).rejects.toThrow('others')
      const changed = { view: 'sales', version: 2, tables: { sales: 'sales_v2' }, topics: ['sold'] }
      await expect(tables.database.prepare([], changed)).rejects.toMatchObject({ code: 'TABLE_VIEW_CHANGED' })
    })

    it('may have other columns, also fewer, and in another order', async () => {
      await using tables = await ground.open()
      const first = sales(1, tables)
      const second = sales(2, tables, {
        setup: ['CREATE TABLE IF NOT EXISTS sales_v2 (n INTEGER NOT NULL, day TEXT PRIMARY KEY)'],
        on: {
          Sold: (client, { data: { day } }) =>
            run(client, [
              'INSERT INTO sales_v2 VALUES (1, $1) ON CONFLICT (day) DO UPDATE SET n = sales_v2.n + excluded.n',
              day,
            ]),
        },
      })
      await using running = await startTables([first, second])
      await sell(running, 6)
      await running.idle()
      const { copies } = running.view(second)
      expect(await copies.difference()).toMatchObject({ columns: ['day'], sameCount: 3, first: [] })
      await copies.swap()
      expect(await tables.read('SELECT * FROM sales ORDER BY day')).toEqual(days.map((day) => ({ n: 2, day })))
      await copies.rollBack()
      expect(await tables.read(readSql)).toEqual(sold(1, 2))
    })

    it('are shown to readers before any event has come', async () => {
      await using tables = await ground.open()
      const first = sales(1, tables)
      await using running = await startTables([first])
      expect(await running.view(first).copies.status()).toMatchObject({ live: { copy: 'v1', eventsTotal: 0 } })
      expect(await tables.read(readSql)).toEqual([])
    })

    it('take no name of something that is there', async () => {
      await using tables = await ground.open()
      await tables.change('CREATE TABLE sales (day TEXT)')
      const first = sales(1, tables)
      await using running = await startTables([first])
      await expect(running.view(first).copies.status()).rejects.toMatchObject({ code: 'TABLE_SWAP_REFUSED' })
      expect(await tables.read('SELECT * FROM sales')).toEqual([])
    })

    it('whose tables are gone are there no more', async () => {
      await using tables = await ground.open()
      const [first, second, third] = [sales(1, tables), sales(2, tables), sales(3, tables)]
      await using running = await startTables([first, second, third])
      await sell(running, 3)
      const { copies } = running.view(third)
      await running.idle()
      expect((await copies.status()).next).toMatchObject({ copy: 'v3' })
      await copies.swap()
      expect(await copies.status()).toMatchObject({ live: { copy: 'v3' }, previous: { copy: 'v1' }, next: null })
      await tables.change('DROP TABLE sales_v1')
      expect(await copies.status()).toMatchObject({ live: { copy: 'v3' }, previous: null, next: null })
      await expect(copies.rollBack()).rejects.toMatchObject({ code: 'VIEW_PREVIOUS_MISSING' })
    })

    it('are swapped once by those who swap at a time', async () => {
      await using tables = await ground.open()
      const [first, second] = [sales(1, tables), sales(2, tables)]
      await using running = await startTables([first, second])
      await sell(running, 3)
      await running.idle()
      const { versions } = tables.database
      const swaps = [1, 2, 3].map(async () => versions?.makeLive('sales', 1, 2))
      expect(await Promise.all(swaps)).toEqual([true, true, true])
      expect(await versions?.makeLive('sales', 1, 3)).toBe(false)
      expect(await running.view(first).copies.status()).toMatchObject({
        live: { copy: 'v2' },
        previous: { copy: 'v1' },
      })
    })
  })
}
