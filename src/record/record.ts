import type { Message, MessageUndecodableError } from '../message/index.ts'

/** A header of a record: a name, and bytes or nothing. Names may repeat; their order is kept. */
export type RecordHeader = readonly [name: string, value: Uint8Array | null]

/** A record to append. Text is written as UTF-8; `null` is Kafka's null, other than empty. */
export interface RecordInput {
  readonly key: Uint8Array | string | null
  /** `null` makes the record a tombstone. */
  readonly value: Uint8Array | string | null
  /** Default none. */
  readonly headers?: readonly (readonly [name: string, value: Uint8Array | string | null])[]
  /** Milliseconds since 1970. */
  readonly timestampMs: number
}

/** A record of a batch. Its bytes are views into the batch (or its decompressed records): copy what you keep. */
export interface RawRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly RecordHeader[]
}

/** What became of one record of a batch when it was read as a message. */
export type RecordOutcome = MessageRecord | TombstoneRecord | UndecodableRecord

/** A record that is a message. */
export interface MessageRecord {
  readonly kind: 'message'
  readonly offset: number
  readonly timestampMs: number
  /** Text, a copy of the bytes if they are no UTF-8, or `null` if it has none. */
  readonly key: RecordKey
  readonly message: Message
}

/**
 * A record without a value: on a compacted topic it says that its key is gone. If its headers are those of an event, it is that event, too, on
 * whatever topic.
 */
export interface TombstoneRecord {
  readonly kind: 'tombstone'
  readonly offset: number
  readonly timestampMs: number
  readonly key: RecordKey
  /** The event that it is, without data. Absent: it is none. */
  readonly message?: Message
  /** Copies. */
  readonly headers: readonly RecordHeader[]
}

/** A record that is no CloudEvents message; its neighbours are not touched. */
export interface UndecodableRecord {
  readonly kind: 'undecodable'
  readonly offset: number
  readonly timestampMs: number
  readonly key: RecordKey
  /** Why. */
  readonly error: MessageUndecodableError
  /** A copy. */
  readonly value: Uint8Array
  /** Copies. */
  readonly headers: readonly RecordHeader[]
}

/** Key of a record as far as it is text; a copy of its bytes otherwise. */
export type RecordKey = string | Uint8Array | null
