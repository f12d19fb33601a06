import type { RecordOutcome } from './record.ts'
import { type ReadBatchOptions, RecordBatchReader } from './record-batch-reader.ts'
import { RecordDecoder } from './record-decoder.ts'

/** Options of {@link decodeMessages}. */
export interface DecodeMessagesOptions extends ReadBatchOptions {
  /** Records before this offset are passed over without being decoded. Default: none are. */
  readonly fromOffset?: number
}

/** Takes one record after the other; `false` ends the walk after this one. */
export type RecordSink = (outcome: RecordOutcome) => unknown

/**
 * Reads the records of a batch as messages, frozen through and through.
 *
 * A record that is no message is reported to `sink` like any other, as `undecodable`; a null value as a `tombstone`, which
 * may be an event without data.
 * Control batches (markers of transactions) have no messages. Nothing that `sink` gets refers to the batch's bytes.
 * JSON with the key `__proto__` is `undecodable`, so that no consumer can be led into prototypes.
 *
 * @param batch Exactly one batch.
 * @returns The offset to read on from: after the batch, or after the record at which `sink` returned `false`.
 * @throws RecordBatchDamagedError `RECORD_BATCH_DAMAGED`: the batch itself is wrong. Records before the damage have been
 * reported if the checksum was not verified.
 * @throws RecordBatchUnsupportedError `RECORD_BATCH_UNSUPPORTED`: magic 0 or 1, snappy or lz4.
 * @throws DecompressedTooLargeError `DECOMPRESSED_TOO_LARGE`
 *
 * @example
 * ```ts
 * const next = decodeMessages(batch, (outcome) => {
 *   if (outcome.kind === 'message') console.log(outcome.offset, outcome.message.type)
 * })
 * ```
 */
export function decodeMessages(batch: Uint8Array, sink: RecordSink, options: DecodeMessagesOptions = {}): number {
  const reader = new RecordBatchReader(batch, options)
  const { isControl, lastOffset } = reader.header
  const fromOffset = options.fromOffset ?? 0
  if (isControl || fromOffset > lastOffset) return lastOffset + 1
  const cursor = reader.cursor()
  const decoder = new RecordDecoder(cursor)
  while (cursor.next()) {
    if (cursor.offset < fromOffset) continue
    const { offset } = cursor
    if (sink(decoder.decode()) === false) return offset + 1
  }
  return lastOffset + 1
}
