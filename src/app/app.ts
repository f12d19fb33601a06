import type { View } from '../domain/index.ts'
import { nameProblems, type OptionProblem, OptionsInvalidError, takenNames, unknownOptions } from '../kernel/index.ts'
import type { AnyCommandDefinition, AnyQueryDefinition } from '../message/index.ts'
import type { TopicDeclaration } from '../runtime/index.ts'
import type { AnySaga } from '../saga/index.ts'
import { handledTwice } from './command-handlers.ts'
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
   *
   * @throws EngineLacksError `ENGINE_LACKS`, StoreMissingError `STORE_MISSING`, GuaranteeMissingError `GUARANTEE_MISSING`: the engine does not
   *   do what the app needs, which {@link explain} tells beforehand; StartRefusedError `START_REFUSED`: for several of these reasons
   */
  start(options: StartOptions): Promise<RunningApp>
}

/**
 * Puts services and views together.
 *
 * @param name 1 to 100 letters, digits, `_` and `-`; stable over deployments.
 * @throws OptionsInvalidError `OPTIONS_INVALID`, naming all that is wrong: also two parts of one name, and two that handle the same
 *   command or query.
 *
 * @example
 * ```ts
 * const shop = app('shop', { services: [ordering, payment], views: [dailyRevenue] })
 * await using running = await shop.start({ engine: embedded({ path: 'shop.db' }) })
 * ```
 */
export function app(name: string, options: AppOptions = {}): App {
  checkApp(name, options)
  const services = Object.freeze([...(options.services ?? [])])
  const views = Object.freeze([...(options.views ?? [])])
  const sagas = Object.freeze([...(options.sagas ?? [])])
  const topics = Object.freeze([...(options.topics ?? [])])
  const remote = Object.freeze([...(options.remote ?? [])])
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
function missingChildren(sagas: readonly AnySaga[]): OptionProblem[] {
  return sagas.flatMap((saga) =>
    Object.values(saga.definition.children)
      .filter((child) => !sagas.includes(child))
      .map((child) => ({ option: 'sagas', problem: `lacks ${child.name}, a child of ${saga.name}` })),
  )
}

/** Each option with what tells its parts from something else, and with who makes them. */
const parts = {
  services: { mark: 'handlers', maker: 'service()' },
  views: { mark: 'handler', maker: 'view()' },
  sagas: { mark: 'sagaKind', maker: 'saga()' },
  topics: { mark: 'config', maker: 'topic()' },
  remote: { mark: 'messageKind', maker: 'command() or query()' },
} as const

function checkApp(name: string, options: AppOptions): void {
  const problems = nameProblems(name)
  if (typeof options === 'object' && options !== null) problems.push(...partProblems(options))
  else problems.push({ option: 'options', problem: 'is no object' })
  if (problems.length > 0) throw new OptionsInvalidError(`app ${JSON.stringify(name)}`, problems)
}

function partProblems(options: AppOptions): OptionProblem[] {
  const problems = unknownOptions(options, Object.keys(parts))
  /** Those parts of an option that are what they should be. */
  const partsOf = <Option extends keyof AppOptions>(option: Option): NonNullable<AppOptions[Option]> => {
    const { mark, maker } = parts[option]
    const given: unknown = options[option] ?? []
    const list: readonly unknown[] = Array.isArray(given) ? given : []
    const isPart = (one: unknown): boolean =>
      (typeof one === 'object' || typeof one === 'function') && one !== null && mark in one
    if (list !== given) problems.push({ option, problem: 'is no list' })
    else if (!list.every(isPart)) problems.push({ option, problem: `holds what ${maker} did not make` })
    return list.filter(isPart) as unknown as NonNullable<AppOptions[Option]>
  }
  const services = partsOf('services')
  const sagas = partsOf('sagas')
  problems.push(
    ...takenNames('services', services),
    ...takenNames('views', partsOf('views')),
    ...takenNames('sagas', sagas),
    ...missingChildren(sagas),
    ...handledTwice(services, partsOf('remote')),
  )
  partsOf('topics')
  return problems
}
