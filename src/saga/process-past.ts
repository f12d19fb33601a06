import { type Difference, differences, type Json, pointCount, reversed, timePointMs } from '../kernel/index.ts'
import type { ErrorNote } from './error-note.ts'
import { ProcessPastGoneError } from './errors.ts'
import { type ProcessInstance, processInstanceOf } from './process-instance.ts'
import { bare, happenedIn } from './process-record.ts'
import type { EventCause, KeptHappening, KeptPast, ProcessOccurrence, ProcessState } from './process-state.ts'

/**
 * A point in the life of a process: a time, RFC 3339 or milliseconds since 1970, with all that happened in that millisecond; or when
 * so many things had happened to it.
 */
export type ProcessPoint = { readonly time: string | number } | { readonly happenings: number }

/** One thing that happened to a process. */
export interface ProcessHappening {
  /** So many things had happened with it, from 1 on: the point after it. */
  readonly number: number
  /** In milliseconds since 1970. */
  readonly timeMs: number
  /**
   * `started`: an event began it; `came`: one was taken in; `waits`: one came that cannot be taken in yet; `refused`: one that had waited
   * could not be taken in when its time had come; `due`: time-outs had come.
   */
  readonly what: ProcessOccurrence
  /** Type of the event. */
  readonly type?: string
  /** Id of its message, as far as it is known. */
  readonly id?: string
  /** Why: the message whose handling made the event. */
  readonly cause?: EventCause
  /** Names of the rules that applied then. */
  readonly applied: readonly string[]
  /** It ended so. */
  readonly outcome?: string
  /** Why the event was refused. */
  readonly error?: ErrorNote
}

/** What changed in a process between two points. */
export interface ProcessDifference {
  /** `undefined`: there was no such process. */
  readonly from: ProcessInstance | undefined
  readonly to: ProcessInstance | undefined
  readonly changes: readonly Difference[]
  /** What happened in between. */
  readonly happenings: readonly ProcessHappening[]
}

/** The past of one process, as far as it is kept: see the option `past` of a choreography. */
export interface ProcessPast {
  /** All that happened and is kept, in order. */
  readonly happenings: readonly ProcessHappening[]
  /**
   * The earliest point that is known, where older happenings are not kept any more, or programs of earlier versions kept none;
   * its `timeMs` is `null` if nothing has happened since. `null`: all is known, from the beginning on.
   */
  readonly since: { readonly happenings: number; readonly timeMs: number | null } | null
  /**
   * The process as it was; `undefined`: nothing had come for it.
   *
   * @throws ProcessPastGoneError `PROCESS_PAST_GONE`: it is a point before the earliest that is known;
   *   OptionsInvalidError `OPTIONS_INVALID`
   */
  at(point: ProcessPoint): ProcessInstance | undefined
  /**
   * What changed between two points. `to` is now by default.
   *
   * @throws ProcessPastGoneError `PROCESS_PAST_GONE`, OptionsInvalidError `OPTIONS_INVALID`
   */
  difference(from: ProcessPoint, to?: ProcessPoint): ProcessDifference
}

/** What the state of a process tells of its past. */
export function processPastOf(choreography: string, key: string, state: ProcessState): ProcessPast {
  const past = state.past ?? unknownPast
  const { goneCount } = past
  const happened = happenedIn(past)
  const states = statesOf(state, happened)
  const all = happened.map((one, index) => shown(one, goneCount + index + 1, states[index], states[index + 1]))
  const instances = states.map((one) => (one === undefined ? undefined : processInstanceOf(choreography, key, one)))
  const indexOf = (point: ProcessPoint): number => {
    const index = placeOf(point, past, happened)
    if (index === undefined) throw new ProcessPastGoneError(choreography, key, sinceOf(past))
    return index
  }
  return Object.freeze({
    happenings: all,
    since: past.sinceMs === undefined ? null : sinceOf(past),
    at: (point: ProcessPoint) => instances[indexOf(point)],
    difference: (fromPoint: ProcessPoint, toPoint?: ProcessPoint): ProcessDifference => {
      const [first, last] = [indexOf(fromPoint), toPoint === undefined ? happened.length : indexOf(toPoint)]
      const [from, to] = [instances[first], instances[last]]
      const changes = differences(from as unknown as Json | undefined, to as unknown as Json | undefined)
      return { from, to, changes, happenings: all.slice(Math.min(first, last), Math.max(first, last)) }
    },
  })
}

/** Of a process to which nothing has happened since pasts are kept. */
const unknownPast: KeptPast = { goneCount: 0, sinceMs: Number.POSITIVE_INFINITY, keptCount: 0, happened: '' }

function sinceOf({ goneCount, sinceMs = 0 }: KeptPast): NonNullable<ProcessPast['since']> {
  return { happenings: goneCount, timeMs: Number.isFinite(sinceMs) ? sinceMs : null }
}

/** The process before the first thing that is kept, and after each. */
function statesOf(state: ProcessState, happened: readonly KeptHappening[]): readonly (ProcessState | undefined)[] {
  let value = bare(state)
  const states = [value]
  for (const { undo } of happened.toReversed()) {
    value = reversed(value, undo)
    states.push(value)
  }
  return states.reverse() as unknown as readonly (ProcessState | undefined)[]
}

/** How many of the things that are kept had happened at a point; `undefined`: nobody knows any more. */
function placeOf(
  point: ProcessPoint,
  { goneCount, sinceMs }: KeptPast,
  happened: readonly KeptHappening[],
): number | undefined {
  if ('time' in point) {
    const timeMs = timePointMs(point.time)
    if (sinceMs !== undefined && timeMs < sinceMs) return undefined
    const next = happened.findIndex((one) => one.timeMs > timeMs)
    return next < 0 ? happened.length : next
  }
  const count = pointCount('happenings', point.happenings)
  return count < goneCount ? undefined : Math.min(count - goneCount, happened.length)
}

function shown(
  { undo: _undo, ...happening }: KeptHappening,
  number: number,
  before: ProcessState | undefined,
  after: ProcessState | undefined,
): ProcessHappening {
  const hasEnded = after?.status === 'ended' && before?.status !== 'ended'
  return {
    number,
    ...happening,
    applied: after?.applied.slice(before?.applied.length ?? 0) ?? [],
    ...(hasEnded && { outcome: after.outcome ?? '' }),
  }
}
