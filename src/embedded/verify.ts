import type { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { checkOptions } from '../committing/index.ts'
import { ArgumentInvalidError } from '../engine/index.ts'
import { isUuid } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import { decodeMessages, type RecordOutcome, readBatchHeader } from '../record/index.ts'
import { integrityProblems } from './connection.ts'
import { typeLabel } from './store/label-index.ts'
import { deletedTopicPrefix } from './store/protocol.ts'
import { isIntact } from './store/row-checksum.ts'
import { verifyRows } from './verify-rows.ts'

/** One place of a file that is not as it was written. */
export interface Damage {
  /** Where, for people: `topic orders, partition 2, offset 4711`. */
  readonly place: string
  readonly problem: string
}

/** What {@link verifyDatabase} looked at and found. */
export interface VerifyReport {
  readonly batchCount: number
  readonly recordCount: number
  readonly eventCount: number
  readonly damages: readonly Damage[]
  /** There was more damage than is listed. */
  readonly isCutShort: boolean
}

/** How far a walk is, for a progress bar. */
export interface VerifyProgress {
  readonly done: number
  readonly total: number
}

/** Options of work that tells how far it is. @throws ArgumentInvalidError `ARGUMENT_INVALID` */
export function checkProgressOptions(options: { readonly onProgress?: unknown }): void {
  checkOptions('options', options)
  const { onProgress } = options
  if (onProgress === undefined || typeof onProgress === 'function') return
  throw new ArgumentInvalidError('onProgress', 'is not a function')
}

const damagesMax = 1_000
const anotherChecksum = 'has another checksum than is noted'
const outOfOrder = 'what stands behind it is out of order'
/** After this many rows others get a turn. */
const rowsPerTurn = 256

/** Walks every page, every record batch, every event and every other row, and holds the indexes against them. */
export class Verification {
  readonly #db: DatabaseSync
  readonly #damages: Damage[] = []
  #recordCount = 0
  #batchCount = 0
  #eventCount = 0
  #done = 0

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  async run(onProgress: (progress: VerifyProgress) => void, signal: AbortSignal | undefined): Promise<VerifyReport> {
    for (const problem of integrityProblems(this.#db, 100)) this.#report('the pages and indexes of SQLite', problem)
    const total = this.#count('batch') + this.#count('event')
    const turn = async (): Promise<void> => {
      this.#done++
      if (this.#done % rowsPerTurn !== 0) return
      onProgress({ done: this.#done, total })
      await new Promise((resolve) => setImmediate(resolve))
      signal?.throwIfAborted()
    }
    for (const partition of this.#rows(`SELECT partition.id, number, name, start_offset, end_floor, gaps_to FROM partition
        JOIN topic ON topic.id = topic_id WHERE name NOT GLOB '${deletedTopicPrefix}*' ORDER BY name, number`)) {
      await this.#verifyPartition(partition, turn)
    }
    this.#verifyTopics()
    await this.#verifyEvents(turn)
    this.#verifyStreams()
    this.#verifyOrphans()
    this.#verifyProgress()
    await verifyRows(this.#db, (place, problem) => this.#report(place, problem), signal)
    onProgress({ done: total, total })
    return {
      batchCount: this.#batchCount,
      recordCount: this.#recordCount,
      eventCount: this.#eventCount,
      damages: this.#damages,
      isCutShort: this.#damages.length >= damagesMax,
    }
  }

  async #verifyPartition(partition: Record<string, unknown>, turn: () => Promise<void>): Promise<void> {
    const name = `topic ${String(partition['name'])}, partition ${Number(partition['number'])}`
    // Compaction leaves gaps up to here, and retention nothing before it; what is missing from here on was lost.
    const wholeFrom = Math.max(Number(partition['start_offset']), Number(partition['gaps_to']))
    let expectedFrom = 0
    let after = -1
    const reportGap = (end: number): void => {
      const first = Math.max(expectedFrom, wholeFrom)
      if (end > first) this.#report(`${name}, offset ${first}`, `the records up to offset ${end - 1} are missing`)
    }
    for (;;) {
      const row = this.#row(
        `SELECT base_offset, last_offset, time_max_ms, byte_count, checksum, bytes FROM batch
         WHERE partition_id = ? AND base_offset > ? ORDER BY base_offset LIMIT 1`,
        Number(partition['id']),
        after,
        name,
      )
      if (row === undefined) return reportGap(Number(partition['end_floor']))
      // A page out of order answers a look ahead with what lies behind: going on from there would never end.
      if (!(Number(row['base_offset']) > after)) return this.#report(`${name}, after offset ${after}`, outOfOrder)
      after = Number(row['base_offset'])
      const place = `${name}, offset ${after}`
      reportGap(after)
      if (after < expectedFrom) this.#report(place, `overlaps the batch before it, which ends at ${expectedFrom - 1}`)
      expectedFrom = Number(row['last_offset']) + 1
      this.#verifyBatch(row, place)
      await turn()
    }
  }

  #verifyBatch(row: Record<string, unknown>, place: string): void {
    const { bytes } = row
    this.#batchCount++
    if (!(bytes instanceof Uint8Array)) {
      this.#report(place, 'has no bytes')
      return
    }
    if (bytes.byteLength !== Number(row['byte_count'])) {
      this.#report(place, `has ${bytes.byteLength} bytes where ${Number(row['byte_count'])} are noted`)
    }
    const isAltered = crc32(bytes) !== row['checksum']
    if (isAltered) this.#report(place, anotherChecksum)
    let last = Number(row['base_offset']) - 1
    try {
      const end = decodeMessages(bytes, (outcome: RecordOutcome) => {
        this.#recordCount++
        if (outcome.offset <= last) this.#report(place, `offset ${outcome.offset} comes after ${last}`)
        last = outcome.offset
      })
      if (end !== Number(row['last_offset']) + 1) {
        this.#report(place, `ends at offset ${end - 1} where ${Number(row['last_offset'])} is noted`)
      }
    } catch (error) {
      // Once is enough for one batch.
      if (!isAltered) this.#report(place, (error as Error).message)
    }
  }

  /** Partitions are numbered from 0 without gaps, as many as the settings say. */
  #verifyTopics(): void {
    const broken = this.#rows(`SELECT name, config ->> 'partitions' AS wanted, count(number) AS n
      FROM (SELECT id, name, iif(json_valid(config), config, '{}') AS config FROM topic WHERE name NOT GLOB '${deletedTopicPrefix}*') AS topic
      LEFT JOIN partition ON topic_id = topic.id AND number < (config ->> 'partitions')
      GROUP BY topic.id HAVING n <> wanted`)
    for (const { name, wanted, n } of broken) {
      this.#report(`topic ${String(name)}`, `has ${Number(n)} of its ${Number(wanted)} partitions`)
    }
  }

  async #verifyEvents(turn: () => Promise<void>): Promise<void> {
    let after = 0
    let timeMs = 0
    for (;;) {
      const row = this.#row(
        `SELECT position, stream_id, version, time_ms, event_id, bytes, tags, checksum, (SELECT name FROM label WHERE id = type_id) AS type,
           (SELECT name FROM stream WHERE id = stream_id) AS stream,
           (SELECT count(*) FROM event_label WHERE label_id = type_id AND position = event.position)
           + (SELECT count(*) FROM json_each(iif(json_valid(tags), tags, '[]')) JOIN label ON name = 'g:' || value
              JOIN event_label ON label_id = label.id AND event_label.position = event.position) AS labels
         FROM event WHERE position > ? ORDER BY position LIMIT 1`,
        after,
        undefined,
        'the event store',
      )
      if (row === undefined) return
      if (!(Number(row['position']) > after)) return this.#report(`event after position ${after}`, outOfOrder)
      after = Number(row['position'])
      this.#eventCount++
      const place = `event at position ${after}, stream ${String(row['stream'])}, version ${Number(row['version'])}`
      const found = this.#damages.length
      if (row['stream'] === null) this.#report(place, 'belongs to no stream')
      try {
        const bytes = row['bytes'] as Uint8Array
        // Neither is covered by the checksum of the bytes, and nothing depends on them.
        const { baseOffset, partitionLeaderEpoch } = readBatchHeader(bytes)
        if (baseOffset !== 0 || partitionLeaderEpoch !== 0) this.#report(place, 'begins with other bytes than an event')
        decodeMessages(bytes, (outcome) => {
          if (outcome.kind !== 'message') this.#report(place, 'cannot be decoded')
          else this.#verifyIdentity(row, outcome.message, place)
        })
      } catch (error) {
        this.#report(place, (error as Error).message)
      }
      if (Number(row['time_ms']) < timeMs) this.#report(place, 'was appended before the event before it')
      timeMs = Math.max(timeMs, Number(row['time_ms']))
      const labelCount = tagCountOf(row['tags']) + 1
      if (Number.isNaN(labelCount)) this.#report(place, 'has tags that are no list')
      else if (Number(row['labels']) !== labelCount) {
        this.#report(place, `is found by ${Number(row['labels'])} of its ${labelCount} labels`)
      }
      // What is wrong with it was told, if anybody can tell.
      if (this.#damages.length === found && !isIntact('event', row)) this.#report(place, anotherChecksum)
      await turn()
    }
  }

  /** What an event is found by must be what it says of itself. */
  #verifyIdentity(row: Record<string, unknown>, message: Message, place: string): void {
    const noted = row['event_id']
    const id = isUuid(message.id) ? message.id.replaceAll('-', '') : `${message.source} ${message.id}`
    const found = noted instanceof Uint8Array ? Buffer.from(noted).toString('hex') : noted
    if (found !== id) this.#report(place, `is noted under another id than ${message.id}`)
    if (row['type'] !== typeLabel(message.type)) this.#report(place, `is noted under another type than ${message.type}`)
  }

  /** Versions of a stream have no gaps, wherever truncation lets it begin. */
  #verifyStreams(): void {
    const broken = this.#rows(`SELECT name, count(*) AS n, min(version) AS low, max(version) AS high, truncated_before
      FROM event JOIN stream ON stream.id = stream_id GROUP BY stream_id
      HAVING n <> high - low + 1 OR low <> truncated_before LIMIT 1000`)
    for (const { name, n, low, high, truncated_before: first } of broken) {
      const problem = `holds ${Number(n)} events of the versions ${Number(low)} to ${Number(high)}`
      this.#report(`stream ${String(name)}`, `${problem}, where it begins at ${Number(first)} and has no gaps`)
    }
  }

  #verifyOrphans(): void {
    const orphans = this.#rows(
      `SELECT DISTINCT partition_id FROM batch WHERE partition_id NOT IN (SELECT id FROM partition)`,
    )
    for (const row of orphans) this.#report(`partition id ${Number(row['partition_id'])}`, 'has records but no topic')
    const links = this.#rows(
      'SELECT DISTINCT position FROM event_label WHERE position NOT IN (SELECT position FROM event) LIMIT 1000',
    )
    for (const row of links)
      this.#report(`event at position ${Number(row['position'])}`, 'is named by a label but is not there')
    const homeless = this.#rows(
      'SELECT DISTINCT namespace_id FROM state WHERE namespace_id NOT IN (SELECT id FROM namespace)',
    )
    for (const row of homeless) this.#report(`namespace id ${Number(row['namespace_id'])}`, 'has state but no name')
  }

  #verifyProgress(): void {
    const groups = this.#rows(`SELECT group_name, partition_id, name, number, next_offset,
        max(end_floor, coalesce((SELECT last_offset + 1 FROM batch WHERE partition_id = partition.id
          ORDER BY base_offset DESC LIMIT 1), 0)) AS end_offset
      FROM progress LEFT JOIN partition ON partition.id = partition_id LEFT JOIN topic ON topic.id = topic_id`)
    for (const row of groups) {
      const group = `progress of group ${String(row['group_name'])}`
      const place = `${group}, topic ${String(row['name'])}, partition ${Number(row['number'])}`
      if (row['name'] === null) this.#report(group, `is on partition id ${Number(row['partition_id'])}, of no topic`)
      else if (Number(row['next_offset']) > Number(row['end_offset'])) {
        this.#report(place, `is at offset ${Number(row['next_offset'])}, beyond the end ${Number(row['end_offset'])}`)
      }
    }
  }

  #count(table: 'batch' | 'event'): number {
    return Number(this.#rows(`SELECT count(*) AS n FROM ${table}`)[0]?.['n'] ?? 0)
  }

  #rows(sql: string): Record<string, unknown>[] {
    try {
      return this.#db.prepare(sql).all()
    } catch (error) {
      const [, table = 'of SQLite'] = /FROM (\w+)/.exec(sql) ?? []
      this.#report(`table ${table}`, (error as Error).message)
      return []
    }
  }

  /** A row that cannot even be read ends the walk of its table; what was found so far is reported. */
  #row(sql: string, a: number, b: number | undefined, place: string): Record<string, unknown> | undefined {
    try {
      return b === undefined ? this.#db.prepare(sql).get(a) : this.#db.prepare(sql).get(a, b)
    } catch (error) {
      this.#report(`${place}, after ${b ?? a}`, (error as Error).message)
      return undefined
    }
  }

  #report(place: string, problem: string): void {
    if (this.#damages.length < damagesMax) this.#damages.push({ place, problem })
  }
}

/** NaN where the column holds no list. */
function tagCountOf(column: unknown): number {
  if (column === null) return 0
  if (typeof column !== 'string') return Number.NaN
  try {
    const tags: unknown = JSON.parse(column)
    return Array.isArray(tags) ? tags.length : Number.NaN
  } catch {
    return Number.NaN
  }
}
