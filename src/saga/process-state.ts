import type { Json, Reversal } from '../kernel/index.ts'
import type { ErrorNote } from './error-note.ts'

/** An event that waits for its process. */
export interface HeldEvent {
  readonly type: string
  readonly data: Json
  /** Version of its definition by which the data was made. */
  readonly version?: number
  /** Id of its message; those that programs of earlier versions held have none. */
  readonly id?: string
  /** What was handled when that was made, as far as it tells. */
  readonly cause?: EventCause
}

/** What was handled when an event was made. */
export interface EventCause {
  /** Id of the message. */
  readonly id: string
  /** Its type, of a command that a decider has handled. */
  readonly type?: string
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
  /** What happened to it. Programs of earlier versions kept none. */
  readonly past?: KeptPast
}

/**
 * - `started`: an event began the process.
 * - `came`: one was taken in.
 * - `waits`: one cannot be taken in yet.
 * - `refused`: one that had waited could not be taken in when its time had come.
 * - `due`: a time had come.
 */
export type ProcessOccurrence = 'started' | 'came' | 'waits' | 'refused' | 'due'

/** One thing that happened to a process. */
export interface KeptHappening {
  /** In milliseconds since 1970. */
  readonly timeMs: number
  readonly what: ProcessOccurrence
  /** Type of the event. */
  readonly type?: string
  /** Id of its message. */
  readonly id?: string
  readonly cause?: EventCause
  /** Why it was refused. */
  readonly error?: ErrorNote
  /** What makes of the state after it, without this past, the one before. */
  readonly undo: Reversal
}

/** The past of a process, as far as it is kept. */
export interface KeptPast {
  /** How many things had happened before the first that is kept here. */
  readonly goneCount: number
  /** From when on it is known, in milliseconds since 1970; absent: from the beginning. */
  readonly sinceMs?: number
  /** How many are kept here. */
  readonly keptCount: number
  /**
   * Each a {@link KeptHappening} as a line of JSON, in order. It is one text because each new state is copied and written as a whole, of
   * which this is the larger part in a process that hears much.
   */
  readonly happened: string
}
