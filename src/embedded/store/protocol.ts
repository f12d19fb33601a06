import type { CommitGroup, UnitResult } from '../../committing/index.ts'
import type { AddedTags, TopicConfig } from '../../engine/index.ts'

/** Everything the writing side can be asked for. */
export type StoreRequest =
  | ({ readonly kind: 'commit' } & CommitGroup)
  | { readonly kind: 'create-topic'; readonly name: string; readonly config: Required<TopicConfig> }
  | { readonly kind: 'alter-topic'; readonly topicId: number; readonly config: Required<TopicConfig> }
  | { readonly kind: 'delete-topic'; readonly topicId: number }
  | { readonly kind: 'truncate-partition'; readonly partitionId: number; readonly beforeOffset: number }
  | { readonly kind: 'register-producer'; readonly name: string }
  /**
   * `ends`: how far readers know each partition that is compacted, by its id. A record behind that replaces nothing yet, or
   * they would find neither the old value of its key nor the new one. `onlyDue`: whether to compact only what is worth it.
   */
  | {
      readonly kind: 'maintain'
      readonly nowMs: number
      readonly ends: ReadonlyMap<number, number>
      readonly onlyDue: boolean
    }
  | {
      readonly kind: 'put-progress'
      readonly entries: readonly { readonly group: string; readonly partitionId: number; readonly next: number }[]
    }
  | { readonly kind: 'delete-group'; readonly group: string }
  | { readonly kind: 'truncate-stream'; readonly stream: string; readonly beforeVersion: number }
  | { readonly kind: 'delete-stream'; readonly stream: string; readonly tombstone: boolean }
  | { readonly kind: 'add-tags'; readonly events: readonly AddedTags[] }
  | { readonly kind: 'checkpoint' }
  | { readonly kind: 'close' }

/** What the names of topics begin with that are deleted and not yet removed: no topic's own name holds a `/`. */
export const deletedTopicPrefix = 'deleted/'

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
  'add-tags': number
  checkpoint: null
  close: null
}

export type StoreAnswer<R extends StoreRequest> = StoreAnswers[R['kind']]
