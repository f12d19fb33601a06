import type { View } from '../domain/index.ts'
import { type OptionProblem, OptionsInvalidError, unknownOptions } from '../kernel/index.ts'
import type { AnyCommandDefinition, AnyQueryDefinition } from '../message/index.ts'
import type { TopicDeclaration } from '../runtime/index.ts'
import type { AnySaga } from '../saga/index.ts'
import { checkOneHandlerEach } from './command-handlers.ts'
import { checkName, checkUnique } from './names.ts'
import type { AppParts } from './parts.ts'
import type { RunningApp } from './running-app.ts'
import type { Service } from './service.ts'
import { type StartOptions, startApp } from './start.ts'

/** What an app is made of. */
export interface AppOptions {
  readonly services?: readonly Service[]
  readonly views?: readonly View[]
  /** Commands and queries that other apps on the same engine handle, and that this one sends or asks. */
  readonly remote?: readonly (AnyCommandDefinition | AnyQueryDefinition)[]
  readonly sagas?: readonly AnySaga[]
  /** Topics that shall exist even if no handler reads and no definition names them. */
  readonly topics?: readonly TopicDeclaration[]
}

/** Services and views that run together. Made by {@link app}. */
export interface App extends AppParts {
  /**
   * Starts the app: creates the topics that it needs, joins its consumer groups and goes on where it was.
   *
   * Several starts on one open engine share the work.
   *
   * What the engine cannot do for a reason that passes, such as a lock or a full disk, is tried again for 30 seconds, which the
   * channel `waiting` tells; then the start rejects with the error, whose `fault` is `passing`.
   */
  start(options: StartOptions): Promise<RunningApp>
}

/**
 * Puts services and views together.
 *
 * @param name 1 to 100 letters, digits, `_` and `-`; stable over deployments.
 * @throws NameInvalidError `NAME_INVALID`, NameTakenError `NAME_TAKEN`, OptionsInvalidError `OPTIONS_INVALID`,
 *   HandlerTakenError `HANDLER_TAKEN`: two parts handle the same command or query
 *
 * @example
 * ```ts
 * const shop = app('shop', { services: [ordering, payment], views: [dailyRevenue] })
 * await using running = await shop.start({ engine: embedded({ path: 'shop.db' }) })
 * ```
 */
export function app(name: string, options: AppOptions = {}): App {
  checkName('app', name)
  checkApp(name, options)
  const services = Object.freeze([...(options.services ?? [])])
  const views = Object.freeze([...(options.views ?? [])])
  const sagas = Object.freeze([...(options.sagas ?? [])])
  const topics = Object.freeze([...(options.topics ?? [])])
  checkUnique(`services of app ${name}`, services)
  checkUnique(`views of app ${name}`, views)
  checkUnique(`sagas of app ${name}`, sagas)
  checkChildren(name, sagas)
  for (const view of views) checkName('view', view.name)
  const remote = Object.freeze([...(options.remote ?? [])])
  checkOneHandlerEach(services, remote)
  const declared: App = Object.freeze({
    name,
    services,
    views,
    sagas,
    topics,
    remote,
    start: (startOptions: StartOptions) => startApp(declared, startOptions),
  })
  return declared
}

/** Sagas tell each other about their ends through the app's own topics. */
function checkChildren(name: string, sagas: readonly AnySaga[]): void {
  const missing = sagas.flatMap((saga) =>
    Object.values(saga.definition.children)
      .filter((child) => !sagas.includes(child))
      .map((child) => ({ option: 'sagas', problem: `lacks ${child.name}, a child of ${saga.name}` })),
  )
  if (missing.length > 0) throw new OptionsInvalidError(`app ${JSON.stringify(name)}`, missing)
}

/** Each part with what tells it from something else. */
const partMarks = {
  services: 'handlers',
  views: 'handler',
  sagas: 'sagaKind',
  topics: 'config',
  remote: 'messageKind',
} as const

function checkApp(name: string, options: AppOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new OptionsInvalidError(`app ${JSON.stringify(name)}`, [{ option: 'options', problem: 'is no object' }])
  }
  const problems: OptionProblem[] = unknownOptions(options, Object.keys(partMarks))
  for (const [option, mark] of Object.entries(partMarks) as [keyof AppOptions, string][]) {
    const parts: unknown = options[option] ?? []
    if (!Array.isArray(parts)) problems.push({ option, problem: 'is no list' })
    else if (
      !parts.every(
        (part: unknown) => (typeof part === 'object' || typeof part === 'function') && part !== null && mark in part,
      )
    ) {
      problems.push({ option, problem: `holds what ${option.slice(0, -1)}() did not make` })
    }
  }
  if (problems.length > 0) throw new OptionsInvalidError(`app ${JSON.stringify(name)}`, problems)
}
