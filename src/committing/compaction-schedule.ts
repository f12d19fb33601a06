/**
 * Records wait for compaction no longer than this after they may be compacted, however few they are: what a key held before it was
 * deleted is gone a day later. Kafka's `max.compaction.lag.ms`.
 */
export const compactionWaitMsMax = 86_400_000

/** What is known of a partition before it is compacted. */
export interface CompactionQuestion {
  readonly partitionId: number
  /** Bytes of the batches that may be compacted and were not yet. */
  readonly waitingBytes: number
  readonly tombstoneRetentionMs: number
  readonly nowMs: number
}

/** What a compaction left of a partition. */
export interface CompactionResult {
  /** Offset before which each key stands once. */
  readonly end: number
  /** Bytes of the batches before `end`. */
  readonly bytes: number
  /** Time of the oldest tombstone that had to stay, in milliseconds since the epoch; `undefined`: none stayed. */
  readonly oldestTombstoneMs: number | undefined
}

interface Compacted extends CompactionResult {
  readonly atMs: number
  waitingSinceMs: number | undefined
}

/**
 * When a partition is worth being compacted, which means to read all of it: Kafka's `min.cleanable.dirty.ratio` of 0.5. So what is
 * read for compaction stays in proportion to what is published, whatever the size of the partition.
 *
 * It lives as long as its engine is open, and knows nothing at first: a partition that holds something not compacted, or a
 * tombstone, is looked at once after each start.
 */
export class CompactionSchedule {
  readonly #compacted = new Map<number, Compacted>()

  /** Before this offset a partition was compacted, as far as known here. */
  endOf(partitionId: number): number {
    return this.#compacted.get(partitionId)?.end ?? 0
  }

  /**
   * Whether to compact a partition: at least half of its bytes wait for it, some have waited for {@link compactionWaitMsMax}, or a
   * tombstone may go. Those that follow it wait until half their retention has passed since the last compaction, so that
   * keys which are deleted all the time do not have it all read all the time.
   */
  isDue(question: CompactionQuestion): boolean {
    const { partitionId, waitingBytes, tombstoneRetentionMs, nowMs } = question
    const compacted = this.#compacted.get(partitionId)
    if (compacted === undefined) return waitingBytes > 0
    compacted.waitingSinceMs = waitingBytes > 0 ? Math.min(compacted.waitingSinceMs ?? nowMs, nowMs) : undefined
    const { bytes, atMs, waitingSinceMs } = compacted
    if (waitingBytes > 0 && waitingBytes >= bytes) return true
    if (waitingSinceMs !== undefined && nowMs - waitingSinceMs >= compactionWaitMsMax) return true
    return this.isUseful({ ...question, waitingBytes: 0 }) && nowMs - atMs >= tombstoneRetentionMs / 2
  }

  /** Whether compaction can take anything away, worth it or not. */
  isUseful({ partitionId, waitingBytes, tombstoneRetentionMs, nowMs }: CompactionQuestion): boolean {
    const { oldestTombstoneMs = Number.POSITIVE_INFINITY } = this.#compacted.get(partitionId) ?? {}
    return waitingBytes > 0 || oldestTombstoneMs < nowMs - tombstoneRetentionMs
  }

  /** Notes that a partition was compacted by what was known at `nowMs`. */
  note(partitionId: number, nowMs: number, result: CompactionResult): void {
    this.#compacted.set(partitionId, { ...result, atMs: nowMs, waitingSinceMs: undefined })
  }

  /** Forgets all partitions but these. */
  keepOnly(partitionIds: ReadonlySet<number>): void {
    for (const id of this.#compacted.keys()) if (!partitionIds.has(id)) this.#compacted.delete(id)
  }
}
