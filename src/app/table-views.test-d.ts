import type { DatabaseSync } from 'node:sqlite'
import { describe, expectTypeOf, it } from 'vitest'
import type { View, ViewReader } from '../domain/index.ts'
import type { Handler } from '../runtime/index.ts'
import { type TableCopies, type TableDatabase, type TableView, tableView } from '../tables/index.ts'
import { Counted } from './counted-table.test-support.ts'
import type { RunningApp } from './index.ts'

declare const running: RunningApp
declare const database: TableDatabase<DatabaseSync>
declare const counts: View<number>
declare const handler: Handler

describe('a view of a running app', () => {
  it('is read where it is state, and has versions where it is in tables', () => {
    const view = tableView('counted', {
      database,
      tables: { counts: 'counts_v1' },
      events: [Counted],
      on: { Counted: (db, { data }) => db.prepare(data.id) },
    })
    expectTypeOf(view).toEqualTypeOf<TableView>()
    expectTypeOf(running.view(view).copies).toEqualTypeOf<TableCopies>()
    expectTypeOf(running.view(counts)).toEqualTypeOf<ViewReader<number>>()
    // @ts-expect-error A handler that is no view has neither.
    running.view(handler)
  })
})
