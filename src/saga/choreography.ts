import {
  type Duration,
  type Json,
  type OptionProblem,
  OptionsInvalidError,
  optionMs,
  unknownOptions,
} from '../kernel/index.ts'
import { type AnyEventDefinition, causeTypeOf, type Message, type MessageOf } from '../message/index.ts'
import {
  byError,
  cancel,
  type Effect,
  exponential,
  type Handler,
  handlerNameProblems,
  none,
  on,
  type RetryPolicy,
  remove,
  schedule,
  set,
} from '../runtime/index.ts'
import {
  type CorrelationPolicy,
  nextLookMs,
  onAgain,
  onEvent,
  onTime,
  type ProcessRules,
  type Reacted,
} from './process.ts'
import { pastMaxMax, withPast } from './process-record.ts'
import type { HeldEvent, ProcessState } from './process-state.ts'
import { isEvents, type Rule } from './rules.ts'

/** How a choreography is declared. */
export interface ChoreographyOptions<Events extends readonly AnyEventDefinition[]> {
  /** The events that concern it. */
  readonly events: Events
  /** Those of them that begin a process. */
  readonly starts: readonly Events[number][]
  /** What happens when which of them have come, or have not. */
  readonly rules: readonly Rule[]
  /** To which process an event belongs. Default: its partition key. */
  readonly key?: (event: MessageOf<Events[number]>) => string
  /**
   * What happens to an event whose process has not begun. `'redeliver'`: it waits for the beginning, in order; if there is none
   * within `hold`, that becomes a dead letter, and the event goes on waiting. Default `'redeliver'`.
   */
  readonly missing?: CorrelationPolicy
  /**
   * What happens to an event whose process has ended. `'redeliver'`: once what is kept of the process is forgotten, the event
   * comes again, and may begin a new one. Default `'ignore'`.
   */
  readonly late?: CorrelationPolicy
  /** How long an event waits for the beginning of its process before somebody is told. Default `'1h'`. */
  readonly hold?: Duration
  /** How long it is kept that a process has ended, at least 1 s: what comes in this time is late. Default `'1d'`. */
  readonly keep?: Duration
  /** When an event is tried again for which a rule throws. Default `exponential()`: 5 attempts. */
  readonly retry?: RetryPolicy
  /**
   * So many of the last things that happened to a process are kept for those who look at its past, 0 to 1,000, and no more than
   * 65,536 characters of JSON. A process is written as a whole with each event, so fewer are cheaper where one hears of thousands.
   * Default 100.
   */
  readonly past?: number
}

/** A choreography: a handler, to be put into a service. Made by {@link choreography}. */
export interface Choreography extends Handler {
  readonly choreography: ProcessRules
}

/**
 * Declares a choreography: a process that has no conductor. Events of several types come in any order, are told apart by key,
 * and rules say what follows when all or one of them have come, or when one has not come in time.
 *
 * It is a function of the events, so it can be tested as one, and what it publishes becomes real exactly once, as with any
 * handler. A process that has ended stays so.
 *
 * @param name 1 to 255 printable characters without white space, unique in its service.
 * @throws OptionsInvalidError `OPTIONS_INVALID`, naming all options that are wrong.
 *
 * @example
 * ```ts
 * const fulfilment = choreography('fulfilment', {
 *   events: [OrderPlaced, PaymentReceived, StockReserved, PaymentDeclined],
 *   starts: [OrderPlaced],
 *   rules: [
 *     allOf([OrderPlaced, PaymentReceived, StockReserved], ({ OrderPlaced: { orderId } }) => [
 *       publish(OrderConfirmed({ orderId })),
 *       end('confirmed'),
 *     ]),
 *     anyOf([PaymentDeclined], (_seen, { key }) => [publish(OrderRejected({ orderId: key })), end('declined')]),
 *     timeout({ after: '15m', since: OrderPlaced, unless: [PaymentReceived] }, (_seen, { key }) => [
 *       publish(OrderRejected({ orderId: key })),
 *       end('nobody paid'),
 *     ]),
 *   ],
 * })
 * const shop = app('shop', { services: [service('fulfilment', [fulfilment])] })
 * ```
 */
export function choreography<const Events extends readonly [AnyEventDefinition, ...AnyEventDefinition[]]>(
  name: string,
  options: ChoreographyOptions<Events>,
): Choreography {
  const process = processOf(name, options)
  const { key: keyOf, retry } = options
  const keyed = keyOf as ((event: Message) => string) | undefined
  const handler = on(
    options.events,
    {
      name,
      ...(keyOf !== undefined && { key: keyOf as never }),
      state: { initial: null as ProcessState | null },
      early: true,
      retry: byError([{ on: ['CORRELATION_MISSING', 'CORRELATION_LATE'], use: none }], retry ?? exponential()),
      timers: {
        look: (timer, state, ctx) => {
          const nowMs = ctx.nowMs()
          return effectsOf(process, onTime(process, state, timer.key, nowMs), undefined, nowMs)
        },
        again: (timer, state, ctx) => {
          const nowMs = ctx.nowMs()
          const events = timer.data as readonly HeldEvent[]
          return effectsOf(process, onAgain(process, state, events, timer.key, nowMs), state ?? undefined, nowMs)
        },
      },
    },
    (event: Message, state, ctx) => {
      const key = keyed === undefined ? event.partitionkey : keyed(event)
      const held = heldEvent(event)
      const nowMs = ctx.nowMs()
      return effectsOf(process, onEvent(process, state, held, key as string, nowMs), state ?? undefined, nowMs)
    },
  )
  return Object.freeze({ ...handler, choreography: process })
}

function heldEvent(event: Message): HeldEvent {
  const { type, data, dataversion: version, id, causationid } = event
  const held = { type, data: data as Json, version, id }
  if (causationid === undefined) return held
  const causeType = causeTypeOf(event)
  return { ...held, cause: { id: causationid, ...(causeType !== undefined && { type: causeType }) } }
}

/** What has become of a process, the timer for its next look, and one for what it could not take in. */
function effectsOf(
  process: ProcessRules,
  { state, effects, refused, from, occurred }: Reacted,
  before: ProcessState | undefined,
  nowMs: number,
): readonly Effect<ProcessState | null>[] {
  const looked = state && lookedAt(process, state)
  const lookMs = looked?.lookMs
  const timer =
    lookMs === before?.lookMs ? [] : lookMs === undefined ? [cancel('look')] : [schedule('look', { at: lookMs })]
  // By itself, so that it is tried again and given up without what it waited for. It is due before any other can be: a process
  // that has ended is kept for a while.
  const events = refused.map(({ event }) => event)
  const again = events.length === 0 ? [] : [schedule('again', { at: nowMs }, events)]
  if (looked === undefined) return [remove(), ...effects, ...timer, ...again]
  const steps = occurred.map((one) => {
    const after = one.state === state ? looked : one.state && lookedAt(process, one.state)
    return { ...one, state: after }
  })
  return [set(withPast(from, steps, looked, nowMs, process.pastMax)), ...effects, ...timer, ...again]
}

/** The process, with the time at which it has to be looked at next. */
function lookedAt(process: ProcessRules, { lookMs: _before, ...state }: ProcessState): ProcessState {
  const lookMs = nextLookMs(process, state)
  return lookMs === undefined ? state : { ...state, lookMs }
}

const choreographyOptions = ['events', 'starts', 'rules', 'key', 'missing', 'late', 'hold', 'keep', 'retry', 'past']

const policies: ReadonlySet<unknown> = new Set(['redeliver', 'dead-letter', 'ignore'])

function listed<One>(option: string, given: readonly One[] | undefined, problems: OptionProblem[]): readonly One[] {
  if (Array.isArray(given)) return given as readonly One[]
  if (given !== undefined) problems.push({ option, problem: 'is no list' })
  return []
}

function processOf(name: string, options: ChoreographyOptions<readonly AnyEventDefinition[]>): ProcessRules {
  const given: Partial<ChoreographyOptions<readonly AnyEventDefinition[]>> = options ?? {}
  const problems: OptionProblem[] = [...handlerNameProblems(name), ...unknownOptions(given, choreographyOptions)]
  const { missing = 'redeliver', late = 'ignore' } = given
  if (!isEvents(given.events)) problems.push({ option: 'events', problem: 'is not a list of definitions of events' })
  const events = isEvents(given.events) ? given.events : []
  const starts = listed('starts', given.starts, problems)
  const rules = listed('rules', given.rules, problems)
  if ((given.starts ?? []).length === 0) problems.push({ option: 'starts', problem: 'is empty' })
  for (const start of starts) {
    if (!events.includes(start))
      problems.push({ option: 'starts', problem: `holds ${start?.type}, which is none of its events` })
  }
  const names = new Set<string>()
  for (const rule of rules) {
    if (!Array.isArray(rule?.definitions)) {
      problems.push({ option: 'rules', problem: 'holds what allOf(), anyOf() and timeout() did not make' })
      continue
    }
    if (names.has(rule.name)) problems.push({ option: 'rules', problem: `holds "${rule.name}" twice` })
    names.add(rule.name)
    for (const definition of rule.definitions) {
      if (events.includes(definition)) continue
      problems.push({ option: 'rules', problem: `holds "${rule.name}", but ${definition.type} is none of its events` })
    }
    if (rule.after !== undefined) optionMs('rules', rule.after, 0, problems)
  }
  for (const [option, policy] of Object.entries({ missing, late })) {
    if (!policies.has(policy)) problems.push({ option, problem: `is ${policy}, not redeliver, dead-letter or ignore` })
  }
  if (!['function', 'undefined'].includes(typeof given.key))
    problems.push({ option: 'key', problem: 'is not a function' })
  if (given.retry !== undefined && typeof given.retry?.delayMs !== 'function') {
    problems.push({ option: 'retry', problem: 'is no retry policy, such as fixed() or exponential() make' })
  }
  const { past: pastMax = 100 } = given
  if (!Number.isSafeInteger(pastMax) || pastMax < 0 || pastMax > pastMaxMax) {
    problems.push({ option: 'past', problem: `is ${String(pastMax)}, not a whole number from 0 to ${pastMaxMax}` })
  }
  const process = {
    name,
    starts: new Set(starts.map((start) => start?.type)),
    definitions: new Map(events.map((definition) => [definition?.type, definition])),
    rules,
    missing,
    late,
    holdMs: optionMs('hold', given.hold ?? '1h', 0, problems),
    keepMs: optionMs('keep', given.keep ?? '1d', 1000, problems),
    pastMax,
  }
  if (problems.length > 0) throw new OptionsInvalidError(`choreography ${JSON.stringify(name)}`, problems)
  return process
}
