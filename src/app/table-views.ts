import type { Engine } from '../engine/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { TableCopies, TableGround, TableView } from '../tables/index.ts'
import { groupOf } from './names.ts'
import type { AppParts } from './parts.ts'

/** Whether it is a view in tables of the user's own, of this or another copy of Millrace. */
export function isTableView(value: unknown): value is TableView {
  return typeof value === 'object' && value !== null && 'copiesOn' in value
}

/**
 * The versions of a view in tables of the user's own, by a handler of the app that is one of them; `undefined`: the app has no such
 * handler. All versions belong to the service of that one.
 */
export function tablesReader(
  view: TableView,
  {
    app,
    engine,
    clock,
    isVisit = false,
  }: Pick<TableGround, 'engine' | 'clock' | 'isVisit'> & { readonly app: AppParts },
): { readonly copies: TableCopies } | undefined {
  const service = app.services.find(({ handlers }) => handlers.includes(view))
  if (service === undefined) return undefined
  const groupOfHandler = (handler: string): string => groupOf(app.name, service.name, handler)
  return { copies: view.copiesOn({ engine, app: app.name, groupOf: groupOfHandler, clock, isVisit }) }
}

/** The versions of a table view of an app, for somebody who looks in and runs nothing; `undefined`: it declares none of this name. */
export function tableCopies(
  app: AppParts,
  name: string,
  { engine, clock }: { readonly engine: Engine; readonly clock: Clock },
): TableCopies | undefined {
  const newest = app.services
    .flatMap(({ handlers }) => handlers)
    .filter(isTableView)
    .filter(({ versionOf }) => versionOf.view === name)
    .toSorted((a, b) => b.versionOf.version - a.versionOf.version)[0]
  return newest === undefined ? undefined : tablesReader(newest, { app, engine, clock, isVisit: true })?.copies
}
