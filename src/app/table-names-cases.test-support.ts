import { describe, expect, it } from 'vitest'
import type { TableVersion } from '../tables/index.ts'
import { startTables, type TableTestGround, type TestTables } from './table-ground.test-support.ts'
import { sales } from './table-versions-cases.test-support.ts'

const refused = { code: 'TABLE_SWAP_REFUSED' }

function versionOf(view: string, version: number, tables: TableVersion['tables']): TableVersion {
  return { view, version, tables, topics: ['sold'] }
}

/** Makes a version known, with these tables in the database. */
async function add({ database }: TestTables, version: TableVersion, ...tables: readonly string[]): Promise<void> {
  await database.prepare(
    tables.map((table) => `CREATE TABLE IF NOT EXISTS ${table} (n INTEGER)`),
    version,
  )
}

/** Names of tables and of what readers see, which versions cannot share. */
export function testTableNames(ground: TableTestGround): void {
  describe('names of tables of versions', () => {
    it('are refused where two versions of one program have a table in common', async () => {
      await using tables = await ground.open()
      const views = [sales(1, tables), sales(2, tables, { tables: { sales: 'sales_v1' } })]
      await expect(startTables(views)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    })

    it('are refused where one version reads what another one fills', async () => {
      await using tables = await ground.open()
      const views = [sales(1, tables), sales(2, tables, { tables: { totals: 'sales' } })]
      await expect(startTables(views)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    })

    it('are refused where the database knows the table as that of another version or view', async () => {
      await using tables = await ground.open()
      const { versions } = tables.database
      await add(tables, versionOf('sums', 1, { sums: 'sums_v1' }), 'sums_v1')
      await expect(add(tables, versionOf('sums', 2, { sums: 'sums_v1' }))).rejects.toMatchObject(refused)
      await expect(add(tables, versionOf('counts', 1, { counts: 'sums_v1' }))).rejects.toMatchObject(refused)
      expect(await versions?.read('sums')).toMatchObject({ live: { version: 1 }, next: null })
      expect((await versions?.read('counts')) ?? null).toBeNull()
      await add(tables, versionOf('sums', 2, { sums: 'sums_v2' }), 'sums_v2')
      await add(tables, versionOf('sums', 1, { sums: 'sums_v1' }))
      expect(await versions?.read('sums')).toMatchObject({ live: { version: 1 }, next: { version: 2 } })
    })

    it('are refused where a table is an SQL view, or readers would name a table', async () => {
      await using tables = await ground.open()
      await add(tables, versionOf('sums', 1, { sums: 'sums_v1' }), 'sums_v1')
      await expect(add(tables, versionOf('sums', 2, { totals: 'sums' }))).rejects.toMatchObject(refused)
      await expect(add(tables, versionOf('sums', 2, { sums_v1: 'sums_v2' }), 'sums_v2')).rejects.toMatchObject(refused)
      await tables.change('CREATE VIEW mine AS SELECT * FROM sums_v1')
      await expect(add(tables, versionOf('sums', 2, { sums: 'mine' }))).rejects.toMatchObject(refused)
      expect(await tables.database.versions?.read('sums')).toMatchObject({ live: { version: 1 }, next: null })
    })
  })
}
