import type { TopicConfig } from '../engine/index.ts'
import type { UnsyncedTail } from './unsynced-tail.ts'

/** One partition, as an engine's catalogue has it. */
export interface PartitionPlace {
  readonly id: number
  readonly topic: string
  readonly number: number
  /** Offset that the next record gets, as far as is known here. */
  readonly latest: number
  /** Where the engine lets handlers read what it has not acknowledged yet. */
  readonly unsynced?: UnsyncedTail
  /** What was committed here reaches up to `latest` now. */
  advance(latest: number): void
}

/** A topic with its partitions. */
export interface TopicPlace<P extends PartitionPlace = PartitionPlace> {
  readonly name: string
  readonly config: Required<TopicConfig>
  readonly partitions: readonly P[]
  /** A batch of this topic takes no further record once it has this size, in bytes. Default: 512 KiB. */
  readonly batchBytesMax?: number
}

/** Where commits find the topics that they name, without waiting. */
export interface PlaceCatalog<P extends PartitionPlace = PartitionPlace> {
  /** @throws TopicUnknownError */
  topic(name: string): TopicPlace<P>
  /** @throws TopicUnknownError, PartitionUnknownError */
  partition(name: string, number: number): P
  partitionById(id: number): P | undefined
}
