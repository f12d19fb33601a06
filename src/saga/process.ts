import { durationMs, type Json } from '../kernel/index.ts'
import type { AnyEventDefinition } from '../message/index.ts'
import type { PublishEffect, SendEffect } from '../runtime/index.ts'
import { CorrelationLateError, CorrelationMissingError, InboxFullError } from './errors.ts'
import { currentData } from './kept-data.ts'
import type { HeldEvent, ProcessOccurrence, ProcessState } from './process-state.ts'
import type { Rule, RuleContext } from './rules.ts'
import { hasRoom, waitingCountMax } from './waiting.ts'

/** What happens to an event whose process has not begun, or has ended. */
export type CorrelationPolicy = 'redeliver' | 'dead-letter' | 'ignore'

/** What a process is made of. */
export interface ProcessRules {
  readonly name: string
  /** Types of events that begin a process. */
  readonly starts: ReadonlySet<string>
  /** Its events, by type. */
  readonly definitions: ReadonlyMap<string, AnyEventDefinition>
  readonly rules: readonly Rule[]
  readonly missing: CorrelationPolicy
  readonly late: CorrelationPolicy
  readonly holdMs: number
  readonly keepMs: number
  /** So many things that happened are kept. */
  readonly pastMax: number
}

/** One thing that an event or a time did to a process. */
export interface Occurred {
  readonly what: ProcessOccurrence
  readonly event?: HeldEvent
  /** Why it was refused. */
  readonly error?: unknown
  /** The process after it. */
  readonly state: ProcessState | undefined
}

/** What an event or a time made of a process; without a state it is forgotten. */
export interface Reacted {
  readonly state: ProcessState | undefined
  /** The process before what occurred; `undefined`: there was none, or it was forgotten. */
  readonly from: ProcessState | undefined
  /** All that occurred, in order. */
  readonly occurred: readonly Occurred[]
  readonly effects: readonly (PublishEffect | SendEffect)[]
  /** What had waited, and could not be taken in when its time had come: by its policy, or because a rule threw. */
  readonly refused: readonly { readonly event: HeldEvent; readonly error: unknown }[]
}

/**
 * What an event makes of a process. Pure.
 *
 * @throws CorrelationMissingError, CorrelationLateError: where the policy is `dead-letter`
 */
export function onEvent(
  rules: ProcessRules,
  state: ProcessState | null,
  event: HeldEvent,
  key: string,
  nowMs: number,
): Reacted {
  const policy = policyFor(rules, state, event.type)
  if (policy === undefined) return apply(rules, state, event, key, nowMs)
  if (policy === 'ignore') return unchanged(state)
  if (policy === 'dead-letter') throw refusal(rules, state, key, [event])
  if (!hasRoom(state?.held ?? [], event)) throw new InboxFullError(rules.name, key, waitingCountMax)
  const base = state ?? { ...blank, status: 'expected', startedMs: nowMs, changedMs: nowMs }
  return changed(state, { ...base, held: [...base.held, event] }, 'waits', event)
}

/**
 * What events make of a process that it could not take in before. Pure.
 *
 * @throws when it can take in none of them now either
 */
export function onAgain(
  rules: ProcessRules,
  state: ProcessState | null,
  events: readonly HeldEvent[],
  key: string,
  nowMs: number,
): Reacted {
  const reacted = redeliver(rules, unchanged(state), events, key, nowMs)
  const [first] = reacted.refused
  if (first === undefined || reacted.refused.length < events.length) return reacted
  const isByPolicy = first.error instanceof CorrelationLateError || first.error instanceof CorrelationMissingError
  throw isByPolicy ? refusal(rules, state, key, events) : first.error
}

function unchanged(state: ProcessState | null): Reacted {
  return { state: state ?? undefined, from: state ?? undefined, occurred: [], effects: [], refused: [] }
}

function changed(
  from: ProcessState | null,
  state: ProcessState,
  what: ProcessOccurrence,
  event?: HeldEvent,
  effects: Reacted['effects'] = [],
): Reacted {
  const one = { what, ...(event !== undefined && { event }), state }
  return { state, from: from ?? undefined, occurred: [one], effects, refused: [] }
}

/** Why events are not taken in where the policy is `dead-letter`. */
function refusal({ name }: ProcessRules, state: ProcessState | null, key: string, events: readonly HeldEvent[]): Error {
  const types = events.map(({ type }) => type)
  if (state?.status !== 'ended') return new CorrelationMissingError(name, key, types)
  return new CorrelationLateError(name, key, types.join(', '), state.outcome ?? '')
}

/** When the process has to be looked at next; `undefined`: no time makes a difference. */
export function nextLookMs(rules: ProcessRules, state: ProcessState): number | undefined {
  if (state.status === 'ended') return state.changedMs + rules.keepMs
  if (state.status === 'expected') return state.changedMs + rules.holdMs
  const dues = rules.rules.map((rule) => dueMs(rule, state)).filter((due) => due !== undefined)
  return dues.length === 0 ? undefined : Math.min(...dues)
}

/**
 * What has fallen due in a process. Pure.
 *
 * @throws CorrelationMissingError: nothing has begun it in time
 */
export function onTime(rules: ProcessRules, state: ProcessState | null, key: string, nowMs: number): Reacted {
  if (state === null || (nextLookMs(rules, state) ?? Number.POSITIVE_INFINITY) > nowMs) {
    return unchanged(state)
  }
  if (state.status === 'expected') throw refusal(rules, state, key, state.held)
  if (state.status === 'ended') return afterEnd(rules, state, key, nowMs)
  const settled = settle(rules, state, key, nowMs)
  return changed(state, settled.state, 'due', undefined, settled.effects)
}

const blank: ProcessState = Object.freeze({
  status: 'open',
  seen: {},
  cameMs: {},
  applied: [],
  held: [],
  outcome: null,
  startedMs: 0,
  changedMs: 0,
})

function policyFor(rules: ProcessRules, state: ProcessState | null, type: string): CorrelationPolicy | undefined {
  if (state?.status === 'ended') return rules.late
  return state?.status === 'open' || rules.starts.has(type) ? undefined : rules.missing
}

function apply(rules: ProcessRules, state: ProcessState | null, event: HeldEvent, key: string, nowMs: number): Reacted {
  const isNew = state?.status !== 'open'
  const base = isNew ? { ...blank, startedMs: nowMs, changedMs: nowMs } : state
  const { type, data, version } = event
  const seen = { ...base.seen, [type]: data }
  const versions = version === undefined ? base.versions : { ...base.versions, [type]: version }
  const cameMs = Object.hasOwn(base.cameMs, type) ? base.cameMs : { ...base.cameMs, [type]: nowMs }
  const next = { ...base, seen, cameMs, ...(versions !== undefined && { versions }) }
  const settled = settle(rules, next, key, nowMs)
  const first = changed(state, settled.state, isNew ? 'started' : 'came', event, settled.effects)
  return isNew && state !== null ? redeliver(rules, first, state.held, key, nowMs) : first
}

/** What was held comes in its order, as if it came now. Nothing of it stands in the way of the others, or of what it waited for. */
function redeliver(
  rules: ProcessRules,
  start: Reacted,
  held: readonly HeldEvent[],
  key: string,
  nowMs: number,
): Reacted {
  let current = start
  for (const event of held) {
    try {
      const { state, effects, occurred } = onEvent(rules, current.state ?? null, event, key, nowMs)
      current = {
        ...current,
        state,
        occurred: [...current.occurred, ...occurred],
        effects: [...current.effects, ...effects],
      }
    } catch (error) {
      const one: Occurred = { what: 'refused', event, error, state: current.state }
      const refused = [...current.refused, { event, error }]
      current = { ...current, occurred: [...current.occurred, one], refused }
    }
  }
  return current
}

/** What is kept of a process that has ended is forgotten; what came late begins a new one, or waits for its beginning. */
function afterEnd(rules: ProcessRules, state: ProcessState, key: string, nowMs: number): Reacted {
  return redeliver(rules, unchanged(null), state.held, key, nowMs)
}

/** Applies all rules that hold, each once, until the process has ended. */
function settle(
  rules: ProcessRules,
  start: ProcessState,
  key: string,
  nowMs: number,
): { readonly state: ProcessState; readonly effects: Reacted['effects'] } {
  let state = start
  const effects: (PublishEffect | SendEffect)[] = []
  for (const rule of rules.rules) {
    if (state.status === 'ended') break
    if (!holds(rule, state, nowMs)) continue
    state = { ...state, applied: [...state.applied, rule.name] }
    const ctx: RuleContext = { key, nowMs: dueMs(rule, start) ?? nowMs, startedMs: state.startedMs }
    for (const effect of [rule.react(seenBy(rules, rule, state), ctx)].flat()) {
      if (effect === undefined || effect === false) continue
      if (effect.kind === 'end') state = { ...state, status: 'ended', outcome: effect.outcome, changedMs: nowMs }
      else effects.push(effect)
    }
  }
  return { state, effects }
}

function holds(rule: Rule, state: ProcessState, nowMs: number): boolean {
  if (state.applied.includes(rule.name)) return false
  if (rule.kind === 'all-of') return rule.types.every((type) => Object.hasOwn(state.seen, type))
  if (rule.kind === 'any-of') return rule.types.some((type) => Object.hasOwn(state.seen, type))
  return (dueMs(rule, state) ?? Number.POSITIVE_INFINITY) <= nowMs
}

/** When a time-out is due that nothing has called off. */
function dueMs({ kind, name, since, after, types }: Rule, state: ProcessState): number | undefined {
  if (kind !== 'timeout' || since === undefined || !Object.hasOwn(state.cameMs, since)) return undefined
  if (state.applied.includes(name) || types.some((type) => Object.hasOwn(state.seen, type))) return undefined
  return (state.cameMs[since] as number) + durationMs(after ?? 0)
}

/** What a rule is told: data that has been kept for a while as the program at hand knows it. */
function seenBy(
  { definitions }: ProcessRules,
  { kind, types, since }: Rule,
  { seen, versions = {} }: ProcessState,
): Readonly<Record<string, unknown>> {
  const wanted = (kind === 'timeout' ? [since as string] : types).filter((type) => Object.hasOwn(seen, type))
  return Object.fromEntries(
    wanted.map((type) => {
      const version = Object.hasOwn(versions, type) ? versions[type] : undefined
      return [type, currentData(definitions.get(type), seen[type] as Json, version)]
    }),
  )
}
