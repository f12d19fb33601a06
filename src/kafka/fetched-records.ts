import { MessageUndecodableError } from '../message/index.ts'
import {
  batchBytesAt,
  checkCrc,
  DecompressedTooLargeError,
  decodeBatch,
  decodeMessages,
  decompressForeign,
  type RawRecord,
  RecordBatchDamagedError,
  RecordBatchReader,
  RecordBatchUnsupportedError,
  type RecordOutcome,
  type UndecodableRecord,
} from '../record/index.ts'
import type { KafkaLibrary } from './client-library.ts'
import type { AbortedTransaction, FetchAnswer } from './raw-requests.ts'

/** Where fields stand in a record batch of magic 2 (Kafka documentation, "Record Batch"). */
const fieldAt = {
  batchLength: 8,
  magic: 16,
  attributes: 21,
  lastOffsetDelta: 23,
  maxTimestamp: 35,
  producerId: 43,
} as const
const headerBytes = 61
const bytesBeforeLengthEnds = 12
const compressionMask = 0x07
const transactionalBit = 0x10
const controlBit = 0x20
/** Type of a control record: its key is a version and a type, both of 16 bits (KIP-98). */
const abortMarker = 0

/** What a partition holds from some offset on. */
export interface FetchedRecords {
  readonly records: readonly RecordOutcome[]
  /** Where to read on. */
  readonly nextOffset: number
}

/**
 * The records of an answer that count: no markers, and nothing of a transaction that was aborted.
 *
 * A batch that arrived as its producer made it and cannot be read all the same (it is a bomb, or no stream of its compression)
 * is one undecodable record: whoever stopped at it would never get past it.
 *
 * @param onGap Told of offsets, from up to but not including to, that were passed and hold no record.
 */
export function recordsOf(
  library: KafkaLibrary,
  answer: FetchAnswer,
  offset: number,
  onGap: (from: number, to: number) => void,
): FetchedRecords {
  const records: RecordOutcome[] = []
  const nextOffset = walk(answer, offset, onGap, (batch, passTo) => {
    const keep = (record: RecordOutcome): void => {
      passTo(record.offset)
      records.push(record)
    }
    try {
      decodeMessages(readableBatch(library, batch), keep, { fromOffset: offset, verifyCrc: false })
    } catch (error) {
      if (!isOfBatch(error, batch)) throw error
      const nextInBatch = (records.at(-1)?.offset ?? -1) + 1
      keep(unreadable(batch, Math.max(offset, nextInBatch, firstOffsetOf(batch)), error))
    }
  })
  return { records, nextOffset }
}

/** Like {@link recordsOf}, but gives each record as it is: views into the answer. Answers where to read on. */
export function rawRecordsOf(
  library: KafkaLibrary,
  answer: FetchAnswer,
  offset: number,
  onRecord: (record: RawRecord) => void,
): number {
  return walk(answer, offset, nothing, (batch) => {
    for (const record of new RecordBatchReader(readableBatch(library, batch), { verifyCrc: false })) {
      if (record.offset >= offset) onRecord(record)
    }
  })
}

const nothing = (): void => undefined

/** @param read Reads a batch that counts and is whole; it says of each record, before it takes it, at which offset it stands. */
function walk(
  answer: FetchAnswer,
  offset: number,
  onGap: (from: number, to: number) => void,
  read: (batch: Buffer, passTo: (recordOffset: number) => void) => void,
): number {
  let nextOffset = offset
  const aborted = new AbortedFilter(answer.aborted)
  const passTo = (recordOffset: number): void => {
    if (recordOffset > nextOffset) onGap(nextOffset, recordOffset)
    nextOffset = recordOffset + 1
  }
  for (const batch of wholeBatches(answer.bytes)) {
    const isKept = aborted.keeps(batch)
    const end = lastOffsetOf(batch) + 1
    if (end <= nextOffset) continue
    if (isKept) {
      checkCrc(batch)
      read(batch, passTo)
    }
    if (end > nextOffset) onGap(nextOffset, end)
    nextOffset = end
  }
  return nextOffset
}

/** Tells batches of aborted transactions from the others, in the order of the log (KIP-98, "Reading Aborted Transactions"). */
class AbortedFilter {
  readonly #open: AbortedTransaction[]
  readonly #aborting = new Set<number>()

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#open = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset)
  }

  keeps(batch: Buffer): boolean {
    const lastOffset = lastOffsetOf(batch)
    while (this.#open[0] !== undefined && this.#open[0].firstOffset <= lastOffset) {
      this.#aborting.add((this.#open.shift() as AbortedTransaction).producerId)
    }
    const attributes = batch.readInt16BE(fieldAt.attributes)
    const producerId = Number(batch.readBigInt64BE(fieldAt.producerId))
    if ((attributes & controlBit) !== 0) {
      if (this.#aborting.has(producerId) && markerTypeOf(batch) === abortMarker) this.#aborting.delete(producerId)
      return false
    }
    return (attributes & transactionalBit) === 0 || !this.#aborting.has(producerId)
  }
}

function markerTypeOf(batch: Buffer): number | undefined {
  const key = decodeBatch(batch)[0]?.key
  if (key === undefined || key === null || key.length < 4) return undefined
  return new DataView(key.buffer, key.byteOffset, key.byteLength).getInt16(2)
}

function firstOffsetOf(batch: Buffer): number {
  return Number(batch.readBigInt64BE(0))
}

function lastOffsetOf(batch: Buffer): number {
  return firstOffsetOf(batch) + batch.readInt32BE(fieldAt.lastOffsetDelta)
}

/** The batches that are there as a whole; brokers cut the last one where the bound of bytes falls. */
function* wholeBatches(bytes: Buffer | null): Generator<Buffer, void, undefined> {
  if (bytes === null) return
  let at = 0
  while (at + bytesBeforeLengthEnds <= bytes.length) {
    const batchBytes = batchBytesAt(bytes, at)
    if (batchBytes === undefined || at + batchBytes > bytes.length || batchBytes < headerBytes) return
    yield bytes.subarray(at, at + batchBytes)
    at += batchBytes
  }
}

/** Reading such a batch again gives the same error. Formats before magic 2 are none of a batch, but of the whole topic. */
function isOfBatch(error: unknown, batch: Buffer): error is Error {
  return (
    error instanceof DecompressedTooLargeError ||
    error instanceof RecordBatchDamagedError ||
    (error instanceof RecordBatchUnsupportedError && batch[fieldAt.magic] === 2)
  )
}

/** What stands for all records of a batch from an offset on. Their keys are not known, so none of them is parked. */
function unreadable(batch: Buffer, offset: number, cause: Error): UndecodableRecord {
  const recordCount = lastOffsetOf(batch) + 1 - offset
  const reason = `with ${recordCount} record${recordCount === 1 ? '' : 's'} from offset ${offset} on cannot be read: ${cause.message}`
  return {
    kind: 'undecodable',
    offset,
    timestampMs: Number(batch.readBigInt64BE(fieldAt.maxTimestamp)),
    key: null,
    error: new MessageUndecodableError('a record batch', reason, { cause }),
    value: new Uint8Array(batch.subarray(headerBytes)),
    headers: [],
  }
}

/**
 * The batch in a compression that `src/record` reads. Other producers compress with snappy and lz4 too; for these the client
 * library brings WebAssembly.
 */
function readableBatch(library: KafkaLibrary, batch: Buffer): Buffer {
  const attributes = batch.readInt16BE(fieldAt.attributes)
  const codec = attributes & compressionMask
  if (codec !== 2 && codec !== 3) return batch
  const compression = codec === 2 ? 'snappy' : 'lz4'
  const decode = (records: Buffer): Buffer => library.compressionsAlgorithms[compression].decompressSync(records)
  const records = decompressForeign(batch.subarray(headerBytes), { compression, decode })
  const plain = Buffer.concat([batch.subarray(0, headerBytes), records])
  plain.writeInt16BE(attributes & ~compressionMask, fieldAt.attributes)
  plain.writeInt32BE(plain.length - bytesBeforeLengthEnds, fieldAt.batchLength)
  return plain
}
