import { type Difference, differences, type Json, pointCount, timePointMs } from '../kernel/index.ts'
import { activityOf, instanceOf, type SagaInstance } from './instance.ts'
import type { ErrorNote, Journal, JournalEntry, SagaOrigin, StepEntry } from './journal.ts'

/**
 * A point in the life of an instance: a time, RFC 3339 or milliseconds since 1970, with all that happened in that millisecond; or when
 * its body had been told so many outcomes and had asked for what it asked for then.
 */
export type SagaPoint = { readonly time: string | number } | { readonly outcomes: number }

/** One thing that happened to an instance. */
export interface SagaHappening {
  /** In milliseconds since 1970. */
  readonly timeMs: number
  /**
   * `started`; `asked`: its body asked for `id`; `outcome`: that of `id` was known; `compensating`: it began to undo; `undone`: `id` was;
   * `completed` and `compensated`: it ended.
   */
  readonly what: 'started' | 'asked' | 'outcome' | 'compensating' | 'undone' | 'completed' | 'compensated'
  /** Of what its body asked for, as `activities` name it. */
  readonly id?: string
  /** What came of it, as `activities` say it. */
  readonly state?: string
  /** Why: of an outcome that is a failure, and of the compensation. */
  readonly error?: ErrorNote
  /**
   * Why: of `started`, the message that did it, whose `correlationid` is that of all that the instance publishes and sends; of the outcome of a
   * wait for a signal, the message that brought it, where it is known.
   */
  readonly message?: Pick<SagaOrigin, 'id' | 'type' | 'correlationid'>
}

/** What changed in an instance between two points. */
export interface SagaDifference<Input = unknown, Result = unknown> {
  /** `undefined`: there was no such instance. */
  readonly from: SagaInstance<Input, Result> | undefined
  readonly to: SagaInstance<Input, Result> | undefined
  readonly changes: readonly Difference[]
  /** What happened in between. */
  readonly happenings: readonly SagaHappening[]
}

/**
 * The past of one instance, as its journal tells it: attempts that failed and signals that waited are known as they are now only. What the
 * body showed is that of the point, as long as it is among the last 100 things that it showed, in no more than 16,384 characters; before
 * these it is `null`.
 */
export interface SagaPast<Input = unknown, Result = unknown> {
  /** All that happened, in order. */
  readonly happenings: readonly SagaHappening[]
  /**
   * The instance as it was; `undefined`: it had not been started.
   *
   * @throws OptionsInvalidError `OPTIONS_INVALID`
   */
  at(point: SagaPoint): SagaInstance<Input, Result> | undefined
  /** What changed between two points. `to` is now by default. */
  difference(from: SagaPoint, to?: SagaPoint): SagaDifference<Input, Result>
}

/** What a journal tells of the past. */
export function pastOf(saga: string, key: string, journal: Journal): SagaPast {
  const all = happeningsOf(journal)
  const at = (point: SagaPoint): SagaInstance | undefined => {
    const then = journalAt(journal, point)
    return then === undefined ? undefined : instanceOf(saga, key, then)
  }
  return Object.freeze({
    happenings: all.map(shown),
    at,
    difference: (fromPoint: SagaPoint, toPoint?: SagaPoint): SagaDifference => {
      const from = at(fromPoint)
      const to = toPoint === undefined ? instanceOf(saga, key, journal) : at(toPoint)
      const isPast = [fromPoint, toPoint].map((point) => (point === undefined ? () => true : isPastOf(journal, point)))
      const isBetween = (one: Happened): boolean => isPast[0]?.(one) !== isPast[1]?.(one)
      const changes = differences(from as unknown as Json | undefined, to as unknown as Json | undefined)
      return { from, to, changes, happenings: all.filter(isBetween).map(shown) }
    },
  })
}

function shown({ told: _told, ...happening }: Happened): SagaHappening {
  return happening
}

/** With how many outcomes the body had been told by then. */
interface Happened extends SagaHappening {
  readonly told: number
}

/** Whether something lies in the past of a point. */
function isPastOf(journal: Journal, point: SagaPoint): (one: Happened) => boolean {
  if ('time' in point) {
    const timeMs = timePointMs(point.time)
    return (one) => one.timeMs <= timeMs
  }
  const outcomes = pointCount('outcomes', point.outcomes)
  // What comes after the last outcome belongs to it.
  return outcomes >= journal.orderCount ? () => true : ({ told }) => told <= outcomes
}

function journalAt(journal: Journal, point: SagaPoint): Journal | undefined {
  const isPast = isPastOf(journal, point)
  const had = new Set<SagaHappening['what']>()
  const [asked, told, undone] = [new Set<string>(), new Set<string>(), new Set<string>()]
  let changedMs = journal.startedMs
  let orderCount = 0
  let isAll = true
  for (const one of happeningsOf(journal)) {
    if (!isPast(one)) {
      isAll = false
      continue
    }
    changedMs = Math.max(changedMs, one.timeMs)
    had.add(one.what)
    if (one.id === undefined) continue
    if (one.what === 'asked') asked.add(one.id)
    if (one.what === 'undone') undone.add(one.id)
    if (one.what !== 'outcome') continue
    told.add(one.id)
    orderCount++
  }
  if (!had.has('started')) return undefined
  if (isAll) return journal
  const {
    result: _result,
    failure,
    failedMs: _failedMs,
    parked: _parked,
    shown: _shown,
    shows,
    endedMs: _endedMs,
    ...rest
  } = journal
  const isCompensating = had.has('compensating')
  return {
    ...rest,
    status: isCompensating ? 'compensating' : had.has('completed') ? 'completed' : 'running',
    changedMs,
    orderCount,
    inbox: [],
    ...shownAt(shows, isPast, journal),
    entries: journal.entries.flatMap((entry) => {
      if (!asked.has(entry.id)) return []
      if (undone.has(entry.id)) return [entry]
      return [told.has(entry.id) ? withoutUndo(entry) : openEntry(entry)]
    }),
    ...(isCompensating && failure !== undefined && { failure }),
  }
}

/** What the body had shown last by then: it shows at once on what it is told. */
function shownAt(
  shows: Journal['shows'],
  isPast: (one: Happened) => boolean,
  journal: Journal,
): Pick<Journal, 'shown'> {
  const timesMs = toldTimesMs(journal)
  const last = shows?.findLast(({ after }) =>
    isPast({ what: 'outcome', told: after, timeMs: timesMs[after] ?? journal.startedMs }),
  )
  return last === undefined ? {} : { shown: last.value }
}

/** When the body was told each outcome, and 0: when it began. */
function toldTimesMs({ startedMs, entries }: Journal): readonly number[] {
  const timesMs = [startedMs]
  for (const { order, atMs } of entries) if (order !== undefined) timesMs[order] = atMs ?? startedMs
  return timesMs
}

/** What was asked for, when nothing was known of its outcome yet. */
function openEntry(entry: JournalEntry): JournalEntry {
  const { id, after } = entry
  const base = { id, ...(after !== undefined && { after }) }
  switch (entry.op) {
    case 'step': {
      const { op, name, input, life, firstMs } = entry
      return { ...base, op, name, input, life, firstMs, state: 'begun', attempts: 0 } satisfies StepEntry
    }
    case 'sleep':
      return { ...base, op: entry.op, dueMs: entry.dueMs }
    case 'signal':
      return { ...base, op: entry.op, name: entry.name, ...(entry.dueMs !== undefined && { dueMs: entry.dueMs }) }
    case 'child': {
      const { op, name, saga, key, input } = entry
      return { ...base, op, name, saga, key, input }
    }
    default:
      return entry
  }
}

function withoutUndo(entry: JournalEntry): JournalEntry {
  if ((entry.op !== 'step' && entry.op !== 'child') || entry.undo === undefined) return entry
  const { undo: _undo, ...rest } = entry
  return rest
}

function startOf({ origin }: Journal): Pick<SagaHappening, 'message'> {
  if (origin === null) return {}
  const { id, type, correlationid } = origin
  return { message: { id, type, correlationid } }
}

/** All that a journal tells with a time, in the order in which it happened. */
function happeningsOf(journal: Journal): readonly Happened[] {
  if (journal.status === 'expected') return []
  const { startedMs, failedMs, completedMs, endedMs, status, entries, orderCount } = journal
  const toldAtMs = toldTimesMs(journal)
  const found: Happened[] = [{ timeMs: startedMs, what: 'started', told: 0, ...startOf(journal) }]
  for (const entry of entries) {
    const { id, after = 0 } = entry
    found.push({ timeMs: toldAtMs[after] ?? startedMs, what: 'asked', id, told: after })
    if (entry.order !== undefined) {
      const { state, error } = activityOf(withoutUndo(entry))
      const timeMs = entry.atMs ?? startedMs
      const why = entry.op === 'signal' && entry.message !== undefined ? { message: entry.message } : {}
      found.push({ timeMs, what: 'outcome', id, state, told: entry.order, ...(error !== null && { error }), ...why })
    }
    const undo = entry.op === 'step' || entry.op === 'child' ? entry.undo : undefined
    if (undo?.atMs !== undefined) {
      found.push({ timeMs: undo.atMs, what: 'undone', id, told: Number.POSITIVE_INFINITY })
    }
  }
  const ends = { told: orderCount }
  if (completedMs !== undefined) found.push({ timeMs: completedMs, what: 'completed', ...ends })
  if (failedMs !== undefined) {
    const { failure } = journal
    const why = failure === undefined ? {} : { error: failure }
    found.push({ timeMs: failedMs, what: 'compensating', ...ends, ...why })
  }
  if (endedMs !== undefined && (status === 'completed' || status === 'compensated')) {
    found.push({ timeMs: endedMs, what: status, told: Number.POSITIVE_INFINITY })
  }
  return found
    .map((one, index) => ({ one, index }))
    .sort((a, b) => {
      const apart = a.one.timeMs - b.one.timeMs || a.one.told - b.one.told || ranks[a.one.what] - ranks[b.one.what]
      // What was asked for last is undone first.
      return apart || (a.one.what === 'undone' ? b.index - a.index : a.index - b.index)
    })
    .map(({ one }) => one)
}

/** In one moment, and with as many outcomes told, an outcome is known before the body asks for what follows from it. */
const ranks: Readonly<Record<SagaHappening['what'], number>> = {
  started: 0,
  outcome: 1,
  asked: 2,
  completed: 3,
  compensating: 4,
  undone: 5,
  compensated: 6,
}
