import type {
  Appended,
  Conflict,
  EventQuery,
  ExpectedVersion,
  ProducerSequence,
  TopicConfig,
} from '../../engine/index.ts'

/** One sealed record batch on its way to the file; the store gives it its base offset and checksum. */
export interface BatchCommand {
  readonly partitionId: number
  readonly bytes: Uint8Array
  readonly recordCount: number
  readonly timeMaxMs: number
  readonly producer?: ProducerSequence
}

export interface EventCommand {
  /** The event's UUID, or source and id of any other CloudEvent. */
  readonly identity: string
  readonly type: string
  readonly tags: readonly string[]
  /** Where its bytes (a record batch of one record) stand in the arena of the request. */
  readonly start: number
  readonly end: number
}

export interface AppendCommand {
  readonly stream: string
  readonly expected: ExpectedVersion
  readonly events: readonly EventCommand[]
  readonly condition?: { readonly query: EventQuery; readonly after: number }
}

export type StateCommand =
  | {
      readonly kind: 'set'
      readonly namespace: string
      readonly key: string
      readonly value: string
      readonly expected: number
    }
  | { readonly kind: 'delete'; readonly namespace: string; readonly key: string; readonly expected: number }
  | { readonly kind: 'clear'; readonly namespace: string }

/** Stands for "no revision expected" in a {@link StateCommand}. */
export const anyRevision = -1

export type TimerCommand =
  | {
      readonly kind: 'schedule'
      readonly owner: string
      readonly id: string
      readonly dueMs: number
      readonly payload: string
    }
  | { readonly kind: 'cancel'; readonly owner: string; readonly id: string }
  | { readonly kind: 'fire'; readonly owner: string; readonly id: string; readonly revision: number }

export interface ProgressCommand {
  readonly group: string
  readonly partitionId: number
  /** Pairs: from, to (exclusive). */
  readonly done: readonly number[]
}

/** What is committed or refused as a whole; several units share one transaction and one sync. */
export interface UnitCommand {
  readonly batches: readonly BatchCommand[]
  readonly appends: readonly AppendCommand[]
  readonly state: readonly StateCommand[]
  readonly timers: readonly TimerCommand[]
  readonly progress: readonly ProgressCommand[]
}

/** Why a unit was refused with an error rather than a conflict. */
export type Refusal =
  | {
      readonly kind: 'out-of-sequence'
      readonly producerId: number
      readonly partitionId: number
      readonly expected: number
      readonly sequence: number
    }
  | {
      readonly kind: 'producer-fenced'
      readonly producerId: number
      readonly epoch: number
      readonly currentEpoch: number
    }

export type UnitResult =
  | { readonly kind: 'committed'; readonly baseOffsets: readonly number[]; readonly appended: readonly Appended[] }
  | { readonly kind: 'conflict'; readonly conflict: Conflict }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

/** Everything the writing side can be asked for. */
export type StoreRequest =
  | {
      readonly kind: 'commit'
      readonly timeMs: number
      readonly arena: Uint8Array
      readonly units: readonly UnitCommand[]
    }
  | { readonly kind: 'create-topic'; readonly name: string; readonly config: Required<TopicConfig> }
  | { readonly kind: 'alter-topic'; readonly topicId: number; readonly config: Required<TopicConfig> }
  | { readonly kind: 'delete-topic'; readonly topicId: number }
  | { readonly kind: 'truncate-partition'; readonly partitionId: number; readonly beforeOffset: number }
  | { readonly kind: 'register-producer'; readonly name: string }
  | { readonly kind: 'maintain'; readonly nowMs: number }
  | {
      readonly kind: 'put-progress'
      readonly entries: readonly { readonly group: string; readonly partitionId: number; readonly next: number }[]
    }
  | { readonly kind: 'delete-group'; readonly group: string }
  | { readonly kind: 'truncate-stream'; readonly stream: string; readonly beforeVersion: number }
  | { readonly kind: 'delete-stream'; readonly stream: string; readonly tombstone: boolean }
  | { readonly kind: 'checkpoint' }
  | { readonly kind: 'close' }

/** A partition as the store knows it. */
export interface PartitionRow {
  readonly id: number
  readonly number: number
  readonly earliest: number
  readonly latest: number
}

export interface TopicRow {
  readonly id: number
  readonly name: string
  readonly config: Required<TopicConfig>
  readonly partitions: readonly PartitionRow[]
}

/** Counts up while maintenance goes on; tells readers which cached batches are stale. */
export interface MaintenanceTotals {
  batchesDeleted: number
  bytesDeleted: number
  recordsCompacted: number
  readonly starts: { readonly partitionId: number; readonly earliest: number }[]
  readonly rewritten: number[]
  /** Partitions that were left as they are because a batch in them cannot be read, with the reason. */
  readonly damaged: string[]
}

/** Answer to each kind of {@link StoreRequest}. */
export interface StoreAnswers {
  commit: readonly UnitResult[]
  'create-topic': TopicRow
  'alter-topic': TopicRow
  'delete-topic': null
  'truncate-partition': number
  'register-producer': { readonly producerId: number; readonly epoch: number }
  /** `null`: not done yet, ask again. */
  maintain: MaintenanceTotals | null
  'put-progress': null
  'delete-group': null
  'truncate-stream': boolean
  'delete-stream': boolean
  checkpoint: null
  close: null
}

export type StoreAnswer<R extends StoreRequest> = StoreAnswers[R['kind']]
