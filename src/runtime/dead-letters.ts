import type { Json } from '../kernel/index.ts'

/** What failed for good, with all that is needed to understand it and to run it again. */
export interface DeadLetter {
  /** Names it in all calls and commands. */
  readonly id: string
  /** Consumer group of the handler that failed: `<app>.<service>.<handler>`. */
  readonly handler: string
  /** `'failed'`: the handler gave up. `'unreadable'`: an upcast or the handler's `key` failed, its key cannot be used, or its topic keeps it no longer. `'undecodable'`: the record is no message. `'timer'`: a timer gave up. */
  readonly reason: 'failed' | 'unreadable' | 'undecodable' | 'timer'
  readonly topic: string
  readonly partition: number
  /** Offset of the record; -1 for a timer. */
  readonly offset: number
  /** Milliseconds since 1970 of the record, or at which the timer was due. */
  readonly timestampMs: number
  /** Ordering key; `null`: it has none, or none that can be told, or one of more than 4,096 characters. */
  readonly key: string | null
  readonly error: {
    readonly code: string | null
    readonly name: string
    readonly message: string
    readonly stack: string | null
  }
  /** Attempts in all, redrives included. */
  readonly attempts: number
  readonly firstFailureMs: number
  readonly lastFailureMs: number
  /** The message in its envelope as it was read, before any upcast; a timer, or raw bytes; or where they are. */
  readonly original: DeadOriginal
  /** Later messages of its key wait behind it. */
  readonly parksKey: boolean
  /** What was asked for and is not done yet. */
  readonly requested: 'redrive' | 'discard' | null
}

/** What a dead letter was about. */
export type DeadOriginal =
  /** `data` that is bytes stands as `dataBase64` beside. */
  | { readonly kind: 'message'; readonly message: Json; readonly dataBase64: string | null }
  | { readonly kind: 'record'; readonly valueBase64: string }
  | { readonly kind: 'timer'; readonly owner: string; readonly timer: Json }
  /**
   * Too large to be kept here, with about so many characters. It stands where it was read: at the topic, partition and
   * offset of the dead letter, as long as the topic keeps it, and a redrive reads it there. In an event of the topic of dead
   * letters it also means that the dead letter itself has more than fits there.
   */
  | { readonly kind: 'omitted'; readonly characterCount: number }

/** What is kept of a record. */
export type KeptOriginal = Exclude<DeadOriginal, { readonly kind: 'timer' }>

/** Which dead letters: one, several, those of a handler, or all. */
export type DeadLetterSelection = string | readonly string[] | { readonly handler: string } | 'all'

/** The dead letters of an app. */
export interface DeadLetters {
  /** In the order of handlers and offsets, after id `after`. `limit` default 100. */
  list(options?: {
    readonly handler?: string
    readonly after?: string
    readonly limit?: number
  }): Promise<readonly DeadLetter[]>
  show(id: string): Promise<DeadLetter | undefined>
  count(): Promise<number>
  /**
   * Asks that the failed handler, and only it, handles them again. The request is durable: a running app does it at once,
   * a stopped one when it starts. Each disappears in the same commit that makes its effects real.
   *
   * @returns how many were asked for.
   * @throws DeadLetterUnknownError `DEAD_LETTER_UNKNOWN`: one of those that are named is not there; nothing was done.
   *   OptionsInvalidError `OPTIONS_INVALID`
   */
  redrive(which: DeadLetterSelection): Promise<number>
  /**
   * Forgets them. One that parks its key goes when the app runs, and the messages behind it are handled.
   *
   * @returns how many were discarded.
   * @throws DeadLetterUnknownError `DEAD_LETTER_UNKNOWN`: one of those that are named is not there; nothing was done.
   *   OptionsInvalidError `OPTIONS_INVALID`
   */
  discard(which: DeadLetterSelection): Promise<number>
}
