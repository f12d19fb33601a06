import { type BatchHeader, batchHeaderBytes, checkCrc, readBatchHeader } from './batch-header.ts'
import { decompress, decompressedBytesMaxDefault } from './compression.ts'
import { RecordArgumentInvalidError } from './errors.ts'
import type { RawRecord, RecordHeader } from './record.ts'
import { RecordCursor, type RecordSection } from './record-cursor.ts'

/** Options of reading a batch. */
export interface ReadBatchOptions {
  /** `false` trusts the bytes, for instance because they were checked before. Default true. */
  readonly verifyCrc?: boolean
  /** Bound of what a compressed batch may grow to, in bytes, 1 to 2^31 - 1. Default 134,217,728 (128 MiB). */
  readonly decompressedBytesMax?: number
}

/**
 * One record batch: its header, and its records as they are.
 *
 * @example
 * ```ts
 * for (const record of new RecordBatchReader(batch)) console.log(record.offset, record.value?.length)
 * ```
 */
export class RecordBatchReader implements Iterable<RawRecord> {
  readonly header: BatchHeader
  readonly #section: RecordSection

  /**
   * @param batch Exactly one batch.
   * @throws RecordBatchDamagedError `RECORD_BATCH_DAMAGED`: length, magic, checksum or compressed stream are wrong.
   * @throws RecordBatchUnsupportedError `RECORD_BATCH_UNSUPPORTED`: magic 0 or 1, snappy or lz4.
   * @throws DecompressedTooLargeError `DECOMPRESSED_TOO_LARGE`
   */
  constructor(batch: Uint8Array, options: ReadBatchOptions = {}) {
    this.header = readBatchHeader(batch)
    if (options.verifyCrc ?? true) checkCrc(batch)
    const stored = Buffer.from(batch.buffer, batch.byteOffset, batch.length)
    this.#section = sectionOf(stored, 0, this.header, options.decompressedBytesMax ?? decompressedBytesMaxDefault)
  }

  /** A fresh walk over the records. */
  cursor(): RecordCursor {
    return new RecordCursor(this.#section)
  }

  /** @throws RecordBatchDamagedError `RECORD_BATCH_DAMAGED` at the first record that does not add up. */
  *[Symbol.iterator](): Generator<RawRecord, void, undefined> {
    const cursor = this.cursor()
    while (cursor.next()) yield rawRecordAt(cursor)
  }
}

/**
 * All records of a batch, as views into it.
 *
 * @throws RecordBatchDamagedError, RecordBatchUnsupportedError, DecompressedTooLargeError: see {@link RecordBatchReader}.
 */
export function decodeBatch(batch: Uint8Array, options?: ReadBatchOptions): readonly RawRecord[] {
  return [...new RecordBatchReader(batch, options)]
}

/** The record at which a cursor stands. */
export function rawRecordAt(cursor: RecordCursor): RawRecord {
  const { bytes } = cursor.section
  return {
    offset: cursor.offset,
    timestampMs: cursor.timestampMs,
    key: bytesAt(bytes, cursor.keyStart, cursor.keyBytes),
    value: bytesAt(bytes, cursor.valueStart, cursor.valueBytes),
    headers: rawHeadersAt(cursor),
  }
}

/** The headers of the record at which a cursor stands, as views. */
export function rawHeadersAt(cursor: RecordCursor): readonly RecordHeader[] {
  const { bytes } = cursor.section
  const headers: RecordHeader[] = []
  cursor.forEachHeader((nameStart, nameBytes, valueStart, valueBytes) => {
    headers.push([bytes.toString('utf8', nameStart, nameStart + nameBytes), bytesAt(bytes, valueStart, valueBytes)])
  })
  return headers
}

function bytesAt(bytes: Buffer, start: number, length: number): Uint8Array | null {
  return length < 0 ? null : bytes.subarray(start, start + length)
}

/** Where the records of a batch are that begins at `at`; compressed ones come into memory of their own. */
export function sectionOf(
  stored: Buffer,
  at: number,
  header: BatchHeader,
  decompressedBytesMax: number,
): RecordSection {
  const { compression } = header
  const [start, end] = [at + batchHeaderBytes, at + header.batchBytes]
  const isCompressed = compression !== 'none'
  const bytes = isCompressed
    ? decompress(stored.subarray(start, end), compression, checkedBound(decompressedBytesMax))
    : stored
  return {
    bytes,
    start: isCompressed ? 0 : start,
    end: isCompressed ? bytes.length : end,
    baseOffset: header.baseOffset,
    lastOffset: header.lastOffset,
    baseTimestampMs: header.baseTimestampMs,
    logAppendTimeMs: header.timestampType === 'log-append' ? header.maxTimestampMs : undefined,
    recordCount: header.recordCount,
  }
}

function checkedBound(decompressedBytesMax: number): number {
  if (Number.isInteger(decompressedBytesMax) && decompressedBytesMax >= 1 && decompressedBytesMax < 2 ** 31) {
    return decompressedBytesMax
  }
  throw new RecordArgumentInvalidError(
    'decompressedBytesMax',
    `is ${decompressedBytesMax}`,
    'Give a number of bytes from 1 to 2^31 - 1.',
  )
}
