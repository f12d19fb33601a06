import type { DatabaseSync } from 'node:sqlite'
import { type TableDatabase, type TableView, tableView } from '../tables/index.ts'
import { Counted } from './counted-table.test-support.ts'

/** Two versions of a view that count events by key; each says that it made the row. */
export function swappedViews(database: TableDatabase<DatabaseSync>): readonly [TableView, TableView] {
  const versionOf = (version: number): TableView => {
    const table = `counted_v${version}`
    return tableView('counted', {
      database,
      version,
      tables: { counted: table },
      setup: [
        `CREATE TABLE IF NOT EXISTS ${table} (key TEXT PRIMARY KEY, n INTEGER NOT NULL, made_by INTEGER NOT NULL)`,
      ],
      events: [Counted],
      on: {
        Counted: (db, { data: { key } }) =>
          db
            .prepare(`INSERT INTO ${table} VALUES (?, 1, ${version}) ON CONFLICT (key) DO UPDATE SET n = n + 1`)
            .run(key),
      },
    })
  }
  return [versionOf(1), versionOf(2)]
}
