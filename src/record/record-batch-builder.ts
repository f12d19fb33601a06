import type { Message } from '../message/index.ts'
import { BatchBufferPool } from './batch-buffer-pool.ts'
import { batchHeaderBytes, isIntegerIn } from './batch-header.ts'
import { type SealOptions, sealBatch, timeInvalid } from './batch-seal.ts'
import { ConstantHeadersCache } from './constant-headers.ts'
import { RecordArgumentInvalidError, RecordTooLargeError } from './errors.ts'
import { contentOf, MessageHeadersWriter } from './message-writer.ts'
import type { RecordInput } from './record.ts'
import { writeBytesOrText } from './text-writer.ts'
import { varintBytes, writeVarint, writeVarlong } from './varint.ts'

/** Options of a {@link RecordBatchBuilder}. */
export interface RecordBatchBuilderOptions {
  /** Where its buffers come from. Default: a pool of its own. */
  readonly pool?: BatchBufferPool
  /** Largest record, in bytes, 1 to 67,108,864 (64 MiB). Default 1,048,588, as Kafka's `message.max.bytes`. */
  readonly recordBytesMax?: number
}

/** A point of a batch to which {@link RecordBatchBuilder.rewind} goes back. */
export interface BatchMark {
  readonly position: number
  readonly recordCount: number
  readonly minTimestampMs: number
  readonly maxTimestampMs: number
}

const recordBytesMaxDefault = 1_048_588
const recordBytesMaxHighest = 64 * 1024 * 1024
/** A batch states its length in 31 bits; half of that leaves room for any last record. */
const batchBytesMax = 1024 * 1024 * 1024
/** Record length, attributes, time and offset deltas, key and value lengths, header count at their longest. */
const recordFrameBytesMax = 48
/** Nearly every record has 64 to 8,191 bytes, whose length takes two bytes; others are moved when they are complete. */
const lengthBytesExpected = 2

const noBuffer = Buffer.alloc(0)
/** Encoded headers depend on nothing but the message, so all builders of a thread share them. */
const constantHeaders = new ConstantHeadersCache()

/**
 * Builds record batches (Kafka record batch v2), one record after the other, into one growing buffer.
 *
 * @example
 * ```ts
 * const builder = new RecordBatchBuilder()
 * builder.appendMessage(OrderPlaced({ orderId: '1' }), clock.nowMs())
 * const batch = builder.seal({ baseOffset: 42 })
 * ```
 */
export class RecordBatchBuilder {
  readonly #pool: BatchBufferPool
  readonly #recordBytesMax: number
  readonly #headersWriter = new MessageHeadersWriter()
  #buffer: Buffer = noBuffer
  #position = batchHeaderBytes
  #recordCount = 0
  #baseTimestampMs = 0
  #minTimestampMs = Number.POSITIVE_INFINITY
  #maxTimestampMs = Number.NEGATIVE_INFINITY

  /** @throws RecordArgumentInvalidError `RECORD_ARGUMENT_INVALID` if `recordBytesMax` is out of range. */
  constructor(options: RecordBatchBuilderOptions = {}) {
    this.#pool = options.pool ?? new BatchBufferPool()
    this.#recordBytesMax = options.recordBytesMax ?? recordBytesMaxDefault
    if (!isIntegerIn(this.#recordBytesMax, 1, recordBytesMaxHighest)) {
      throw new RecordArgumentInvalidError(
        'recordBytesMax',
        `is ${this.#recordBytesMax}`,
        `Give a number of bytes from 1 to ${recordBytesMaxHighest}.`,
      )
    }
  }

  get recordCount(): number {
    return this.#recordCount
  }

  /** Size of the batch as it stands, uncompressed, header included, in bytes. */
  get batchBytes(): number {
    return this.#position
  }

  /** Earliest time of a record; `Infinity` while there is none. */
  get minTimestampMs(): number {
    return this.#minTimestampMs
  }

  /** Latest time of a record; `-Infinity` while there is none. */
  get maxTimestampMs(): number {
    return this.#maxTimestampMs
  }

  /**
   * Appends a message in the binary content mode of the CloudEvents Kafka protocol binding (§3.2): its attributes as
   * `ce_` headers, its partition key as the key, its data as JSON in the value.
   *
   * @param timestampMs Time of the record, in ms since 1970; it may differ from the message's own `time`.
   * @returns Size of the record in bytes.
   * @throws RecordTooLargeError `RECORD_TOO_LARGE`, before anything was appended.
   * @throws RecordArgumentInvalidError `RECORD_ARGUMENT_INVALID` for a time that is no integer.
   */
  appendMessage(message: Message, timestampMs: number): number {
    const { partitionkey } = message
    const content = contentOf(message)
    const constant = constantHeaders.get(message)
    const headersUnits = this.#headersWriter.measure(message, constant)
    const contentUnits = content.length + (partitionkey?.length ?? 0)
    const bytesMax = (headersUnits + contentUnits) * 3 + constant.bytes.length
    let at = this.#begin(bytesMax, contentUnits, timestampMs)
    const start = this.#position
    const buffer = this.#buffer
    at = writeBytesOrText(buffer, at, partitionkey ?? null)
    at = writeBytesOrText(buffer, at, content)
    at = this.#headersWriter.write(buffer, at, message, constant)
    return this.#finish(start, at, timestampMs)
  }

  /**
   * Appends a record as it is.
   *
   * @returns Size of the record in bytes.
   * @throws RecordTooLargeError `RECORD_TOO_LARGE`, before anything was appended.
   * @throws RecordArgumentInvalidError `RECORD_ARGUMENT_INVALID` for a time that is no integer.
   */
  appendRaw(record: RecordInput): number {
    const { key, value, headers = [], timestampMs } = record
    let units = (key?.length ?? 0) + (value?.length ?? 0)
    for (const [name, content] of headers) units += name.length + (content?.length ?? 0)
    let at = this.#begin(units * 3 + headers.length * 10, units, timestampMs)
    const start = this.#position
    const buffer = this.#buffer
    at = writeBytesOrText(buffer, at, key)
    at = writeBytesOrText(buffer, at, value)
    at = writeVarint(buffer, at, headers.length)
    for (const [name, content] of headers) {
      at = writeBytesOrText(buffer, at, name)
      at = writeBytesOrText(buffer, at, content)
    }
    return this.#finish(start, at, timestampMs)
  }

  /** The present end of the batch. */
  mark(): BatchMark {
    return {
      position: this.#position,
      recordCount: this.#recordCount,
      minTimestampMs: this.#minTimestampMs,
      maxTimestampMs: this.#maxTimestampMs,
    }
  }

  /** Takes back every record that was appended since `mark`, which must be of the same, still unsealed batch. */
  rewind(mark: BatchMark): void {
    this.#position = mark.position
    this.#recordCount = mark.recordCount
    this.#minTimestampMs = mark.minTimestampMs
    this.#maxTimestampMs = mark.maxTimestampMs
  }

  /**
   * Completes the batch and starts the next one.
   *
   * The batch belongs to the caller: an uncompressed one is the builder's own buffer, which may go back to the pool with
   * `pool.release(batch)` when nothing reads it any more.
   *
   * @throws RecordArgumentInvalidError `RECORD_ARGUMENT_INVALID` if there is no record, or a field is out of range; the
   * records are still there then.
   */
  seal(options: SealOptions = {}): Uint8Array {
    if (this.#recordCount === 0) {
      throw new RecordArgumentInvalidError('batch', 'has no records', 'Append at least one record before you seal it.')
    }
    const facts = {
      recordCount: this.#recordCount,
      baseTimestampMs: this.#baseTimestampMs,
      maxTimestampMs: this.#maxTimestampMs,
    }
    const batch = sealBatch(this.#buffer.subarray(0, this.#position), facts, options)
    // A compressed batch lies in memory of its own, so the buffer serves for the next batch.
    if ((options.compression ?? 'none') === 'none') this.#buffer = noBuffer
    this.discard()
    return batch
  }

  /** Drops all records of the unsealed batch. */
  discard(): void {
    this.#position = batchHeaderBytes
    this.#recordCount = 0
    this.#minTimestampMs = Number.POSITIVE_INFINITY
    this.#maxTimestampMs = Number.NEGATIVE_INFINITY
  }

  /** Drops all records and gives the buffer back to the pool. The builder may be used again. */
  release(): void {
    this.discard()
    if (this.#buffer !== noBuffer) this.#pool.release(this.#buffer)
    this.#buffer = noBuffer
  }

  /**
   * Makes room and writes what stands before the key. Nothing counts as appended before {@link #finish}.
   *
   * @param bytesMax What the caller will write at most.
   * @param bytesMin What it will write at least: enough to refuse a giant before room is made for it.
   */
  #begin(bytesMax: number, bytesMin: number, timestampMs: number): number {
    if (bytesMin > this.#recordBytesMax) throw new RecordTooLargeError(bytesMin, this.#recordBytesMax)
    const delta = timestampMs - (this.#recordCount === 0 ? timestampMs : this.#baseTimestampMs)
    if (!Number.isSafeInteger(timestampMs) || !Number.isSafeInteger(delta))
      throw timeInvalid('timestampMs', timestampMs)
    const position = this.#position
    const room = position + recordFrameBytesMax + bytesMax
    if (room > this.#buffer.length) this.#grow(room)
    const buffer = this.#buffer
    // Attributes of a record: none are defined.
    buffer[position + lengthBytesExpected] = 0
    const at = writeVarlong(buffer, position + lengthBytesExpected + 1, delta)
    return writeVarint(buffer, at, this.#recordCount)
  }

  #finish(start: number, end: number, timestampMs: number): number {
    const buffer = this.#buffer
    const bodyStart = start + lengthBytesExpected
    const bodyBytes = end - bodyStart
    const lengthBytes = varintBytes(bodyBytes)
    const recordBytes = lengthBytes + bodyBytes
    if (recordBytes > this.#recordBytesMax) throw new RecordTooLargeError(recordBytes, this.#recordBytesMax)
    if (lengthBytes !== lengthBytesExpected) buffer.copyWithin(start + lengthBytes, bodyStart, end)
    writeVarint(buffer, start, bodyBytes)
    if (this.#recordCount === 0) this.#baseTimestampMs = timestampMs
    if (timestampMs < this.#minTimestampMs) this.#minTimestampMs = timestampMs
    if (timestampMs > this.#maxTimestampMs) this.#maxTimestampMs = timestampMs
    this.#recordCount++
    this.#position = start + recordBytes
    return recordBytes
  }

  #grow(bytesMin: number): void {
    if (bytesMin > batchBytesMax) {
      throw new RecordArgumentInvalidError(
        'batch',
        `would pass ${batchBytesMax} bytes`,
        'Seal it and go on with the next one.',
      )
    }
    const larger = this.#pool.acquire(bytesMin)
    const previous = this.#buffer
    if (this.#recordCount > 0) previous.copy(larger, batchHeaderBytes, batchHeaderBytes, this.#position)
    if (previous !== noBuffer) this.#pool.release(previous)
    this.#buffer = larger
  }
}
