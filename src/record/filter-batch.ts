import { batchHeaderBytes, bytesBeforeLengthEnds, fieldAt, viewOf, writeCrc } from './batch-header.ts'
import { compress } from './compression.ts'
import type { RawRecord } from './record.ts'
import { type ReadBatchOptions, RecordBatchReader, rawRecordAt } from './record-batch-reader.ts'
import { writeInt64 } from './varint.ts'

/**
 * A batch with only those records that `keep` accepts, for compaction.
 *
 * Offsets and times of the records, the last offset of the batch and its producer stay as they are, so gaps appear.
 * Compression stays too.
 *
 * @param keep Sees views into the batch, and must not keep them.
 * @returns The very same batch if all records stay, or `null` if none does.
 * @throws RecordBatchDamagedError, RecordBatchUnsupportedError, DecompressedTooLargeError: see `RecordBatchReader`.
 */
export function filterBatch(
  batch: Uint8Array,
  keep: (record: RawRecord) => boolean,
  options?: ReadBatchOptions,
): Uint8Array | null {
  const reader = new RecordBatchReader(batch, options)
  const cursor = reader.cursor()
  const kept: Uint8Array[] = []
  let maxTimestampMs = Number.NEGATIVE_INFINITY
  while (cursor.next()) {
    if (!keep(rawRecordAt(cursor))) continue
    kept.push(cursor.section.bytes.subarray(cursor.recordStart, cursor.recordEnd))
    maxTimestampMs = Math.max(maxTimestampMs, cursor.timestampMs)
  }
  if (kept.length === 0) return null
  const { header } = reader
  if (kept.length === header.recordCount) return batch
  const { compression } = header
  const records = compression === 'none' ? kept : [compress(Buffer.concat(kept), compression)]
  const filtered = Buffer.concat([batch.subarray(0, batchHeaderBytes), ...records])
  const view = viewOf(filtered)
  view.setInt32(fieldAt.batchLength, filtered.length - bytesBeforeLengthEnds)
  writeInt64(view, fieldAt.maxTimestamp, maxTimestampMs)
  view.setInt32(fieldAt.recordCount, kept.length)
  writeCrc(filtered)
  return filtered
}
