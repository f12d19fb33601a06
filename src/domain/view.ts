import { ArgumentInvalidError } from '../engine/index.ts'
import {
  type Json,
  nameProblems,
  type OptionProblem,
  OptionsInvalidError,
  optionJson,
  unknownOptions,
} from '../kernel/index.ts'
import type { AnyEventDefinition, Message, MessageOf, ReadonlyData } from '../message/index.ts'
import {
  type DeadLetterMode,
  type Handler,
  none,
  on,
  orderingKeyProblem,
  orderingKeysMax,
  remove,
  set,
} from '../runtime/index.ts'
import { definitionListProblems, functionProblems } from './definition-list-problems.ts'

/** How a view makes state from events. */
export interface ViewOptions<Events extends readonly AnyEventDefinition[], State> {
  /** The events that build it. */
  readonly events: Events
  /**
   * Under which key the event counts, or under which keys, at most 1,000: once under each, all in one commit. `undefined` and an empty
   * list: it does not concern the view. Pure.
   */
  readonly key: (event: MessageOf<Events[number]>) => string | readonly string[] | undefined
  /** State of a key before its first event. JSON. */
  readonly initial: State
  /** For each event, by its type: the new state of its key, or of each of its keys; `undefined` forgets the key. Pure. */
  readonly on: {
    readonly [Type in Events[number]['type']]: (
      state: ReadonlyData<State>,
      event: Extract<MessageOf<Events[number]>, { readonly type: Type }>,
      key: string,
    ) => ReadonlyData<State> | undefined
  }
  /**
   * A whole number from 1. Raise it when the functions change: the view is then built anew, from zero, beside the version
   * that is live, which goes on serving reads until the new one takes its place. Default 1.
   */
  readonly version?: number
  /**
   * When a copy that is built anew takes the place of the live one. `'when-caught-up'`: as soon as it has taken in all that
   * was published, and no process runs the program of the version before it any more. Of an inline view nobody can tell who
   * runs the version before it, so its copy does not wait for them: give `adapt`, or choose `'manual'`, where the values of the
   * versions differ in shape. `'manual'`: when `running.view(…).copies.swap()` or `millrace views swap` says so. Default
   * `'when-caught-up'`.
   */
  readonly rebuild?: RebuildPolicy
  /**
   * What this program shows of a value that another version has made, while that version is live: values change their shape
   * with their version. Default: the value as it is.
   */
  readonly adapt?: (value: Json, version: number) => State
  /**
   * `true`: it is kept up to date in the commits of the deciders that append its events, so whoever asked reads their own
   * writes. It takes events of deciders only, neither what is published nor what handlers append by themselves.
   * Default `false`: it follows the topics of its events.
   */
  readonly inline?: boolean
  /** What happens to later events of a key when one cannot be applied. Default `'park-key'`: they wait behind it. */
  readonly onDeadLetter?: DeadLetterMode
}

/** When a copy of a view that is built anew takes the place of the live one. */
export type RebuildPolicy = 'when-caught-up' | 'manual'

/** A read model: state per key, built from events, exactly once. Made by {@link view}. */
export interface View<State = unknown> {
  readonly name: string
  readonly version: number
  readonly initial: State
  readonly inline: boolean
  readonly rebuild: RebuildPolicy
  /** What is shown of a value that was made by a version, this one or another. */
  adapt(value: Json, version: number): State
  /** What the runtime runs. */
  readonly handler: Handler
  /** An event of whatever version as the current version of its definition. */
  read(event: Message): Message
  /** Under which keys an event counts, each once; none: it does not concern the view. */
  keysOf(event: Message): readonly string[]
  /** The state of a key after an event; `undefined`: it is forgotten. */
  apply(state: State, event: Message, key: string): State | undefined
}

/** State of a view by the type: `StateOf<typeof dailyRevenue>`. */
export type StateOf<V> = V extends View<infer State> ? State : never

/**
 * Declares a view: what a reader wants to know, kept up to date by events.
 *
 * Each event changes the state of one key, exactly once, in its order on its partition. The functions are pure and answer
 * at once; an event on which one throws becomes a dead letter without further attempts. An event that counts under several keys fails
 * under each of them by itself.
 *
 * @param name Letters, digits, `_` and `-`.
 * @throws OptionsInvalidError `OPTIONS_INVALID`, naming all options that are wrong.
 *
 * @example
 * ```ts
 * const ordersPerDay = view('orders-per-day', {
 *   events: [OrderPlaced, OrderCancelled],
 *   key: (event) => event.time.slice(0, 10),
 *   initial: { open: 0 },
 *   on: {
 *     OrderPlaced: (day) => ({ open: day.open + 1 }),
 *     OrderCancelled: (day) => (day.open === 1 ? undefined : { open: day.open - 1 }),
 *   },
 * })
 *
 * const balances = view('balances', {
 *   events: [MoneyMoved],
 *   key: ({ data }) => [data.from, data.to],
 *   initial: 0,
 *   on: { MoneyMoved: (cents, { data }, account) => cents + (account === data.to ? data.cents : -data.cents) },
 * })
 * ```
 */
export function view<const Events extends readonly [AnyEventDefinition, ...AnyEventDefinition[]], State>(
  name: string,
  options: ViewOptions<Events, State>,
): View<State> {
  const version = options?.version ?? 1
  const initial = checkView(name, version, options) as State
  const initialState: unknown = initial
  const functions = options.on as unknown as Readonly<Record<string, StateFunction>>
  const apply = (state: unknown, event: Message, key: string): unknown => functions[event.type]?.(state, event, key)
  const keyOf = options.key as (event: Message) => string | readonly string[] | undefined
  const handler = on(
    options.events,
    {
      name: `${name}.v${version}`,
      state: { initial: initialState },
      retry: none,
      onDeadLetter: options.onDeadLetter ?? 'park-key',
      early: true,
    },
    (event, state, _ctx, key?: string) => {
      const next = apply(state, event, key as string)
      return next === undefined ? remove() : set(next)
    },
  )
  const definitions = new Map(options.events.map((definition) => [definition.type, definition]))
  return Object.freeze({
    name,
    version,
    initial,
    inline: options.inline ?? false,
    rebuild: options.rebuild ?? 'when-caught-up',
    adapt: (value: Json, from: number) =>
      from === version || options.adapt === undefined ? (value as State) : options.adapt(value, from),
    handler: Object.freeze({ ...handler, key: keyOf, countsByKey: true }),
    read: (event: Message) => definitions.get(event.type)?.read(event) ?? event,
    keysOf: (event: Message) => listed(name, keyOf(event)),
    apply: (state: State, event: Message, key: string) => apply(state, event, key) as State | undefined,
  })
}

/** Refuses what `view` has not made. @throws ArgumentInvalidError `ARGUMENT_INVALID` */
export function checkIsView(view: View): void {
  if (typeof (view as View | undefined)?.keysOf === 'function') return
  throw new ArgumentInvalidError('the view', 'is none that view() has made')
}

type StateFunction = (state: unknown, event: Message, key: string) => unknown

function listed(name: string, key: string | readonly string[] | undefined): readonly string[] {
  if (key === undefined) return []
  const keys = typeof key === 'string' ? [key] : [...new Set(key)]
  for (const one of keys) {
    const problem = orderingKeyProblem(one)
    if (problem !== undefined) throw new ArgumentInvalidError(`a key of view ${JSON.stringify(name)}`, problem)
  }
  if (keys.length <= orderingKeysMax) return keys
  throw new ArgumentInvalidError(
    `the keys of view ${JSON.stringify(name)}`,
    `are ${keys.length}, more than ${orderingKeysMax}`,
  )
}

const viewOptions = ['events', 'key', 'initial', 'on', 'version', 'inline', 'onDeadLetter', 'rebuild', 'adapt']

/** Options after their types have done their work. */
interface ErasedViewOptions {
  readonly events?: unknown
  readonly key?: unknown
  readonly initial?: unknown
  readonly inline?: unknown
  readonly on?: unknown
  readonly onDeadLetter?: unknown
  readonly rebuild?: unknown
  readonly adapt?: unknown
}

/** Answers the initial state, frozen. */
function checkView(name: string, version: number, given: ErasedViewOptions | undefined): unknown {
  const options = given ?? {}
  const problems: OptionProblem[] = [
    ...nameProblems(name),
    ...unknownOptions(options, viewOptions),
    ...definitionListProblems('events', 'event', options.events),
  ]
  if (!Number.isSafeInteger(version) || version < 1) {
    problems.push({ option: 'version', problem: `is ${version}, not a whole number from 1` })
  }
  if (typeof options.key !== 'function') problems.push({ option: 'key', problem: 'is not a function' })
  if (!['boolean', 'undefined'].includes(typeof options.inline)) {
    problems.push({ option: 'inline', problem: 'is neither true nor false' })
  }
  if (!['when-caught-up', 'manual', undefined].includes(options.rebuild as string | undefined)) {
    problems.push({ option: 'rebuild', problem: "is neither 'when-caught-up' nor 'manual'" })
  }
  if (!['function', 'undefined'].includes(typeof options.adapt)) {
    problems.push({ option: 'adapt', problem: 'is not a function' })
  }
  if (!['park-key', 'continue', undefined].includes(options.onDeadLetter as string | undefined)) {
    problems.push({ option: 'onDeadLetter', problem: "is neither 'park-key' nor 'continue'" })
  }
  problems.push(...functionProblems('on', options.events, options.on))
  const initial = optionJson('initial', options.initial, problems)
  if (problems.length > 0) throw new OptionsInvalidError(`view ${JSON.stringify(name)}`, problems)
  return initial
}
