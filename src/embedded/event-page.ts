import type { StoredEvent } from '../engine/index.ts'
import { JoinedBatches, type RecordOutcome } from '../record/index.ts'
import { FileDamagedError } from './errors.ts'
import { eventChecksum } from './store/row-checksum.ts'
import { eventFields } from './store/stored-event.ts'
import { storedJson } from './stored-json.ts'

/** Columns of `event` that {@link pageSql} puts together. */
export const eventColumns: string = `${eventFields}, bytes`

/**
 * SQL that gives the rows of `rows` as one: each column a list, the bytes one behind the other. Making objects and buffers of
 * every row would cost more than SQLite takes to find them.
 *
 * @param rows Selects {@link eventColumns}, in order and with a LIMIT, without which SQLite would not keep the order. A limit
 *   that is a bare parameter would have SQLite plan the statement anew for every read: `LIMIT ? + 0` does not.
 * @param ofManyStreams Says of which stream each event is.
 */
export function pageSql(rows: string, ofManyStreams: boolean): string {
  // Casting there and back leaves bytes as they are; were it otherwise, the checksums of the batches would tell. Only where
  // each event has bytes do they lie one behind the other like the events.
  return `SELECT count(*) AS count, sum(bytes > x'') AS batches, group_concat(position) AS positions,
    group_concat(version) AS versions, group_concat(time_ms) AS timesMs, group_concat(coalesce(tags, ''), char(10)) AS tags,
    sum(checksum) AS checksums, CAST(group_concat(bytes, '') AS BLOB) AS bytes${ofManyStreams ? ', group_concat(stream_id) AS streamIds' : ''}
    FROM (${rows})`
}

const noTags: readonly string[] = Object.freeze([])
const noBytes = new Uint8Array()

/** The one stream of a page, or what tells the names of many. */
export type PageStreams = { readonly id: number; readonly name: string } | ((streamId: number) => string)

/** Events as they stand in the file, decoded one by one when they are asked for. */
export class EventPage {
  readonly count: number
  readonly positions: readonly number[]
  readonly versions: readonly number[]
  readonly #streams: PageStreams
  readonly #streamIds: readonly number[]
  readonly #timesMs: readonly number[]
  readonly #tags: readonly string[] | undefined
  readonly #batches: JoinedBatches
  readonly #path: string
  #next = 0

  /**
   * @param row What {@link pageSql} gave.
   * @param where Names the page in errors.
   * @throws FileDamagedError if a column lacks a value, or has one that cannot be.
   */
  constructor(row: Record<string, unknown>, where: string, path: string, streams: PageStreams) {
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
    this.#timesMs = numbers('timesMs')
    this.#streams = streams
    this.#streamIds = typeof streams === 'object' ? [] : numbers('streamIds')
    if (Number(row['batches']) !== count) throw damaged('bytes')
    this.#batches = new JoinedBatches((row['bytes'] ?? noBytes) as Uint8Array)
    const tags = (row['tags'] ?? '') as string
    // Nothing but what stands between them: no event has tags.
    this.#tags = tags.length < Math.max(count, 1) ? undefined : tags.split('\n')
    if (this.#tags !== undefined && this.#tags.length !== count) throw damaged('tags')
    this.#path = path
    if (this.#checksums() !== Number(row['checksums'] ?? 0)) {
      const [first, last] = [this.positions[0], this.positions.at(-1)]
      throw new FileDamagedError(path, `${where}: the events at positions ${first} to ${last} (checksum)`)
    }
  }

  /** The sum of the checksums: where one event is not as it was, it is another one. To look at each by itself would cost more. */
  #checksums(): number {
    const { positions, versions } = this
    const timesMs = this.#timesMs
    const tags = this.#tags
    const streamId = typeof this.#streams === 'object' ? this.#streams.id : -1
    let sum = 0
    for (let i = 0; i < positions.length; i++) {
      const id = streamId < 0 ? (this.#streamIds[i] as number) : streamId
      const tag = tags === undefined ? '' : (tags[i] as string)
      sum += eventChecksum(positions[i] as number, id, versions[i] as number, timesMs[i] as number, tag)
    }
    return sum
  }

  /**
   * The next event; undefined: there are no more.
   * @throws FileDamagedError naming the position, where the stored bytes are not what was written.
   */
  next(): StoredEvent | undefined {
    const index = this.#next
    if (index === this.count) return undefined
    this.#next++
    const position = this.positions[index] as number
    const outcome = this.#outcome(position, index + 1 === this.count)
    if (outcome?.kind !== 'message') {
      const cause = outcome?.kind === 'undecodable' ? outcome.error : undefined
      throw new FileDamagedError(this.#path, `the event at position ${position} is no message`, { cause })
    }
    const tags = this.#tags?.[index] ?? ''
    const version = this.versions[index] as number
    const timestampMs = this.#timesMs[index] as number
    const streams = this.#streams
    return {
      stream: typeof streams === 'object' ? streams.name : streams(this.#streamIds[index] as number),
      version,
      position,
      timestampMs,
      tags: tags === '' ? noTags : this.#tagsOf(tags, position),
      message: outcome.message,
    }
  }

  #outcome(position: number, isLast: boolean): RecordOutcome | undefined {
    let outcome: RecordOutcome | undefined
    try {
      outcome = this.#batches.next()
    } catch (cause) {
      throw this.#damaged(position, (cause as Error).message, cause)
    }
    if (isLast && !this.#batches.isAtEnd) throw this.#damaged(position, 'bytes stand behind it', undefined)
    return outcome
  }

  #damaged(position: number, finding: string, cause: unknown): FileDamagedError {
    return new FileDamagedError(this.#path, `the event at position ${position} (${finding})`, { cause })
  }

  #tagsOf(text: string, position: number): readonly string[] {
    return storedJson(this.#path, text, () => `the tags of the event at position ${position}`) as string[]
  }
}
