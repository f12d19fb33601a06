import { type Json, MillraceError } from '../kernel/index.ts'
import type { ErrorNote } from './error-note.ts'
import { StepRejectedError } from './errors.ts'

export type { ErrorNote } from './error-note.ts'

/** How the undoing of a step stands. */
export interface UndoNote {
  /** `asked`: of a child that was told to compensate. */
  readonly state: 'retrying' | 'asked' | 'done' | 'skipped'
  /** Attempts that failed. */
  readonly attempts: number
  readonly error?: ErrorNote
  /** When it is tried again, in milliseconds since 1970. */
  readonly dueMs?: number
  /** When it was undone, in milliseconds since 1970. */
  readonly atMs?: number
}

/** What all entries have. `order` is set when the outcome is known: 1 for the first that the body was told, and so on. */
interface EntryBase {
  readonly id: string
  readonly order?: number
  /** When the outcome became known, in milliseconds since 1970. */
  readonly atMs?: number
  /** How many outcomes the body had been told when it asked. Absent: none, or it is not known. */
  readonly after?: number
}

/** A step. `begun`: it may have reached the outside world, nobody knows. `skipped`: by hand. */
export interface StepEntry extends EntryBase {
  readonly op: 'step'
  readonly name: string
  readonly input: Json
  /** Id of the instance: part of the idempotency key. */
  readonly life: string
  readonly state: 'begun' | 'retrying' | 'done' | 'failed' | 'rejected' | 'skipped'
  /** Attempts that failed. */
  readonly attempts: number
  /** It was refused, but an earlier attempt failed or was interrupted, and may have had an effect. */
  readonly isUnsure?: true
  /** When the first attempt began, in milliseconds since 1970. */
  readonly firstMs: number
  readonly dueMs?: number
  readonly output?: Json
  readonly error?: ErrorNote
  readonly undo?: UndoNote
}

/** A durable sleep. */
export interface SleepEntry extends EntryBase {
  readonly op: 'sleep'
  readonly dueMs: number
}

/** A wait for a signal; without `data` once it has an order: it timed out. */
export interface SignalEntry extends EntryBase {
  readonly op: 'signal'
  readonly name: string
  readonly dueMs?: number
  readonly data?: { readonly value: Json; readonly version?: number }
  /** What brought it. */
  readonly message?: SignalMessage
}

/** A child saga. */
export interface ChildEntry extends EntryBase {
  readonly op: 'child'
  readonly name: string
  readonly saga: string
  readonly key: string
  readonly input: Json
  readonly outcome?: ChildOutcome
  readonly undo?: UndoNote
}

/** How a child ended. */
export type ChildOutcome =
  | { readonly status: 'completed'; readonly result: Json }
  | { readonly status: 'compensated'; readonly failure: ErrorNote }
  /** It never began: another instance has its key, or its input does not fit. */
  | { readonly status: 'refused'; readonly failure: ErrorNote }
  /** Taken as done by hand: what becomes of it does not concern its parent any more. */
  | { readonly status: 'skipped'; readonly result: Json }
  /** It is not kept any more, so nothing can be undone. */
  | { readonly status: 'gone' }

/** Messages that the body has published, or a command that it has sent. */
export interface PublishEntry extends EntryBase {
  readonly op: 'publish' | 'send'
}

/** What `patched` answered. */
export interface PatchEntry extends EntryBase {
  readonly op: 'patch'
  readonly isOn: boolean
}

/** One thing that a body asked for, by its id. */
export type JournalEntry = StepEntry | SleepEntry | SignalEntry | ChildEntry | PublishEntry | PatchEntry

/**
 * - `expected`: signals came before the start.
 * - `running`, `compensating`: at work, or waiting for something.
 * - `parked`: it cannot go on by itself; see `parked`.
 * - `completed`: the body returned. `compensated`: all that it had done is undone.
 */
export type SagaStatus = 'expected' | 'running' | 'compensating' | 'parked' | 'completed' | 'compensated'

/** All that an instance can be. */
export const sagaStatuses: readonly SagaStatus[] = Object.freeze([
  'expected',
  'running',
  'compensating',
  'parked',
  'completed',
  'compensated',
] as const)

/** Why an instance cannot go on by itself. */
export interface ParkReport {
  readonly reason:
    | 'not-deterministic'
    | 'not-awaited'
    | 'step-unknown'
    | 'journal-full'
    | 'stalled'
    | 'not-json'
    | 'not-stored'
    | 'version-unknown'
    | 'data-unreadable'
    | 'child-gone'
    | 'compensated-threw'
  /** A sentence that says what is wrong. */
  readonly problem: string
  /** A sentence that says what to do. */
  readonly remedy: string
  /** What it did before. */
  readonly from: 'running' | 'compensating'
}

/** A signal that nobody has asked for yet. */
export interface InboxItem {
  readonly name: string
  readonly data: Json
  /** By which version of the event that it is; absent where it is none. */
  readonly version?: number
  readonly message?: SignalMessage
}

/** The message that brought a signal. */
type SignalMessage = Pick<SagaOrigin, 'id' | 'type' | 'correlationid'>

/** What a body showed last while it had been told so many outcomes. */
interface ShowNote {
  readonly after: number
  readonly value: Json
}

/** From which message it began: what its own messages inherit from. */
export interface SagaOrigin {
  readonly id: string
  readonly source: string
  readonly type: string
  readonly time: string
  readonly correlationid: string
  readonly traceparent?: string
  readonly tracestate?: string
}

/** Whom a child tells how it ended. */
export interface SagaParent {
  readonly saga: string
  readonly key: string
  /** Id of the entry in the parent's journal. */
  readonly entry: string
  /** Tells lives under one key apart. */
  readonly id: string
}

/** All that is kept of one instance: its state in the store, and all that it is run from. */
export interface Journal {
  readonly format: 1
  /** Id of the message that started it; empty while it is only expected. */
  readonly id: string
  readonly version: number
  readonly status: SagaStatus
  readonly input: Json
  /** By which version of the event that starts it; absent where no event does. */
  readonly inputVersion?: number
  readonly origin: SagaOrigin | null
  readonly parent?: SagaParent
  readonly startedMs: number
  readonly changedMs: number
  readonly endedMs?: number
  /** When it was completed, in milliseconds since 1970, of one that was compensated after that. */
  readonly completedMs?: number
  /** Outcomes so far. */
  readonly orderCount: number
  readonly entries: readonly JournalEntry[]
  readonly inbox: readonly InboxItem[]
  /** Ids of messages that have been taken in, and may come again because what follows from them is not all done. */
  readonly taken?: readonly string[]
  /** What the body shows to those who look. */
  readonly shown?: Json
  /** What it showed when, the earliest first; bounded, so that the earliest may be gone. */
  readonly shows?: readonly ShowNote[]
  readonly result?: Json
  /** Why it is compensated. */
  readonly failure?: ErrorNote
  /** When that began, in milliseconds since 1970. */
  readonly failedMs?: number
  readonly parked?: ParkReport
  /** When it is woken up, in milliseconds since 1970. */
  readonly wakeMs?: number
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

/** A journal that is being worked on. Entries are replaced, never changed. */
export type JournalDraft = Mutable<Omit<Journal, 'entries' | 'inbox'>> & {
  entries: JournalEntry[]
  inbox: InboxItem[]
}

/** Whether the body waits for an outcome of it, once it has asked. */
export function takesTime({ op }: JournalEntry): boolean {
  return op === 'step' || op === 'sleep' || op === 'signal' || op === 'child'
}

/** Whether nothing can happen any more unless somebody compensates it by hand. */
export function isEnded(status: SagaStatus): status is 'completed' | 'compensated' {
  return status === 'completed' || status === 'compensated'
}

/** Whether an instance has been started. */
export function isThere(journal: Journal | null): journal is Journal {
  return journal !== null && journal.status !== 'expected'
}

/** Whether an instance was started by this entry of this parent. */
export function isChildOf(journal: Journal | null, { saga, key, entry, id }: SagaParent): boolean {
  const parent = journal?.parent
  return parent?.saga === saga && parent.key === key && parent.entry === entry && parent.id === id
}

/** The instance waits for somebody to look at it. */
export function park(draft: JournalDraft, report: ParkReport): void {
  draft.status = 'parked'
  draft.parked = report
}

/** A copy to work on. */
export function draftOf(journal: Journal): JournalDraft {
  return { ...journal, entries: [...journal.entries], inbox: [...journal.inbox] }
}

/** Of an instance for which there are only signals so far. */
export function expectedJournal(nowMs: number): Journal {
  return {
    format: 1,
    id: '',
    version: 0,
    status: 'expected',
    input: null,
    origin: null,
    startedMs: nowMs,
    changedMs: nowMs,
    orderCount: 0,
    entries: [],
    inbox: [],
  }
}

/** Puts an entry in the place of the one with its id, or behind all others. */
export function putEntry(draft: JournalDraft, entry: JournalEntry): void {
  const index = draft.entries.findIndex(({ id }) => id === entry.id)
  if (index >= 0) draft.entries[index] = entry
  else draft.entries.push(entry)
}

/** When the earliest thing is due that the instance waits for; `undefined`: no time will wake it. */
export function nextDueMs({ status, entries }: Pick<Journal, 'status' | 'entries'>): number | undefined {
  let next: number | undefined
  for (const entry of entries) {
    const dueMs = dueOf(status, entry)
    if (dueMs !== undefined && (next === undefined || dueMs < next)) next = dueMs
  }
  return next
}

function dueOf(status: SagaStatus, entry: JournalEntry): number | undefined {
  if (status === 'compensating') {
    const undo = entry.op === 'step' || entry.op === 'child' ? entry.undo : undefined
    return undo?.state === 'retrying' ? undo.dueMs : undefined
  }
  if (status !== 'running' || entry.order !== undefined) return undefined
  if (entry.op === 'step') return entry.state === 'retrying' ? entry.dueMs : undefined
  return entry.op === 'sleep' || entry.op === 'signal' ? entry.dueMs : undefined
}

/** What is kept of an error: enough to find it again, bounded. What to do about it is no part of the message, which may go far. */
export function errorNote(error: unknown): ErrorNote {
  const clip = (text: string): string => (text.length > 2000 ? `${text.slice(0, 2000)}…` : text)
  if (error instanceof StepRejectedError) {
    return { name: error.name, code: error.code, message: clip(error.details.reason) }
  }
  if (!(error instanceof Error)) return { name: 'Error', message: clip(String(error)) }
  if (error instanceof MillraceError) {
    return { name: error.name, code: error.code, message: clip(error.problem), remedy: clip(error.remedy) }
  }
  const { code } = error as { readonly code?: unknown }
  return { name: error.name, ...(typeof code === 'string' && { code }), message: clip(error.message) }
}
