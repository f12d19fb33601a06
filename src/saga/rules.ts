import { type Duration, type OptionProblem, OptionsInvalidError, optionMs, unknownOptions } from '../kernel/index.ts'
import type { AnyEventDefinition, DataOf } from '../message/index.ts'
import type { PublishEffect, SendEffect } from '../runtime/index.ts'

/** Ends a process. Made by {@link end}. */
export interface EndEffect {
  readonly kind: 'end'
  readonly outcome: string
}

/** What a rule wants to become real. */
export type Reaction =
  | PublishEffect
  | SendEffect
  | EndEffect
  | undefined
  | false
  | readonly (PublishEffect | SendEffect | EndEffect | undefined | false)[]

/** What a rule is told besides. */
export interface RuleContext {
  /** Key of the process. */
  readonly key: string
  /** Time of the event that made it apply, or at which its time-out was due, in milliseconds since 1970. */
  readonly nowMs: number
  /** When the process began, in milliseconds since 1970. */
  readonly startedMs: number
}

/** Data of the events of a process that have come, by type. */
export type SeenOf<Events extends readonly AnyEventDefinition[]> = {
  readonly [Definition in Events[number] as Definition['type']]: DataOf<Definition>
}

/** What happens in a process when something has come, or has not. Made by {@link allOf}, {@link anyOf} and {@link timeout}. */
export interface Rule {
  readonly kind: 'all-of' | 'any-of' | 'timeout'
  readonly name: string
  /** Types of events: all of which, one of which, or without which. */
  readonly types: readonly string[]
  /** Of a time-out: type of the event from which it counts. */
  readonly since: string | undefined
  readonly after: Duration | undefined
  readonly definitions: readonly AnyEventDefinition[]
  readonly react: (seen: Readonly<Record<string, unknown>>, ctx: RuleContext) => Reaction
}

/** Ends the process: what comes later is late. `outcome` says how, for people. */
export function end(outcome = 'ended'): EndEffect {
  return Object.freeze({ kind: 'end', outcome })
}

export function isEvents(given: unknown): given is readonly AnyEventDefinition[] {
  return Array.isArray(given) && given.every((one) => one?.messageKind === 'event')
}

type Definitions = readonly [AnyEventDefinition, ...AnyEventDefinition[]]

/**
 * When all of these have come, in any order: once in a process.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`, as the other rules do
 *
 * @example
 * ```ts
 * allOf([OrderPlaced, PaymentReceived], ({ OrderPlaced }) => [publish(OrderConfirmed({ orderId: OrderPlaced.orderId })), end()])
 * ```
 */
export function allOf<const Events extends Definitions>(
  events: Events,
  react: (seen: SeenOf<Events>, ctx: RuleContext) => Reaction,
): Rule {
  return ruleOf('all-of', events, react as Rule['react'])
}

/** When the first of these has come: once in a process. Those that have not come are not among what it is told. */
export function anyOf<const Events extends Definitions>(
  events: Events,
  react: (seen: Partial<SeenOf<Events>>, ctx: RuleContext) => Reaction,
): Rule {
  return ruleOf('any-of', events, react as Rule['react'])
}

/**
 * When so much time has passed since an event and none of some others has come: once in a process. It is durable, never early,
 * and at most a second late.
 *
 * @example
 * ```ts
 * timeout({ after: '15m', since: OrderPlaced, unless: [PaymentReceived] }, ({ OrderPlaced }) => [
 *   publish(OrderCancelled({ orderId: OrderPlaced.orderId })),
 *   end('nobody paid'),
 * ])
 * ```
 */
export function timeout<const Since extends AnyEventDefinition>(
  options: {
    readonly after: Duration
    readonly since: Since
    /** Events that call it off. Default: only the end of the process. */
    readonly unless?: readonly AnyEventDefinition[]
  },
  react: (seen: SeenOf<readonly [Since]>, ctx: RuleContext) => Reaction,
): Rule {
  const { after, since, unless = [] } = options
  const problems = unknownOptions(options, ['after', 'since', 'unless'])
  if (since?.messageKind !== 'event') problems.push({ option: 'since', problem: 'is not the definition of an event' })
  if (!isEvents(unless)) problems.push({ option: 'unless', problem: 'is not a list of definitions of events' })
  optionMs('after', after, 0, problems)
  if (typeof react !== 'function') problems.push({ option: 'react', problem: 'is not a function' })
  if (problems.length > 0) throw new OptionsInvalidError('timeout()', problems)
  const types = unless.map(({ type }) => type)
  return Object.freeze({
    kind: 'timeout',
    name: `${after} after ${since.type}${types.length === 0 ? '' : ` without ${types.join(', ')}`}`,
    types,
    since: since.type,
    after,
    definitions: [since, ...unless],
    react: react as Rule['react'],
  })
}

function ruleOf(kind: 'all-of' | 'any-of', definitions: Definitions, react: Rule['react']): Rule {
  const problems: OptionProblem[] = []
  if (!isEvents(definitions) || definitions.length === 0) {
    problems.push({ option: 'events', problem: 'is not a list of definitions of events, at least one' })
  }
  if (typeof react !== 'function') problems.push({ option: 'react', problem: 'is not a function' })
  if (problems.length > 0) throw new OptionsInvalidError(kind === 'all-of' ? 'allOf()' : 'anyOf()', problems)
  const types = definitions.map(({ type }) => type)
  const name = `${kind === 'all-of' ? 'all' : 'any'} of ${types.join(', ')}`
  return Object.freeze({ kind, name, types, since: undefined, after: undefined, definitions, react })
}
