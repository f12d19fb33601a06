import { type Compression, compressionOf } from './compression.ts'
import { crc32c, crc32cOf } from './crc32c.ts'
import { RecordArgumentInvalidError, RecordBatchDamagedError, RecordBatchUnsupportedError } from './errors.ts'
import { readInt64, writeInt64 } from './varint.ts'

/** Bytes of a batch before its first record. */
export const batchHeaderBytes = 61

/** Where each field of the header starts (Kafka protocol, "Record Batch", magic 2). Numbers are big-endian. */
export const fieldAt = {
  baseOffset: 0,
  batchLength: 8,
  partitionLeaderEpoch: 12,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
} as const

/** `batchLength` counts what stands behind it. */
export const bytesBeforeLengthEnds = 12

export const attributeBits = {
  logAppendTime: 0x08,
  transactional: 0x10,
  control: 0x20,
  deleteHorizon: 0x40,
} as const

/** What the header of a batch says. */
export interface BatchHeader {
  /** Offset of the first record when the batch was written; compaction may have removed that record since. */
  readonly baseOffset: number
  /** Offset of the last record when the batch was written. */
  readonly lastOffset: number
  /** Size of the whole batch, this header included, in bytes. */
  readonly batchBytes: number
  readonly partitionLeaderEpoch: number
  /** CRC-32C of everything from the attributes on, as stored. */
  readonly crc: number
  readonly compression: Compression
  /** Whose clock set the times: the producer's, or the log's when it appended the batch. */
  readonly timestampType: 'create' | 'log-append'
  readonly isTransactional: boolean
  /** Its records are markers of transactions, not messages. */
  readonly isControl: boolean
  /** `baseTimestampMs` is the time after which tombstones of this batch may go. */
  readonly hasDeleteHorizon: boolean
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
  /** -1: none. */
  readonly producerId: number
  /** -1: none. */
  readonly producerEpoch: number
  /** -1: none. */
  readonly baseSequence: number
  readonly recordCount: number
}

/** Who wrote a batch, so that a repeated batch is known again. */
export interface BatchProducer {
  readonly id: number
  /** 0 to 32,767. */
  readonly epoch: number
  /** Sequence number of the first record of the batch, 0 to 2^31 - 1. */
  readonly baseSequence: number
}

/**
 * Size in bytes of the batch that starts at `start`, or `undefined` if fewer than 12 bytes are there to tell.
 *
 * With it one walks over batches that lie one behind the other.
 */
export function batchBytesAt(bytes: Uint8Array, start = 0): number | undefined {
  if (bytes.length - start < bytesBeforeLengthEnds) return undefined
  return bytesBeforeLengthEnds + viewOf(bytes).getInt32(start + fieldAt.batchLength)
}

/**
 * Reads the header of a batch. `batch` must hold exactly one batch.
 *
 * @throws RecordBatchDamagedError `RECORD_BATCH_DAMAGED` for a wrong length, magic, or field.
 * @throws RecordBatchUnsupportedError `RECORD_BATCH_UNSUPPORTED` for magic 0 or 1, snappy and lz4.
 */
export function readBatchHeader(batch: Uint8Array): BatchHeader {
  return readHeaderAt(viewOf(batch), 0, batch.length)
}

/** The same for a batch that begins at `start`, and ends at `end` or, if nobody else knows that, where it says. */
export function readHeaderAt(view: DataView, start: number, end?: number): BatchHeader {
  const batchBytes = checkFrame(view, start, end)
  const attributes = view.getInt16(start + fieldAt.attributes)
  const baseOffset = readInt64(view, start + fieldAt.baseOffset)
  const header: BatchHeader = {
    baseOffset,
    lastOffset: baseOffset + view.getInt32(start + fieldAt.lastOffsetDelta),
    batchBytes,
    partitionLeaderEpoch: view.getInt32(start + fieldAt.partitionLeaderEpoch),
    crc: view.getUint32(start + fieldAt.crc),
    compression: compressionOf(attributes),
    timestampType: attributes & attributeBits.logAppendTime ? 'log-append' : 'create',
    isTransactional: (attributes & attributeBits.transactional) !== 0,
    isControl: (attributes & attributeBits.control) !== 0,
    hasDeleteHorizon: (attributes & attributeBits.deleteHorizon) !== 0,
    baseTimestampMs: readInt64(view, start + fieldAt.baseTimestamp),
    maxTimestampMs: readInt64(view, start + fieldAt.maxTimestamp),
    producerId: readInt64(view, start + fieldAt.producerId),
    producerEpoch: view.getInt16(start + fieldAt.producerEpoch),
    baseSequence: view.getInt32(start + fieldAt.baseSequence),
    recordCount: view.getInt32(start + fieldAt.recordCount),
  }
  checkFields(header)
  return header
}

/** Length and magic: what must hold before any other field can be trusted to be one. Returns the length. */
function checkFrame(view: DataView, start: number, end: number | undefined): number {
  const bytesMax = (end ?? view.byteLength) - start
  if (bytesMax < batchHeaderBytes) {
    const finding = `it has ${bytesMax} bytes, and a header alone has ${batchHeaderBytes}`
    throw new RecordBatchDamagedError('truncated', bytesMax, finding)
  }
  const magic = view.getInt8(start + fieldAt.magic)
  if (magic === 0 || magic === 1) {
    throw new RecordBatchUnsupportedError(
      `the message format with magic ${magic}`,
      'Use brokers and producers of Kafka 0.11 or newer, which write record batches (magic 2).',
    )
  }
  if (magic !== 2) throw new RecordBatchDamagedError('magic', fieldAt.magic, `its magic is ${magic}, not 2`)
  const stated = bytesBeforeLengthEnds + view.getInt32(start + fieldAt.batchLength)
  if (end === undefined ? stated < batchHeaderBytes || stated > bytesMax : stated !== bytesMax) {
    const finding = `it says that it has ${stated} bytes, and it has ${bytesMax}`
    throw new RecordBatchDamagedError(stated > bytesMax ? 'truncated' : 'length', fieldAt.batchLength, finding)
  }
  return stated
}

function checkFields(header: BatchHeader): void {
  const inRange =
    header.baseOffset >= 0 &&
    header.lastOffset >= header.baseOffset &&
    Number.isSafeInteger(header.lastOffset) &&
    Number.isSafeInteger(header.baseTimestampMs) &&
    Number.isSafeInteger(header.maxTimestampMs) &&
    Number.isSafeInteger(header.producerId)
  if (!inRange) throw new RecordBatchDamagedError('header', 0, 'an offset, time or producer id is out of range')
  // Each record takes an offset of its own, so this also bounds what a forged count can make a reader allocate.
  if (header.recordCount < 0 || header.recordCount - 1 > header.lastOffset - header.baseOffset) {
    const finding = `it says that it has ${header.recordCount} records`
    throw new RecordBatchDamagedError('record-count', fieldAt.recordCount, finding)
  }
}

/**
 * Compares the stored checksum with the bytes.
 *
 * @throws RecordBatchDamagedError `RECORD_BATCH_DAMAGED` if they differ.
 */
export function checkCrc(batch: Uint8Array): void {
  if (batch.length < batchHeaderBytes) {
    throw new RecordBatchDamagedError('truncated', batch.length, 'it ends within its header')
  }
  checkCrcAt(viewOf(batch), 0, batch.length)
}

/** The same for a batch that lies from `start` to `end` among others, and has a header at least. */
export function checkCrcAt(view: DataView, start: number, end: number): void {
  const stored = view.getUint32(start + fieldAt.crc)
  const actual = crc32cOf(view, start + fieldAt.attributes, end)
  if (stored === actual) return
  const finding = `its checksum is ${hex(stored)}, but its bytes give ${hex(actual)}`
  throw new RecordBatchDamagedError('checksum', fieldAt.crc, finding)
}

/** Computes the checksum of a sealed batch and writes it, in any thread, once, after everything else is final. */
export function writeCrc(batch: Uint8Array): void {
  viewOf(batch).setUint32(fieldAt.crc, crc32c(batch, fieldAt.attributes))
}

/** Gives a sealed batch its place in the log. The checksum does not cover it and stays right. */
export function setBaseOffset(batch: Uint8Array, baseOffset: number): void {
  if (!Number.isSafeInteger(baseOffset) || baseOffset < 0) {
    throw new RecordArgumentInvalidError('baseOffset', `is ${baseOffset}`, 'Give an integer from 0 to 2^53 - 1.')
  }
  writeInt64(viewOf(batch), fieldAt.baseOffset, baseOffset)
}

/** Sets producer id, epoch and sequence of a sealed batch. The checksum covers them: call {@link writeCrc} afterwards. */
export function setProducer(batch: Uint8Array, producer: BatchProducer): void {
  const { id, epoch, baseSequence } = producer
  const inRange =
    Number.isSafeInteger(id) && id >= -1 && isIntegerIn(epoch, -1, 0x7fff) && isIntegerIn(baseSequence, -1, 0x7fff_ffff)
  if (!inRange) {
    throw new RecordArgumentInvalidError(
      'producer',
      `has id ${id}, epoch ${epoch} and sequence ${baseSequence}`,
      'Give an id up to 2^53 - 1, an epoch up to 32,767 and a sequence up to 2^31 - 1; -1 stands for none.',
    )
  }
  const view = viewOf(batch)
  writeInt64(view, fieldAt.producerId, id)
  view.setInt16(fieldAt.producerEpoch, epoch)
  view.setInt32(fieldAt.baseSequence, baseSequence)
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function isIntegerIn(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most
}

function hex(crc: number): string {
  return `0x${crc.toString(16).padStart(8, '0')}`
}
