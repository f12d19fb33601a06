import {
  copiesIn,
  copyName,
  isSameCopy,
  registersOf,
  type ViewRegister,
  viewGroup,
  viewNamespace,
} from '../../domain/index.ts'
import type { Engine, StateOwner } from '../../engine/index.ts'
import { NotFoundError, UsageError } from '../errors.ts'

/** What a copy of a view is for. */
export type CopyRole = 'live' | 'previous' | 'next'

/** A copy of a view as the file knows it. */
export interface FoundView {
  readonly app: string
  readonly name: string
  readonly version: number
  readonly build: number
  /** Such as `v2`. */
  readonly copy: string
  /** `undefined`: no program that ran on the file says. */
  readonly role: CopyRole | undefined
  readonly namespace: string
  /** Whose state it is, on an engine where state lives with its owner. */
  readonly owner: StateOwner
}

/** Names of apps and views hold no dot. */
const pattern = /^view:([^.]+)\.([^.:]+):v(\d+)(?:\.(\d+))?$/

/** The copies of all views that are in use, or hold at least one key. */
export async function viewsOf(engine: Engine): Promise<readonly FoundView[]> {
  const found = new Map<string, FoundView>()
  for (const [key, register] of await registersOf(engine)) {
    const [app, name] = key.split('.') as [string, string]
    for (const { version, build } of copiesIn(register)) {
      const view = foundView(app, name, { version, build }, roleOf(register, { version, build }))
      found.set(view.namespace, view)
    }
  }
  for (const namespace of await engine.state.namespaces('view:')) {
    const [, app, name, version, build = '1'] = pattern.exec(namespace) ?? []
    if (app === undefined || name === undefined || found.has(namespace)) continue
    const view = foundView(app, name, { version: Number(version), build: Number(build) }, undefined)
    if (view.namespace === namespace) found.set(namespace, view)
  }
  return [...found.values()].sort(
    (a, b) => compare(a.app, b.app) || compare(a.name, b.name) || a.version - b.version || a.build - b.build,
  )
}

/**
 * The copy that a name means: `daily-revenue`, `shop.daily-revenue`, `daily-revenue@2`; without a version the one that is live, or
 * the newest.
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
  const found = views.find(({ role }) => role === 'live') ?? views.at(-1)
  if (found === undefined) {
    throw new NotFoundError(
      'view',
      given,
      'List the views with "millrace views ls"; one is there once its app ran. For one in your own tables give --app.',
    )
  }
  return found
}

/** Which copy of a view it is. */
type CopyNumbers = Pick<FoundView, 'version' | 'build'>

function foundView(app: string, name: string, copy: CopyNumbers, role: CopyRole | undefined): FoundView {
  const one = { name, ...copy }
  const owner = { group: viewGroup(app, one) }
  return { app, ...one, copy: copyName(copy), role, namespace: viewNamespace(app, one), owner }
}

function roleOf({ live, previous }: ViewRegister, copy: CopyNumbers): CopyRole {
  if (isSameCopy(live, copy)) return 'live'
  return isSameCopy(previous, copy) ? 'previous' : 'next'
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
