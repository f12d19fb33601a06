import type { StoredEvent } from '../engine/index.ts'
import { JoinedBatches, type RecordOutcome } from '../record/index.ts'
import { FileDamagedError } from './errors.ts'
import { storedJson } from './stored-json.ts'

/** Columns of `event` that {@link pageSql} puts together. */
export const eventColumns = 'stream_id, position, version, time_ms, tags, bytes'

/**
 * SQL that gives the rows of `rows` as one: each column a list, the bytes one behind the other. Making objects and buffers of
 * every row would cost more than SQLite takes to find them.
 *
 * @param rows Selects {@link eventColumns}, in order and with a LIMIT, without which SQLite would not keep the order. A limit
 *   that is a bare parameter would have the statement planned anew whenever it has another value: `LIMIT ? + 0` has not.
 */
export function pageSql(rows: string): string {
  // Casting there and back leaves bytes as they are; were it otherwise, the checksums of the batches would tell.
  return `SELECT count(*) AS count, group_concat(stream_id) AS streamIds, group_concat(position) AS positions,
    group_concat(version) AS versions, group_concat(time_ms) AS timesMs, group_concat(octet_length(bytes)) AS sizes,
    iif(count(tags) = 0, NULL, group_concat(coalesce(tags, ''), char(10))) AS tags,
    CAST(group_concat(bytes, '') AS BLOB) AS bytes FROM (${rows})`
}

const noTags: readonly string[] = Object.freeze([])
const noBytes = new Uint8Array()

/** Events as they stand in the file, decoded one by one when they are asked for. */
export class EventPage {
  readonly count: number
  readonly positions: readonly number[]
  readonly versions: readonly number[]
  readonly #streamIds: readonly number[]
  readonly #timesMs: readonly number[]
  readonly #tags: readonly string[] | undefined
  /** Where the batch of each event ends, and the next one begins. */
  readonly #ends: readonly number[]
  readonly #batches: JoinedBatches
  readonly #path: string
  readonly #streamName: (streamId: number) => string

  /**
   * @param row What {@link pageSql} gave.
   * @param where Names the page in errors.
   * @throws FileDamagedError if a column lacks a value, or has one that cannot be.
   */
  constructor(row: Record<string, unknown>, where: string, path: string, streamName: (streamId: number) => string) {
    const count = Number(row['count'])
    const damaged = (column: string): FileDamagedError =>
      new FileDamagedError(path, `${where}: the ${column} of ${count} events`)
    const numbers = (column: string): readonly number[] => {
      const found = storedJson(path, `[${(row[column] ?? '') as string}]`, () => `${where}: the ${column}`) as number[]
      if (found.length !== count) throw damaged(column)
      return found
    }
    this.count = count
    this.positions = numbers('positions')
    this.versions = numbers('versions')
    this.#streamIds = numbers('streamIds')
    this.#timesMs = numbers('timesMs')
    let end = 0
    this.#ends = numbers('sizes').map((size) => (end += size))
    const bytes = row['bytes'] instanceof Uint8Array ? row['bytes'] : noBytes
    if (bytes.length !== end) throw damaged('bytes')
    this.#batches = new JoinedBatches(bytes)
    this.#tags = (row['tags'] as string | null)?.split('\n')
    if (this.#tags !== undefined && this.#tags.length !== count) throw damaged('tags')
    this.#path = path
    this.#streamName = streamName
  }

  /** @throws FileDamagedError naming the position, where the stored bytes are not what was written. */
  event(index: number): StoredEvent {
    const position = this.positions[index] as number
    const outcome = this.#outcome(index, position)
    if (outcome?.kind !== 'message') {
      const cause = outcome?.kind === 'undecodable' ? outcome.error : undefined
      throw new FileDamagedError(this.#path, `the event at position ${position} is no message`, { cause })
    }
    const tags = this.#tags?.[index] ?? ''
    return {
      stream: this.#streamName(this.#streamIds[index] as number),
      version: this.versions[index] as number,
      position,
      timestampMs: this.#timesMs[index] as number,
      tags: tags === '' ? noTags : this.#tagsOf(tags, position),
      message: outcome.message,
    }
  }

  #outcome(index: number, position: number): RecordOutcome | undefined {
    try {
      return this.#batches.firstRecord(index === 0 ? 0 : (this.#ends[index - 1] as number), this.#ends[index] as number)
    } catch (cause) {
      const place = `the event at position ${position} (${(cause as Error).message})`
      throw new FileDamagedError(this.#path, place, { cause })
    }
  }

  #tagsOf(text: string, position: number): readonly string[] {
    return storedJson(this.#path, text, () => `the tags of the event at position ${position}`) as string[]
  }
}
