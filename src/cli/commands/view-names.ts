import { viewNamespace } from '../../domain/index.ts'
import type { Engine } from '../../engine/index.ts'
import { NotFoundError, UsageError } from '../errors.ts'

/** A view as the file knows it. */
export interface FoundView {
  readonly app: string
  readonly name: string
  readonly version: number
  readonly namespace: string
}

/** Names of apps and views hold no dot. */
const pattern = /^view:([^.]+)\.([^.:]+):v(\d+)$/

/** All views that hold at least one key. */
export async function viewsOf(engine: Engine): Promise<readonly FoundView[]> {
  return (await engine.state.namespaces('view:')).flatMap((namespace) => {
    const [, app, name, version] = pattern.exec(namespace) ?? []
    if (app === undefined || name === undefined) return []
    const view = { app, name, version: Number(version) }
    return viewNamespace(app, view) === namespace ? [{ ...view, namespace }] : []
  })
}

/**
 * The view that a name means: `daily-revenue`, `shop.daily-revenue`, `daily-revenue@2`; without a version the newest.
 *
 * @throws NotFoundError `CLI_NOT_FOUND`, UsageError `CLI_USAGE`: views of several apps have this name.
 */
export async function findView(engine: Engine, given: string): Promise<FoundView> {
  const [, app, name, version] = /^(?:([^.]+)\.)?([^.@]+)(?:@(\d+))?$/.exec(given) ?? []
  const views = (await viewsOf(engine)).filter(
    (view) =>
      view.name === name &&
      (app === undefined || view.app === app) &&
      (version === undefined || view.version === Number(version)),
  )
  const apps = [...new Set(views.map((view) => view.app))]
  if (apps.length > 1) {
    throw new UsageError(`Several apps have a view ${name}: say which, as ${apps[0]}.${name}.`, 'millrace views')
  }
  const newest = views.toSorted((a, b) => b.version - a.version)[0]
  if (newest === undefined) {
    throw new NotFoundError(
      'view',
      given,
      'List the views with "millrace views ls"; one without any key is not listed.',
    )
  }
  return newest
}
