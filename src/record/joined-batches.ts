import { checkCrcAt, readHeaderAt, viewOf } from './batch-header.ts'
import { decompressedBytesMaxDefault } from './compression.ts'
import type { RecordOutcome } from './record.ts'
import { sectionOf } from './record-batch-reader.ts'
import { RecordCursor, type RecordSection } from './record-cursor.ts'
import { RecordDecoder } from './record-decoder.ts'

/**
 * Batches that lie one behind the other, of which the first record is wanted: events of the event store, each in a batch of
 * its own.
 *
 * What it takes to read a batch is made once for all of them, which is a third of the cost where a batch has one record.
 *
 * @example
 * ```ts
 * const batches = new JoinedBatches(bytes)
 * while (!batches.isAtEnd) console.log(batches.next())
 * ```
 */
export class JoinedBatches {
  readonly #bytes: Buffer
  readonly #view: DataView
  #position = 0
  #decoder: RecordDecoder | undefined

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#view = viewOf(bytes)
  }

  /** Nothing is left. */
  get isAtEnd(): boolean {
    return this.#position === this.#bytes.length
  }

  /**
   * The first record of the next batch, as `decodeMessages` would give it out; undefined: it has none.
   *
   * Where a batch ends only its own length tells, which no checksum covers: behind a damaged batch nothing can be read.
   *
   * @throws RecordBatchDamagedError `RECORD_BATCH_DAMAGED`, also behind the last batch.
   * @throws RecordBatchUnsupportedError, DecompressedTooLargeError: see `decodeMessages`.
   */
  next(): RecordOutcome | undefined {
    const start = this.#position
    const header = readHeaderAt(this.#view, start)
    this.#position += header.batchBytes
    checkCrcAt(this.#view, start, this.#position)
    if (header.isControl) return undefined
    const decoder = this.#decoderOf(sectionOf(this.#bytes, start, header, decompressedBytesMaxDefault))
    return decoder.cursor.next() ? decoder.decode() : undefined
  }

  #decoderOf(section: RecordSection): RecordDecoder {
    if (section.bytes !== this.#bytes) return new RecordDecoder(new RecordCursor(section))
    if (this.#decoder === undefined) this.#decoder = new RecordDecoder(new RecordCursor(section))
    else this.#decoder.cursor.enter(section)
    return this.#decoder
  }
}
