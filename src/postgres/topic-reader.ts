import { decodeMessages, RecordBatchReader, type RecordOutcome } from '../record/index.ts'
import { type NamedStatement, numberOf, type Row, type StatementRunner } from './statements.ts'

/** Batches that one page holds at most, however small they are. */
const pageBatchesMax = 1024

/** What a partition answers to one read: a state of one moment. */
export interface Page {
  readonly earliest: number
  readonly latest: number
  readonly records: readonly RecordOutcome[]
  /** Where to read on. */
  readonly nextOffset: number
}

/** First and next offset of a partition. */
export interface Extent {
  readonly earliest: number
  readonly latest: number
}

/**
 * Reads record batches from the server and decodes them.
 *
 * Extent and batches come from one statement, so from one moment: who appends holds the partition's row until the commit,
 * so what a reader sees is always a beginning of the log, and retention cannot take away batches behind a reader's back.
 */
export class TopicReader {
  readonly #runner: StatementRunner
  readonly #page: NamedStatement
  readonly #extent: NamedStatement
  readonly #holding: NamedStatement
  readonly #atTime: NamedStatement

  /** @param schema Quoted. */
  constructor(runner: StatementRunner, schema: string) {
    this.#runner = runner
    this.#page = {
      name: 'millrace_page',
      // The first batch may begin before the offset that is asked for.
      text: `SELECT p.start_offset, p.next_offset, b.last_offset, b.bytes
        FROM ${schema}.partition AS p LEFT JOIN LATERAL (
          SELECT base_offset, last_offset, bytes FROM (
            SELECT base_offset, last_offset, bytes, sum(byte_count) OVER (ORDER BY base_offset) - byte_count AS before
            FROM (
              SELECT base_offset, last_offset, bytes, byte_count FROM ${schema}.batch
              WHERE partition_id = $1 AND last_offset >= $2 AND base_offset >= coalesce((
                SELECT max(base_offset) FROM ${schema}.batch WHERE partition_id = $1 AND base_offset <= $2), 0)
              ORDER BY base_offset LIMIT ${pageBatchesMax}) AS next
          ) AS summed WHERE before < $3
        ) AS b ON $2 >= p.start_offset
        WHERE p.id = $1 AND NOT p.is_deleted ORDER BY b.base_offset`,
    }
    this.#extent = {
      name: 'millrace_extent',
      text: `SELECT start_offset, next_offset FROM ${schema}.partition WHERE id = $1 AND NOT is_deleted`,
    }
    this.#holding = {
      name: 'millrace_batch_at',
      text: `SELECT bytes FROM ${schema}.batch WHERE partition_id = $1 AND last_offset >= $2 AND base_offset >= coalesce((
          SELECT max(base_offset) FROM ${schema}.batch WHERE partition_id = $1 AND base_offset <= $2), 0)
        ORDER BY base_offset LIMIT 1`,
    }
    this.#atTime = {
      name: 'millrace_batch_at_time',
      text: `SELECT last_offset, bytes FROM ${schema}.batch
        WHERE partition_id = $1 AND last_offset >= $2 AND time_max_ms >= $3 AND base_offset >= coalesce((
          SELECT max(base_offset) FROM ${schema}.batch WHERE partition_id = $1 AND base_offset <= $2), 0)
        ORDER BY base_offset LIMIT 1`,
    }
  }

  /**
   * Records from `offset` on: whole batches, until `bytesMax` is passed or nothing is left. Undefined: the partition is
   * no more. An offset outside the extent has no records.
   * @throws RecordBatchDamagedError
   */
  async page(partitionId: number, offset: number, bytesMax: number): Promise<Page | undefined> {
    const rows = await this.#runner.query(this.#page, [partitionId, offset, bytesMax])
    const [first] = rows
    if (first === undefined) return undefined
    const [earliest, latest] = [numberOf(first, 'start_offset'), numberOf(first, 'next_offset')]
    const records: RecordOutcome[] = []
    let nextOffset = offset
    for (const row of rows) {
      if (row['bytes'] === null) continue
      decodeMessages(bytesOf(row), (outcome) => records.push(outcome), { fromOffset: offset })
      nextOffset = numberOf(row, 'last_offset') + 1
    }
    // Nothing more is stored although the end lies beyond: compaction took the last records away.
    return { earliest, latest, records, nextOffset: nextOffset === offset ? Math.max(offset, latest) : nextOffset }
  }

  /** Undefined: the partition is no more. */
  async extent(partitionId: number): Promise<Extent | undefined> {
    const [row] = await this.#runner.query(this.#extent, [partitionId])
    return row && { earliest: numberOf(row, 'start_offset'), latest: numberOf(row, 'next_offset') }
  }

  /** Time of the first record at or after `offset`, in milliseconds since the epoch; undefined: there is none. */
  async timeOf(partitionId: number, offset: number): Promise<number | undefined> {
    const [row] = await this.#runner.query(this.#holding, [partitionId, offset])
    return row && firstWhere(bytesOf(row), (place) => place.offset >= offset)?.timestampMs
  }

  /** Offset of the first record from `from` on whose time is `timestampMs` or later; undefined: there is none. */
  async offsetAtTime(partitionId: number, from: number, timestampMs: number): Promise<number | undefined> {
    for (let offset = from; ; ) {
      const [row] = await this.#runner.query(this.#atTime, [partitionId, offset, timestampMs])
      if (row === undefined) return undefined
      const isMeant = (place: Place): boolean => place.timestampMs >= timestampMs && place.offset >= from
      const found = firstWhere(bytesOf(row), isMeant)
      if (found !== undefined) return found.offset
      // The record of that time in it stands before `from`.
      offset = numberOf(row, 'last_offset') + 1
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
  const cursor = new RecordBatchReader(batch).cursor()
  while (cursor.next()) if (fits(cursor)) return cursor
  return undefined
}

function bytesOf(row: Row): Uint8Array {
  return row['bytes'] as Uint8Array
}
