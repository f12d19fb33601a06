import type { Timer } from '../engine/index.ts'
import type { Message } from '../message/index.ts'
import type { DeadLetter, KeptOriginal } from './dead-letters.ts'
import type { PartitionReader } from './partition-reader.ts'

/** What came up to be done for one key. */
export type TaskKind =
  /** A message that was read from its partition. */
  | 'record'
  /** A durable timer that is due. */
  | 'timer'
  /** A dead letter that is to be handled again. */
  | 'redrive'
  /** A dead letter that is to be forgotten and parks its key. */
  | 'discard'
  /** A message that waited behind a dead letter. */
  | 'parked'
  /** The messages that wait behind a dead letter that is gone. */
  | 'replay'

/** One thing to do. Its fields stand in one order, so that all tasks have one shape. */
export class Task {
  readonly kind: TaskKind
  readonly reader: PartitionReader
  /** Ordering key; `undefined`: no order, or several keys. */
  readonly key: string | undefined
  /** The message, as the current version; for timers that which scheduled it. */
  readonly message: Message
  /** The message as it was read, before any upcast: what a dead letter keeps, so that a better upcast can be tried. */
  readonly original: Message
  /** For records: progress from here (records before it were skipped) … */
  readonly from: number
  /** … up to and including this offset. */
  readonly offset: number
  readonly timestampMs: number
  /** Attempts that began. */
  attempt = 0
  /** Runs again after a conflict, since the last attempt began. */
  rerunCount = 0
  /** How often it has waited for the engine, for reasons that pass. */
  waitCount = 0
  firstAttemptMs = 0
  firstFailureMs = 0
  /** What its retry policy counts. */
  retryCounts: Map<string, number> | undefined = undefined
  /** Of attempts that were made before this start, or elsewhere: the next one waits for so long, 1 ms or more. 0: it does not. */
  pauseMs = 0
  /** Whether the attempts at it stand in the store. */
  isKept = false
  readonly timer: Timer | undefined
  /** The dead letter, with the revision under which it stood. */
  readonly dead: DeadEntry | undefined
  /** The waiting message, with the revision under which it stood. */
  readonly parked: ParkedEntry | undefined
  /** The keys under each of which the message counts, if there are several: all of them at once, in one commit. */
  keys: readonly string[] | undefined = undefined
  /** Why it cannot be handed to the handler: it is given up when its turn comes. */
  unreadable: Unreadable | undefined = undefined
  /** The engine has refused what it wrote, or it may end the process: from then on it is committed by itself, so that it fails alone. */
  isRefused = false
  /** Of a dead letter: the handler has done it; what waited behind it may still wait. */
  isRedriven = false
  /** A timer that was cancelled or scheduled anew since it was read. */
  obsolete = false

  constructor(
    kind: TaskKind,
    reader: PartitionReader,
    key: string | undefined,
    message: Message,
    from: number,
    offset: number,
    timestampMs: number,
    timer?: Timer,
    dead?: DeadEntry,
    parked?: ParkedEntry,
    original: Message = message,
  ) {
    this.kind = kind
    this.reader = reader
    this.key = key
    this.message = message
    this.original = original
    this.from = from
    this.offset = offset
    this.timestampMs = timestampMs
    this.timer = timer
    this.dead = dead
    this.parked = parked
  }

  /** Whether `message` is what came up: a record that cannot be decoded has none. */
  get hasMessage(): boolean {
    return this.unreadable?.record === undefined
  }

  /** Topic of the message: what was parked or redriven may be looked after by the reader of another partition. */
  get topic(): string {
    return this.parked?.topic ?? this.dead?.letter.topic ?? this.reader.topic
  }

  /** Partition of the message. */
  get partition(): number {
    return this.parked?.partition ?? this.dead?.letter.partition ?? this.reader.partition
  }
}

/** The keys whose state a task may change. */
export function keysOf({ key, keys }: Task): readonly string[] {
  return keys ?? (key === undefined ? [] : [key])
}

/** What cannot be handed to the handler, and why. */
export interface Unreadable {
  readonly error: unknown
  /** Set for a record that is no message: its key, as far as it is text, and what is kept of it. */
  readonly record?: { readonly key: string | null; readonly original: KeptOriginal }
}

/** Stands where a task has no message. */
export const nobody: Message = Object.freeze({
  specversion: '1.0',
  id: 'none',
  source: 'urn:millrace:none',
  type: 'none',
  time: '1970-01-01T00:00:00.000Z',
  datacontenttype: 'application/json',
  dataversion: 1,
  data: null,
})

export interface DeadEntry {
  readonly letter: DeadLetter
  readonly revision: number
}

export interface ParkedEntry {
  readonly stateKey: string
  readonly revision: number
  readonly topic: string
  readonly partition: number
}

/** A task is done (its effects are merged, committed or of no more interest) … */
export const done = -1
/** … or is to be tried again after so many milliseconds. */
export type TaskOutcome = typeof done | number
