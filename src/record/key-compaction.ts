import { filterBatch } from './filter-batch.ts'
import type { RawRecord } from './record.ts'
import { type ReadBatchOptions, RecordBatchReader, rawRecordAt } from './record-batch-reader.ts'

/** A batch after compaction. */
export interface CompactedBatch {
  /** The very same batch if nothing was dropped, `null` if nothing is left of it. */
  readonly bytes: Uint8Array | null
  readonly droppedCount: number
}

/**
 * Compaction of the batches of one partition: of each key only the last record stays, and a tombstone until it is too old.
 *
 * First every batch in question is {@link KeyCompaction.note noted}, then each of them, and the ones before, is
 * {@link KeyCompaction.compact compacted}. Records without a key, which have no place in such a topic, go.
 *
 * @example
 * ```ts
 * const compaction = new KeyCompaction(clock.nowMs() - tombstoneRetentionMs)
 * for (const batch of batches) compaction.note(batch)
 * const { bytes, droppedCount } = compaction.compact(batches[0])
 * ```
 */
export class KeyCompaction {
  readonly #tombstonesFromMs: number
  readonly #options: ReadBatchOptions
  readonly #lastOffsets = new Map<string, number>()
  #oldestTombstoneMs: number | undefined

  /** @param tombstonesFromMs Tombstones with a time before this one go, in milliseconds since the epoch. */
  constructor(tombstonesFromMs: number, options: ReadBatchOptions = {}) {
    this.#tombstonesFromMs = tombstonesFromMs
    this.#options = options
  }

  /** How many keys were noted: what this holds in memory. */
  get keyCount(): number {
    return this.#lastOffsets.size
  }

  /** Time of the oldest tombstone that had to stay in what was compacted: it is to be looked at again when it is older. */
  get oldestTombstoneMs(): number | undefined {
    return this.#oldestTombstoneMs
  }

  /**
   * Notes the last offset of each key of a batch; batches come in the order of their offsets.
   * @throws RecordBatchDamagedError, RecordBatchUnsupportedError, DecompressedTooLargeError: see `RecordBatchReader`.
   */
  note(batch: Uint8Array): void {
    const cursor = new RecordBatchReader(batch, this.#options).cursor()
    while (cursor.next()) {
      const { key, offset } = rawRecordAt(cursor)
      if (key !== null) this.#lastOffsets.set(textOf(key), offset)
    }
  }

  /**
   * The batch without what a later record that was noted replaces. What stays keeps its offset, so gaps appear.
   * @throws RecordBatchDamagedError, RecordBatchUnsupportedError, DecompressedTooLargeError: see `RecordBatchReader`.
   */
  compact(batch: Uint8Array): CompactedBatch {
    let droppedCount = 0
    const keep = (record: RawRecord): boolean => {
      const keeps = this.#keeps(record)
      if (!keeps) droppedCount++
      return keeps
    }
    return { bytes: filterBatch(batch, keep, this.#options), droppedCount }
  }

  #keeps({ key, value, offset, timestampMs }: RawRecord): boolean {
    if (key === null || (this.#lastOffsets.get(textOf(key)) ?? -1) > offset) return false
    if (value !== null) return true
    if (timestampMs < this.#tombstonesFromMs) return false
    this.#oldestTombstoneMs = Math.min(this.#oldestTombstoneMs ?? timestampMs, timestampMs)
    return true
  }
}

/** Keys are compared as bytes: each byte becomes one character, so that the text says the same. */
function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}
