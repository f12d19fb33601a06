import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { decodeMessages, RecordBatchReader, type RecordOutcome } from '../record/index.ts'
import { FileDamagedError } from './errors.ts'
import type { FileReads } from './file-reads.ts'

/** A stretch of records as read from the file. */
export interface Stretch {
  readonly records: readonly RecordOutcome[]
  /** Offset after the last batch that was read. */
  readonly nextOffset: number
}

const trusted = { verifyCrc: false } as const

/** Reads record batches from the file and decodes them. */
export class BatchReader {
  readonly #reads: FileReads
  readonly #holding: StatementSync
  readonly #after: StatementSync
  readonly #timeAt: StatementSync
  readonly #size: StatementSync
  readonly #wholeFrom: StatementSync

  constructor(db: DatabaseSync, reads: FileReads) {
    this.#reads = reads
    // The first batch may begin before the offset that is asked for.
    // A batch is looked up by its id, so that it tells itself of which partition it is, and not the index.
    const batch = 'SELECT partition_id, base_offset, last_offset, checksum, bytes FROM batch WHERE id ='
    this.#holding = db.prepare(`${batch}
      (SELECT id FROM batch WHERE partition_id = ? AND base_offset <= ? ORDER BY base_offset DESC LIMIT 1)`)
    this.#after = db.prepare(`${batch}
      (SELECT id FROM batch WHERE partition_id = ? AND base_offset > ? ORDER BY base_offset LIMIT 1)`)
    this.#timeAt = db.prepare(`SELECT base_offset, last_offset, time_max_ms FROM batch
      WHERE partition_id = ? AND base_offset >= ? ORDER BY base_offset`)
    this.#wholeFrom = db.prepare('SELECT max(start_offset, gaps_to) AS n FROM partition WHERE id = ?')
    this.#size = db.prepare('SELECT coalesce(sum(byte_count), 0) AS n FROM batch WHERE partition_id = ?')
  }

  /**
   * Records from `offset` on: whole batches, until `bytesMax` is passed or nothing is left before `end`. Behind it may
   * stand what is committed but not acknowledged yet, of which a reader must not know.
   */
  read(partitionId: number, offset: number, bytesMax: number, end: number): Stretch {
    return this.#reads.run(() => this.#read(partitionId, offset, bytesMax, end))
  }

  #read(partitionId: number, offset: number, bytesMax: number, end: number): Stretch {
    const records: RecordOutcome[] = []
    let nextOffset = offset
    let bytes = 0
    let row = this.#holding.get(partitionId, offset)
    if (row === undefined || Number(row['last_offset']) < offset) {
      row = this.#after.get(partitionId, row === undefined ? offset : Number(row['base_offset']))
    }
    while (row !== undefined) {
      const blob = this.#intact(partitionId, row)
      const baseOffset = Number(row['base_offset'])
      if (baseOffset >= end) break
      this.#refuseDisorder(partitionId, row, nextOffset, nextOffset > offset)
      nextOffset = this.#decode(partitionId, baseOffset, blob, offset, records)
      if (nextOffset !== Number(row['last_offset']) + 1) throw this.#damaged(partitionId, row, 'order')
      bytes += blob.byteLength
      if (bytes >= bytesMax) break
      row = this.#after.get(partitionId, baseOffset)
    }
    if (row === undefined && nextOffset < end) this.#refuseHole(partitionId, nextOffset, end)
    return { records, nextOffset }
  }

  /** Offsets of batches rise and leave nothing out: where they do not, the index or the table was damaged. */
  #refuseDisorder(partitionId: number, row: Record<string, unknown>, expected: number, isNext: boolean): void {
    const [base, last] = [Number(row['base_offset']), Number(row['last_offset'])]
    if (!(last >= expected) || (isNext && base < expected)) {
      throw this.#damaged(partitionId, row, 'order')
    }
    if (base > expected) this.#refuseHole(partitionId, expected, base)
  }

  /** Retention takes records from the beginning and compaction leaves gaps, as far as is noted; other gaps are damage. */
  #refuseHole(partitionId: number, from: number, to: number): void {
    const wholeFrom = Number(this.#wholeFrom.get(partitionId)?.['n'] ?? to)
    if (Math.max(from, wholeFrom) >= to) return
    const place = `the records at offsets ${from} to ${to - 1} of partition id ${partitionId}, which are missing`
    throw new FileDamagedError(this.#reads.path, place)
  }

  /** Time of the first record at or after `offset`, in milliseconds since the epoch; undefined: there is none. */
  timeOf(partitionId: number, offset: number): number | undefined {
    return this.#reads.run(() => this.#timeOf(partitionId, offset))
  }

  #timeOf(partitionId: number, offset: number): number | undefined {
    let row = this.#holding.get(partitionId, offset)
    if (row === undefined || Number(row['last_offset']) < offset) {
      row = this.#after.get(partitionId, row === undefined ? offset : Number(row['base_offset']))
    }
    if (row === undefined) return undefined
    return firstWhere(this.#intact(partitionId, row), (cursor) => cursor.offset >= offset)?.timestampMs
  }

  /** Offset of the first record whose time is `timestampMs` or later, undefined if there is none. */
  offsetAtTime(partitionId: number, from: number, timestampMs: number): number | undefined {
    return this.#reads.run(() => this.#offsetAtTime(partitionId, from, timestampMs))
  }

  #offsetAtTime(partitionId: number, from: number, timestampMs: number): number | undefined {
    for (const row of this.#timeAt.iterate(partitionId, this.#baseOf(partitionId, from))) {
      if (Number(row['time_max_ms']) < timestampMs) continue
      const stretch = this.#holding.get(partitionId, Number(row['base_offset']))
      if (stretch === undefined) continue
      const found = firstWhere(
        this.#intact(partitionId, stretch),
        (cursor) => cursor.timestampMs >= timestampMs && cursor.offset >= from,
      )
      if (found !== undefined) return found.offset
    }
    return undefined
  }

  /** Bytes of all batches of a partition. */
  bytesOf(partitionId: number): number {
    return this.#reads.run(() => Number(this.#size.get(partitionId)?.['n']))
  }

  #baseOf(partitionId: number, offset: number): number {
    const row = this.#holding.get(partitionId, offset)
    return row === undefined || Number(row['last_offset']) < offset ? offset : Number(row['base_offset'])
  }

  /** The bytes of a batch, if they are what was written. Our own checksum is native code; the one in the batch is not. */
  #intact(partitionId: number, row: Record<string, unknown>): Uint8Array {
    const { bytes } = row
    const isOfPartition = row['partition_id'] === partitionId
    if (bytes instanceof Uint8Array && crc32(bytes) === row['checksum'] && isOfPartition) return bytes
    throw this.#damaged(partitionId, row, 'checksum')
  }

  #damaged(partitionId: number, row: Record<string, unknown>, finding: string): FileDamagedError {
    const place = `the record batch at offset ${Number(row['base_offset'])} of partition id ${partitionId} (${finding})`
    return new FileDamagedError(this.#reads.path, place)
  }

  #decode(
    partitionId: number,
    baseOffset: number,
    blob: Uint8Array,
    fromOffset: number,
    into: RecordOutcome[],
  ): number {
    try {
      return decodeMessages(blob, (outcome) => into.push(outcome), { fromOffset, verifyCrc: false })
    } catch (error) {
      const place = `the record batch at offset ${baseOffset} of partition id ${partitionId} (${(error as Error).message})`
      throw new FileDamagedError(this.#reads.path, place, { cause: error })
    }
  }
}

/** Where a record stands, without anything of it being decoded. */
interface Place {
  readonly offset: number
  readonly timestampMs: number
}

/** The first record of a batch that fits; those behind it are not looked at. */
function firstWhere(batch: Uint8Array, fits: (place: Place) => boolean): Place | undefined {
  const cursor = new RecordBatchReader(batch, trusted).cursor()
  while (cursor.next()) if (fits(cursor)) return cursor
  return undefined
}
