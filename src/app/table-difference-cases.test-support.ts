import { describe, expect, it } from 'vitest'
import type { RowDifference, TableComparison } from '../tables/index.ts'
import type { TableTestGround, TestTables } from './table-ground.test-support.ts'

/** Two tables of these columns, with these rows. */
async function fill(
  tables: TestTables,
  columns: string,
  rows: readonly string[],
  others: readonly string[],
): Promise<void> {
  for (const [table, values] of [
    ['a', rows],
    ['b', others],
  ] as const) {
    await tables.change(`CREATE TABLE ${table} (${columns})`)
    if (values.length > 0)
      await tables.change(`INSERT INTO ${table} VALUES ${values.map((row) => `(${row})`).join(', ')}`)
  }
}

function compare({ database }: TestTables, what: Partial<TableComparison> = {}): Promise<RowDifference | undefined> {
  return Promise.resolve(database.versions?.compare('a', 'b', { limit: 20, ...what }))
}

/** How the tables of two versions differ. */
export function testTableDifference(ground: TableTestGround): void {
  describe('the difference of two tables', () => {
    it('tells rows of one key that differ from rows that only one has', async () => {
      await using tables = await ground.open()
      await fill(
        tables,
        'n INTEGER, day TEXT, total TEXT, PRIMARY KEY (day, n)',
        ["1, 'mo', '5'", "2, 'mo', '6'", "1, 'tu', NULL", "1, 'we', NULL"],
        ["1, 'mo', '5'", "2, 'mo', '7'", "1, 'th', '1'", "1, 'we', NULL"],
      )
      expect(await compare(tables)).toEqual({
        columns: ['n', 'day', 'total'],
        key: ['day', 'n'],
        onlyLiveColumns: [],
        onlyOtherColumns: [],
        sameCount: 2,
        differingCount: 1,
        onlyLiveCount: 1,
        onlyOtherCount: 1,
        first: [
          {
            key: { day: 'mo', n: '2' },
            live: { n: '2', day: 'mo', total: '6' },
            other: { n: '2', day: 'mo', total: '7' },
          },
          { key: { day: 'th', n: '1' }, live: undefined, other: { n: '1', day: 'th', total: '1' } },
          { key: { day: 'tu', n: '1' }, live: { n: '1', day: 'tu', total: null }, other: undefined },
        ],
      })
      expect((await compare(tables, { limit: 1 }))?.first.map(({ key }) => key)).toEqual([{ day: 'mo', n: '2' }])
      expect(await compare(tables, { limit: 0 })).toMatchObject({ differingCount: 1, first: [] })
      expect(await compare(tables, { columns: ['day'], key: ['day'] })).toMatchObject({
        columns: ['day'],
        sameCount: 3,
        onlyLiveCount: 1,
        onlyOtherCount: 1,
      })
    })

    it('counts rows without a key as often as they are there', async () => {
      await using tables = await ground.open()
      await fill(
        tables,
        'day TEXT, n INTEGER',
        ["'mo', 1", "'mo', 1", "'mo', 1", 'NULL, NULL'],
        ["'mo', 1", 'NULL, NULL', "'tu', 1"],
      )
      expect(await compare(tables)).toEqual({
        columns: ['day', 'n'],
        key: [],
        onlyLiveColumns: [],
        onlyOtherColumns: [],
        sameCount: 2,
        differingCount: 0,
        onlyLiveCount: 2,
        onlyOtherCount: 1,
        first: [
          { key: {}, live: { day: 'mo', n: '1' }, other: undefined },
          { key: {}, live: { day: 'mo', n: '1' }, other: undefined },
          { key: {}, live: undefined, other: { day: 'tu', n: '1' } },
        ],
      })
    })

    it('is none where both are empty, and is counted in tables of many rows', async () => {
      await using tables = await ground.open()
      await fill(tables, 'n INTEGER PRIMARY KEY, value TEXT', [], [])
      expect(await compare(tables)).toMatchObject({ sameCount: 0, differingCount: 0, first: [] })
      const rows = Array.from({ length: 20_000 }, (_, n) => `(${n}, 'x')`).join(', ')
      await tables.change(`INSERT INTO a VALUES ${rows}`)
      await tables.change('INSERT INTO b SELECT n, value FROM a WHERE n <> 7')
      await tables.change(`UPDATE b SET value = 'y' WHERE n = 19999`)
      expect(await compare(tables)).toMatchObject({
        sameCount: 19_998,
        differingCount: 1,
        onlyLiveCount: 1,
        first: [
          { key: { n: '7' }, live: { n: '7', value: 'x' }, other: undefined },
          { key: { n: '19999' }, live: { value: 'x' }, other: { value: 'y' } },
        ],
      })
    })

    it('names the columns that only one table has', async () => {
      await using tables = await ground.open()
      await tables.change('CREATE TABLE a (n INTEGER PRIMARY KEY, gone INTEGER)')
      await tables.change(
        'CREATE TABLE b (n INTEGER PRIMARY KEY, twice INTEGER GENERATED ALWAYS AS (n * 2) STORED, added TEXT)',
      )
      expect(await compare(tables)).toMatchObject({
        columns: ['n'],
        onlyLiveColumns: ['gone'],
        onlyOtherColumns: ['twice', 'added'],
      })
    })

    it('compares numbers of different types as numbers, also where they are the key', async () => {
      await using tables = await ground.open()
      await tables.change('CREATE TABLE a (n INTEGER PRIMARY KEY, x INTEGER, y NUMERIC(9, 2))')
      await tables.change('CREATE TABLE b (n DOUBLE PRECISION PRIMARY KEY, x REAL, y DOUBLE PRECISION)')
      await tables.change('INSERT INTO a VALUES (1, 5, 0.5), (2, 5, 1), (3, 5, 0.3)')
      await tables.change('INSERT INTO b VALUES (1, 5, 0.50), (2, 6, 1), (3, 5, 0.30000000000000004)')
      expect(await compare(tables)).toMatchObject({
        sameCount: 1,
        differingCount: 2,
        first: [
          { live: { x: '5' }, other: { x: expect.stringMatching(/^6(\.0)?$/) as string } },
          { live: { y: expect.stringMatching(/^0\.30?$/) as string }, other: {} },
        ],
      })
    })

    it('pairs thousands of rows', async () => {
      await using tables = await ground.open()
      await fill(tables, 'n INTEGER PRIMARY KEY, value TEXT', [], [])
      const rows = Array.from({ length: 10_000 }, (_, n) => `(${n}, 'x')`).join(', ')
      await tables.change(`INSERT INTO a VALUES ${rows}`)
      await tables.change(`INSERT INTO b SELECT n, 'y' FROM a`)
      const found = await compare(tables, { limit: 10_000 })
      expect(found).toMatchObject({ sameCount: 0, differingCount: 10_000 })
      expect(found?.first).toHaveLength(10_000)
      expect(found?.first.at(-1)).toEqual({
        key: { n: '9999' },
        live: { n: '9999', value: 'x' },
        other: { n: '9999', value: 'y' },
      })
    })

    it('pairs rows of a key that is given and not unique, each once', async () => {
      await using tables = await ground.open()
      await fill(tables, 'day TEXT, n INTEGER', ["'mo', 1", "'mo', 2", "'tu', 1"], ["'mo', 3", "'tu', 2", "'tu', 3"])
      const found = await compare(tables, { key: ['day'] })
      expect(found).toMatchObject({ differingCount: 2, onlyLiveCount: 1, onlyOtherCount: 1 })
      expect(found?.first.map(({ live, other }) => [live?.['n'], other?.['n']])).toEqual([
        ['1', '3'],
        ['2', undefined],
        ['1', '2'],
        [undefined, '3'],
      ])
    })

    it('compares as texts what has another type, and is refused of columns or tables that are not there', async () => {
      await using tables = await ground.open()
      await tables.change('CREATE TABLE a ("the day" TEXT PRIMARY KEY, n INTEGER, gone INTEGER)')
      await tables.change('CREATE TABLE b (n TEXT, "the day" TEXT PRIMARY KEY)')
      await tables.change(`INSERT INTO a VALUES ('mo', 1, 1), ('tu', 2, 1)`)
      await tables.change(`INSERT INTO b VALUES ('1', 'mo'), ('3', 'tu')`)
      expect(await compare(tables)).toMatchObject({ columns: ['the day', 'n'], sameCount: 1, differingCount: 1 })
      await expect(compare(tables, { columns: ['gone'] })).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
      await expect(compare(tables, { key: ['never'] })).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
      await tables.change('DROP TABLE b')
      await expect(compare(tables)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    })
  })
}
