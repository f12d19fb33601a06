import { durationText } from '../kernel/index.ts'
import type { RecordOutcome } from '../record/index.ts'

/** What happens to old records of a topic. */
export type CleanupPolicy = 'delete' | 'compact' | 'compact-and-delete'

/** How batches of a topic are compressed. */
export type TopicCompression = 'none' | 'gzip' | 'zstd'

/** Settings of a topic; every field has a default. */
export interface TopicConfig {
  /** Number of partitions, 1 to 1,000; may grow, never shrink. Default 4. */
  readonly partitions?: number
  /**
   * A topic that compacts refuses records without a key. An engine compacts a partition by itself once half of its bytes are new, and at the
   * latest 24 h after something new came, while a program has it open. Default `'delete'`.
   */
  readonly cleanup?: CleanupPolicy
  /** Records older than this are deleted, in milliseconds; `null` keeps them for ever. Default `null`. */
  readonly retentionMs?: number | null
  /** A partition larger than this loses its oldest batches, in bytes; `null`: no bound. Default `null`. */
  readonly retentionBytes?: number | null
  /**
   * How long a compacted topic keeps a tombstone, counted from the time of its record, in milliseconds: at least, and half as long again where keys are
   * deleted all the time. Default 86,400,000 (24 h).
   */
  readonly tombstoneRetentionMs?: number
  /** Records younger than this are not compacted, in milliseconds. Default 0. */
  readonly compactionLagMs?: number
  /** Default `'none'`. */
  readonly compression?: TopicCompression
  /** Largest record in bytes, 1 KiB to 64 MiB. Default 1,048,576. */
  readonly recordBytesMax?: number
}

/** Value of a setting as the options of the command line take it. */
export function topicSettingText(setting: keyof TopicConfig, value: Required<TopicConfig>[keyof TopicConfig]): string {
  if (value === null) return setting === 'retentionMs' ? 'forever' : 'unlimited'
  return setting.endsWith('Ms') ? durationText(value as number) : String(value)
}

/** A topic as it stands. */
export interface TopicDescription {
  readonly name: string
  readonly config: Required<TopicConfig>
  readonly partitions: readonly PartitionDescription[]
}

/** Extent of one partition. */
export interface PartitionDescription {
  readonly partition: number
  /** First offset that can be read. */
  readonly earliest: number
  /** Offset that the next record gets. */
  readonly latest: number
  /** Bytes of its record batches. */
  readonly bytes: number
}

/** Where reading starts. A timestamp means: the first record with that time or a later one. */
export type StartPosition = 'earliest' | 'latest' | { readonly offset: number } | { readonly timestampMs: number }

/** One read from one partition. */
export interface ReadRequest {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Stop after about this many bytes of batches; the first batch is served whole. Default 1 MiB. */
  readonly bytesMax?: number
  /** When nothing is there yet, wait up to this long for the next record, in milliseconds. Default 0. */
  readonly waitMs?: number
  /**
   * Also answers what was published and is not acknowledged yet, where the engine can (`capabilities.topics.early`). A commit under a
   * claim on the partition then becomes real after what was read, or, should that never become real, is refused like one
   * whose claim is over. Default `false`.
   */
  readonly early?: boolean
  readonly signal?: AbortSignal
}

/** What a read found. */
export interface ReadResult {
  readonly records: readonly RecordOutcome[]
  /** Where to read on: after the last record, or further where compaction or retention left a gap. */
  readonly nextOffset: number
  /** The partition's end at the time of the read: for an early one that of what it can answer. */
  readonly latest: number
}

/** Topics: partitioned logs of records. */
export interface Topics {
  /** @throws TopicExistsError, TopicNameInvalidError, OptionsInvalidError */
  create(name: string, config?: TopicConfig): Promise<TopicDescription>
  /** Creates the topic unless it exists; an existing topic keeps its settings. */
  ensure(name: string, config?: TopicConfig): Promise<TopicDescription>
  /** @throws TopicUnknownError, OptionsInvalidError (also when partitions would shrink) */
  alter(name: string, changes: TopicConfig): Promise<TopicDescription>
  /** Deletes the topic, its records and all progress on it. @throws TopicUnknownError */
  delete(name: string): Promise<void>
  describe(name: string): Promise<TopicDescription | undefined>
  list(): Promise<readonly TopicDescription[]>
  /** Turns a start position into an offset. @throws TopicUnknownError, PartitionUnknownError */
  locate(topic: string, partition: number, start: StartPosition): Promise<number>
  /** @throws TopicUnknownError, PartitionUnknownError, OffsetOutOfRangeError */
  read(request: ReadRequest): Promise<ReadResult>
  /** Makes records before `offset` unreadable; their space is freed. */
  truncate(topic: string, partition: number, beforeOffset: number): Promise<void>
  /** Registers an idempotent producer under a stable name; registering again raises the epoch and fences the earlier one. */
  registerProducer(name: string): Promise<{ readonly producerId: number; readonly epoch: number }>
  /** Applies retention and compaction now, to all that they can be applied to; engines do by themselves what is worth it. */
  maintain(): Promise<MaintenanceReport>
}

/** What retention and compaction did. */
export interface MaintenanceReport {
  readonly batchesDeleted: number
  readonly bytesDeleted: number
  readonly recordsCompacted: number
}
