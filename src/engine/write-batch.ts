import type { Json } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import type { EventQuery, ExpectedVersion } from './events.ts'
import type { Claim, OffsetRange } from './groups.ts'
import type { StateOwner } from './state.ts'

/**
 * Everything that one commit makes real, or none of it.
 *
 * A batch is what a handler's effects and its progress become. Engines apply the parts in the order of the fields
 * below, but nobody can observe one part without the others.
 */
export interface WriteBatch {
  readonly publish?: readonly PublishWrite[]
  readonly append?: readonly AppendWrite[]
  readonly state?: readonly StateWrite[]
  readonly timers?: readonly TimerWrite[]
  readonly progress?: readonly ProgressWrite[]
}

/** A record that is not a CloudEvents message: a tombstone, or bytes that another system defined. */
export interface RawRecord {
  readonly key: string | Uint8Array | null
  /** `null` is a tombstone: on a compacted topic it deletes what stands under the key. */
  readonly value: string | Uint8Array | null
  readonly headers?: readonly (readonly [name: string, value: string | Uint8Array | null])[]
  /** Milliseconds since 1970, from 0 to 8,640,000,000,000,000; default: the engine's clock. */
  readonly timestampMs?: number
}

/** Append messages or raw records to a topic. */
export interface PublishWrite {
  readonly topic: string
  /** Default: murmur2 of the key, as Kafka's default partitioner does; without a key, one partition per commit in turn. */
  readonly partition?: number
  readonly messages?: readonly Message[]
  readonly records?: readonly RawRecord[]
  /** Makes the write idempotent; needs an explicit `partition`. */
  readonly producer?: ProducerSequence
}

/** Place of a batch in an idempotent producer's numbering (Kafka's producer id, epoch, base sequence; KIP-98). */
export interface ProducerSequence {
  readonly producerId: number
  readonly epoch: number
  /** Sequence number of the first record; the next batch of this producer on this partition starts where this one ends. */
  readonly sequence: number
}

/**
 * An event for the event store with the tags by which conditions and queries find it. As a record, its attributes and
 * data take at most 1,048,576 bytes.
 */
export interface NewEvent {
  readonly message: Message
  readonly tags?: readonly string[]
}

/**
 * Append events to one stream of the event store. An append whose events all stand there already, by their ids, is a success
 * that writes nothing, whatever is expected; unless it says `repeated: 'refuse'`.
 */
export interface AppendWrite {
  readonly stream: string
  readonly events: readonly NewEvent[]
  /** Default `'any'`. */
  readonly expected?: ExpectedVersion
  /**
   * Refuses the append when an event matching `query` stands after position `after` (dcb.events, append condition). It
   * looks at what stood before the commit, so several appends of one commit may share a condition; `expected` sees what
   * earlier appends of the commit leave.
   */
  readonly condition?: { readonly query: EventQuery; readonly after: number }
  /**
   * What becomes of the commit if all events stand in the stream already: `'accept'` writes the rest of it, `'refuse'` makes that a
   * conflict `event-id`. For commits whose other parts would count the events once more. Default `'accept'`.
   */
  readonly repeated?: 'accept' | 'refuse'
}

/**
 * Change keyed state. `expectedRevision` 0 means: the key must not exist; so a `delete` that expects 0 changes nothing and
 * only holds its commit to that. Absent: last writer wins.
 *
 * With an `owner`, on an engine that lets state live with it, the write is made only while the claim stands. That of a whole
 * group is cleared only while the group has no members.
 */
export type StateWrite =
  | {
      readonly kind: 'set'
      readonly namespace: string
      readonly key: string
      readonly value: Json
      readonly expectedRevision?: number
      readonly owner?: Claim
    }
  | {
      readonly kind: 'delete'
      readonly namespace: string
      readonly key: string
      readonly expectedRevision?: number
      readonly owner?: Claim
    }
  | { readonly kind: 'clear'; readonly namespace: string; readonly owner?: StateOwner }

/** Change durable timers. A timer is named by its owner and id; scheduling it again replaces it. */
export type TimerWrite =
  | {
      readonly kind: 'schedule'
      readonly owner: string
      readonly id: string
      /** Milliseconds since the epoch at which the timer is due; never fires before. */
      readonly dueMs: number
      readonly payload: Json
    }
  | { readonly kind: 'cancel'; readonly owner: string; readonly id: string }
  /** Removes a timer that fired; a conflict when it was cancelled or scheduled anew since it was read. */
  | { readonly kind: 'fire'; readonly owner: string; readonly id: string; readonly revision: number }

/** Marks offsets of a claimed partition as done. Offsets may be done out of order; the engine keeps the gaps. */
export interface ProgressWrite {
  readonly claim: Claim
  readonly done: readonly OffsetRange[]
}

/** Where a record landed. */
export interface TopicPosition {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** Where the events of one {@link AppendWrite} landed. */
export interface Appended {
  readonly stream: string
  readonly firstVersion: number
  readonly lastVersion: number
  readonly lastPosition: number
  /** The same events (by id) already stood there; nothing was written. */
  readonly duplicate: boolean
}

/** What a commit answers. A conflict is an expected outcome: nothing was written, read again and decide anew. */
export type CommitOutcome =
  | {
      readonly ok: true
      /** One position per message and record, in the order of the batch; none if they leave later, through an outbox. */
      readonly published: readonly TopicPosition[]
      readonly appended: readonly Appended[]
    }
  | { readonly ok: false; readonly conflict: Conflict }

/** Why a commit was refused. */
export type Conflict =
  | {
      readonly kind: 'stream-version'
      readonly stream: string
      readonly expected: ExpectedVersion
      readonly actual: number
    }
  /** An event matching the append condition stands at `position`. */
  | { readonly kind: 'condition'; readonly stream: string; readonly position: number }
  /**
   * Only a part of the appended events stands already under these ids, or they stand elsewhere; or all of them stand there, and the
   * append refuses that.
   */
  | { readonly kind: 'event-id'; readonly stream: string; readonly id: string }
  | { readonly kind: 'stream-deleted'; readonly stream: string }
  | {
      readonly kind: 'revision'
      readonly namespace: string
      readonly key: string
      readonly expected: number
      readonly actual: number
    }
  | { readonly kind: 'timer'; readonly owner: string; readonly id: string }
  /** The claim was taken away: another member owns the partition now, or the same one under a later claim. */
  | { readonly kind: 'fenced'; readonly claim: Claim }
