import {
  attributeBits,
  type BatchProducer,
  batchHeaderBytes,
  bytesBeforeLengthEnds,
  fieldAt,
  isIntegerIn,
  setBaseOffset,
  setProducer,
  viewOf,
  writeCrc,
} from './batch-header.ts'
import { type Compression, compress, compressionCodes } from './compression.ts'
import { RecordArgumentInvalidError } from './errors.ts'
import { writeInt64 } from './varint.ts'

/** Options of `RecordBatchBuilder.seal`. */
export interface SealOptions {
  /** Offset of the first record. Default 0: set it later with `setBaseOffset`, which the checksum does not cover. */
  readonly baseOffset?: number
  /** Default none (-1, -1, -1). */
  readonly producer?: BatchProducer
  /** Default `'none'`. */
  readonly compression?: Compression
  /** Default 0. */
  readonly partitionLeaderEpoch?: number
  /** When given, the batch carries this time of the log, in ms since 1970, in place of its records' own times. */
  readonly logAppendTimeMs?: number
  /** Default false. */
  readonly transactional?: boolean
  /** `false` leaves the checksum 0, to be written by `writeCrc` in another thread. Default true. */
  readonly crc?: boolean
}

/** What a builder knows of the records of a batch. */
export interface BatchFacts {
  readonly recordCount: number
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
}

const noProducer: BatchProducer = { id: -1, epoch: -1, baseSequence: -1 }

/**
 * Writes the header in front of the records, compressing them first if asked to. If it throws, the records are as they were.
 *
 * @param batch Room for the header, and the records behind it. It becomes the batch itself unless it is compressed.
 */
export function sealBatch(batch: Buffer, facts: BatchFacts, options: SealOptions): Buffer {
  const { compression = 'none', logAppendTimeMs, partitionLeaderEpoch = 0, transactional = false } = options
  if (logAppendTimeMs !== undefined && !Number.isSafeInteger(logAppendTimeMs)) {
    throw timeInvalid('logAppendTimeMs', logAppendTimeMs)
  }
  if (!isIntegerIn(partitionLeaderEpoch, -1, 0x7fff_ffff)) {
    throw new RecordArgumentInvalidError(
      'partitionLeaderEpoch',
      `is ${partitionLeaderEpoch}`,
      'Give an integer from -1 to 2^31 - 1.',
    )
  }
  setBaseOffset(batch, options.baseOffset ?? 0)
  setProducer(batch, options.producer ?? noProducer)
  const attributes =
    compressionCodes[compression] |
    (logAppendTimeMs === undefined ? 0 : attributeBits.logAppendTime) |
    (transactional ? attributeBits.transactional : 0)
  const view = viewOf(batch)
  view.setInt32(fieldAt.partitionLeaderEpoch, partitionLeaderEpoch)
  view.setInt8(fieldAt.magic, 2)
  view.setUint32(fieldAt.crc, 0)
  view.setInt16(fieldAt.attributes, attributes)
  view.setInt32(fieldAt.lastOffsetDelta, facts.recordCount - 1)
  writeInt64(view, fieldAt.baseTimestamp, facts.baseTimestampMs)
  writeInt64(view, fieldAt.maxTimestamp, logAppendTimeMs ?? facts.maxTimestampMs)
  view.setInt32(fieldAt.recordCount, facts.recordCount)
  const sealed = compression === 'none' ? batch : compressBatch(batch, compression)
  viewOf(sealed).setInt32(fieldAt.batchLength, sealed.length - bytesBeforeLengthEnds)
  if (options.crc ?? true) writeCrc(sealed)
  return sealed
}

/** The same header, with the records behind it compressed, in memory that nothing else shares: it may go to another thread. */
function compressBatch(batch: Buffer, compression: 'gzip' | 'zstd'): Buffer {
  const records = compress(batch.subarray(batchHeaderBytes), compression)
  const sealed = Buffer.allocUnsafeSlow(batchHeaderBytes + records.length)
  sealed.set(batch.subarray(0, batchHeaderBytes))
  sealed.set(records, batchHeaderBytes)
  return sealed
}

/** The error for a time that no batch can hold. */
export function timeInvalid(argument: string, timeMs: number): RecordArgumentInvalidError {
  const remedy = 'Give milliseconds since 1970 as an integer, less than 2^53 away from the first record of the batch.'
  return new RecordArgumentInvalidError(argument, `is ${timeMs}`, remedy)
}
