import { durationMs, type Json } from '../kernel/index.ts'
import type { AnyEventDefinition } from '../message/index.ts'
import type { PublishEffect, SendEffect } from '../runtime/index.ts'
import { CorrelationLateError, CorrelationMissingError, InboxFullError } from './errors.ts'
import { currentData } from './kept-data.ts'
import type { Rule, RuleContext } from './rules.ts'
import { hasRoom, waitingCountMax } from './waiting.ts'

/** What happens to an event whose process has not begun, or has ended. */
export type CorrelationPolicy = 'redeliver' | 'dead-letter' | 'ignore'

/** An event that waits for its process. */
export interface HeldEvent {
  readonly type: string
  readonly data: Json
  /** Version of its definition by which the data was made. */
  readonly version?: number
}

/**
 * - `expected`: events came before the one that begins it.
 * - `open`: it is under way.
 * - `ended`: what comes now is late.
 */
export type ProcessStatus = 'expected' | 'open' | 'ended'

/** All that a process can be. */
export const processStatuses: readonly ProcessStatus[] = Object.freeze(['expected', 'open', 'ended'] as const)

/** Whether what a handler keeps under a key is a process. */
export function isProcessState(kept: unknown): boolean {
  const { status, seen, cameMs, applied, held } = (kept ?? {}) as Partial<ProcessState>
  const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null
  return (
    processStatuses.includes(status as ProcessStatus) &&
    isObject(seen) &&
    isObject(cameMs) &&
    Array.isArray(applied) &&
    Array.isArray(held)
  )
}

/** All that is kept of one process. */
export interface ProcessState {
  readonly status: ProcessStatus
  /** Data of the last event of each type. */
  readonly seen: Readonly<Record<string, Json>>
  /** Versions of the definitions by which that data was made, by type. */
  readonly versions?: Readonly<Record<string, number>>
  /** When the first event of each type came, in milliseconds since 1970. */
  readonly cameMs: Readonly<Record<string, number>>
  /** Names of the rules that have applied. */
  readonly applied: readonly string[]
  readonly held: readonly HeldEvent[]
  readonly outcome: string | null
  readonly startedMs: number
  /** Of one that is expected: since when. Of one that has ended: when. */
  readonly changedMs: number
  /** When it is looked at next, in milliseconds since 1970: its timer, whatever rules other programs have. */
  readonly lookMs?: number
}

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
}

/** What an event or a time made of a process; without a state it is forgotten. */
export interface Reacted {
  readonly state: ProcessState | undefined
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
  return unchanged({ ...base, held: [...base.held, event] })
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
  return { state: state ?? undefined, effects: [], refused: [] }
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
  return settle(rules, state, key, nowMs)
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
  const first = settle(rules, next, key, nowMs)
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
      const { state, effects } = onEvent(rules, current.state ?? null, event, key, nowMs)
      current = { ...current, state, effects: [...current.effects, ...effects] }
    } catch (error) {
      current = { ...current, refused: [...current.refused, { event, error }] }
    }
  }
  return current
}

/** What is kept of a process that has ended is forgotten; what came late begins a new one, or waits for its beginning. */
function afterEnd(rules: ProcessRules, state: ProcessState, key: string, nowMs: number): Reacted {
  return redeliver(rules, unchanged(null), state.held, key, nowMs)
}

/** Applies all rules that hold, each once, until the process has ended. */
function settle(rules: ProcessRules, start: ProcessState, key: string, nowMs: number): Reacted {
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
  return { state, effects, refused: [] }
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
