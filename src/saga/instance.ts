import type { Json } from '../kernel/index.ts'
import type { ChildEntry, ErrorNote, Journal, JournalEntry, ParkReport, SagaStatus } from './journal.ts'

/** One thing that the body of an instance asked for. */
export interface SagaActivity {
  /** Its id in the journal: the name of a step, with its id if it has one; others have their kind in front. */
  readonly id: string
  readonly kind: JournalEntry['op']
  /**
   * Of a step `begun`, `retrying`, `done`, `failed`, `rejected` or `skipped`; of what is waited for `waiting` or `done`, of a
   * child `waiting`, `completed`, `compensated`, `refused`, `skipped` or `gone`. Once it is being undone: `undoing`, `undone`,
   * `undo-skipped`.
   */
  readonly state: string
  /** Attempts that failed, of the undo once there is one. */
  readonly attempts: number
  readonly error: ErrorNote | null
  /** When it is tried again, or the wait is over, in milliseconds since 1970. */
  readonly dueMs: number | null
  readonly output: Json
}

/** One instance of a saga, as it was committed last. */
export interface SagaInstance<Input = unknown, Result = unknown> {
  readonly saga: string
  readonly key: string
  /** Tells apart those that had the same key one after the other. */
  readonly id: string
  readonly version: number
  readonly status: SagaStatus
  readonly input: Input
  /** Set once it is `completed`. */
  readonly result: Result | null
  /** Why it is being compensated. */
  readonly failure: ErrorNote | null
  /** Why it cannot go on by itself. */
  readonly parked: ParkReport | null
  /** What its body shows. */
  readonly shown: Json
  readonly startedMs: number
  readonly changedMs: number
  readonly endedMs: number | null
  /** Signals that wait for the body. */
  readonly signalCount: number
  readonly activities: readonly SagaActivity[]
}

/** How an instance ended, or why it does not. */
export type SagaOutcome<Result> =
  | { readonly status: 'completed'; readonly result: Result }
  | { readonly status: 'compensated'; readonly failure: ErrorNote }
  | { readonly status: 'parked'; readonly report: ParkReport }

/** What a journal tells to those who look. */
export function instanceOf(saga: string, key: string, journal: Journal): SagaInstance {
  const { id, version, status, input, startedMs, changedMs, endedMs, inbox, entries } = journal
  return {
    saga,
    key,
    id,
    version,
    status,
    input,
    result: journal.result ?? null,
    failure: journal.failure ?? null,
    parked: journal.parked ?? null,
    shown: journal.shown ?? null,
    startedMs,
    changedMs,
    endedMs: endedMs ?? null,
    signalCount: inbox.length,
    activities: entries.map(activityOf),
  }
}

/** How it ended; `undefined`: it goes on. */
export function outcomeOf(journal: Journal): SagaOutcome<Json> | undefined {
  const { status, result, failure, parked } = journal
  if (status === 'completed') return { status, result: result ?? null }
  if (status === 'compensated') return { status, failure: failure ?? { name: 'Error', message: 'unknown' } }
  return status === 'parked' && parked !== undefined ? { status, report: parked } : undefined
}

/** What one entry of a journal tells to those who look. */
export function activityOf(entry: JournalEntry): SagaActivity {
  const { id, op: kind, order } = entry
  const plain = { id, kind, attempts: 0, error: null, dueMs: null, output: null }
  switch (entry.op) {
    case 'step':
      if (entry.undo !== undefined) return { ...plain, ...undoOf(entry.undo), output: entry.output ?? null }
      return {
        ...plain,
        state: entry.state,
        attempts: entry.attempts,
        error: entry.error ?? null,
        dueMs: entry.dueMs ?? null,
        output: entry.output ?? null,
      }
    case 'child':
      if (entry.undo !== undefined) return { ...plain, ...undoOf(entry.undo) }
      return { ...plain, ...childOf(entry) }
    case 'signal':
    case 'sleep':
      return {
        ...plain,
        state: order === undefined ? 'waiting' : 'done',
        dueMs: order === undefined ? (entry.dueMs ?? null) : null,
        output: entry.op === 'signal' ? (entry.data?.value ?? null) : null,
      }
    case 'publish':
    case 'send':
      return { ...plain, state: 'done' }
    case 'patch':
      return { ...plain, state: 'done', output: entry.isOn }
  }
}

function childOf({ outcome }: ChildEntry): Pick<SagaActivity, 'state' | 'error' | 'output'> {
  const error = outcome !== undefined && 'failure' in outcome ? outcome.failure : null
  const output = outcome !== undefined && 'result' in outcome ? outcome.result : null
  return { state: outcome?.status ?? 'waiting', error, output }
}

const undoStates = { retrying: 'undoing', asked: 'undoing', done: 'undone', skipped: 'undo-skipped' } as const

function undoOf({
  state,
  attempts,
  error,
  dueMs,
}: NonNullable<(JournalEntry & { readonly op: 'step' })['undo']>): Pick<
  SagaActivity,
  'state' | 'attempts' | 'error' | 'dueMs'
> {
  return { state: undoStates[state], attempts, error: error ?? null, dueMs: dueMs ?? null }
}
