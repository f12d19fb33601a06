import type { Message } from '../message/index.ts'

/** What a stream must look like for an append: anything, not there, there, or exactly at this version. */
export type ExpectedVersion = 'any' | 'none' | 'exists' | number

/**
 * Which events are meant (dcb.events, query): an event matches when one item matches; an item matches when the event
 * has one of its types (none given: any type) and all of its tags. No items: every event.
 */
export interface EventQuery {
  readonly items: readonly EventQueryItem[]
}

/** One alternative of an {@link EventQuery}. */
export interface EventQueryItem {
  readonly types?: readonly string[]
  readonly tags?: readonly string[]
}

/** An event as the store keeps it. */
export interface StoredEvent {
  readonly stream: string
  /** 1 for the first event of the stream, without gaps but for the versions that deletions took. */
  readonly version: number
  /** Rises over the whole store; gaps are possible, going back is not. The first is 1. */
  readonly position: number
  /** When it was appended, in milliseconds since the epoch; never falls as positions rise. */
  readonly timestampMs: number
  readonly tags: readonly string[]
  readonly message: Message
}

export type Direction = 'forward' | 'backward'

/** How to read one stream. */
export interface ReadStreamOptions {
  /** First version to read (forward: default 1; backward: default the last), inclusive. */
  readonly fromVersion?: number
  /**
   * Forward: start at the first event appended at or after this time; backward: at the last one appended at or before
   * it. In milliseconds since the epoch. With `fromVersion` too, both bound what is read.
   */
  readonly fromTimeMs?: number
  readonly direction?: Direction
  /** Only events that match. Default: all. */
  readonly query?: EventQuery
  /** At most this many events. Default: all. */
  readonly limit?: number
  readonly signal?: AbortSignal
}

/** How to read the whole store. */
export interface ReadAllOptions {
  /** First position to read, inclusive (forward: default 1; backward: default the last). */
  readonly fromPosition?: number
  /**
   * Forward: start at the first event appended at or after this time; backward: at the last one appended at or before
   * it. In milliseconds since the epoch. With `fromPosition` too, both bound what is read.
   */
  readonly fromTimeMs?: number
  readonly direction?: Direction
  readonly query?: EventQuery
  readonly limit?: number
  readonly signal?: AbortSignal
}

/** Tells a subscriber that it has now seen everything that stood there. Sent again after each time it fell behind. */
export interface CaughtUp {
  readonly kind: 'caught-up'
  readonly position: number
}

/** A stream as it stands. */
export interface StreamDescription {
  readonly stream: string
  /** Version of the last event or deletion. */
  readonly version: number
  /** Events before this version are gone. */
  readonly truncatedBefore: number
  /** Version that the last deletion took: what comes after it begins anew. 0: the stream was never deleted. */
  readonly deletedAt: number
  /** A tombstone stands: the stream can never be written again. */
  readonly tombstoned: boolean
}

/** Further tags for an event that stands in the store. */
export interface AddedTags {
  readonly position: number
  readonly tags: readonly string[]
}

/** The event store: streams of events with one global order, and tags for conditions over several streams. */
export interface EventStore {
  /**
   * An unknown stream reads as empty. No event is passed over in silence.
   * @throws StreamTruncatedError `STREAM_TRUNCATED`: reading forward, events that come next were truncated or deleted meanwhile
   */
  readStream(stream: string, options?: ReadStreamOptions): AsyncIterable<StoredEvent>
  readAll(options?: ReadAllOptions): AsyncIterable<StoredEvent>
  /** Everything after `after` (default 0), then what comes, until `signal` aborts (which ends it without an error). */
  subscribe(options: {
    readonly after?: number
    readonly query?: EventQuery
    readonly signal: AbortSignal
  }): AsyncIterable<({ readonly kind: 'event' } & StoredEvent) | CaughtUp>
  describeStream(stream: string): Promise<StreamDescription | undefined>
  /** Streams whose name starts with `prefix`, in name order, after name `after`. `limit` default 100. */
  listStreams(options?: { prefix?: string; after?: string; limit?: number }): Promise<readonly StreamDescription[]>
  /** Position of the last event; 0 when there is none. */
  lastPosition(): Promise<number>
  /** Removes the events before `beforeVersion`; versions and positions of the rest stay. @throws StreamUnknownError */
  truncateStream(stream: string, beforeVersion: number): Promise<void>
  /**
   * Removes all events. Without `tombstone` the stream can be appended to again, and its versions go on: the deletion takes one too, so
   * an append that expects the version from before is refused. Of a stream that was deleted last, nothing changes.
   * @throws StreamUnknownError
   */
  deleteStream(stream: string, options?: { tombstone?: boolean }): Promise<void>
  /**
   * Gives events further tags, at most 1,000 of them in one call: all or none. Those that they have already stay, and a position at which
   * nothing stands is passed over. Answers how many events were changed, or fewer where a server was asked once more as its answer was lost.
   *
   * Positions stay, and conditions of appends look at what came after one: who has decided by a tag without seeing these events is not refused.
   * So let nobody decide by these tags meanwhile.
   */
  addTags(events: readonly AddedTags[]): Promise<number>
}
