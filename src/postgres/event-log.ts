import {
  checkedTags,
  checkInteger,
  checkName,
  checkOptions,
  checkQuery,
  checkSignal,
  checkText,
  knownOptions,
} from '../committing/index.ts'
import {
  type AddedTags,
  ArgumentInvalidError,
  type CaughtUp,
  type Direction,
  type EventQuery,
  type EventStore,
  type ReadAllOptions,
  type ReadStreamOptions,
  type StoredEvent,
  type StreamDescription,
  StreamTruncatedError,
  StreamUnknownError,
} from '../engine/index.ts'
import { decodeMessages, type RecordOutcome } from '../record/index.ts'
import type { EngineCore } from './engine-core.ts'
import { PostgresDataDamagedError } from './errors.ts'
import { queryLabels, taggedLabels, tagsOf } from './event-labels.ts'
import { type EventStatements, eventStatements } from './event-statements.ts'
import { type NamedStatement, numberOf, type Row } from './statements.ts'
import { boundOf, boundsAfter } from './text-bounds.ts'
import { wakeUp } from './wake-up.ts'

/** Events of a page: the first is small, because nobody knows yet how large they are. */
const pageEventsFirst = 64
const pageEventsMax = 512
/** What a page should weigh, in bytes: a few large events, or many small ones. */
const pageBytesWorth = 4 * 1024 * 1024
const listLimitDefault = 100

/** Greater than any position and any version. */
const endOfAll = Number.MAX_SAFE_INTEGER

/** One page of events, and how to ask for the one behind it. */
interface Pages {
  readonly statement: NamedStatement
  /** Column that says where a page ends. */
  readonly place: 'version' | 'position'
  readonly values: (from: number, count: number) => readonly unknown[]
  /** Throws if a page after the first one does not go on where the one before ended. */
  readonly check?: (from: number, rows: readonly Row[]) => Promise<void>
}

/** The event store of the PostgreSQL engine, as readers see it. */
export class EventLog implements EventStore {
  readonly #core: EngineCore
  readonly #sql: EventStatements

  constructor(core: EngineCore) {
    this.#core = core
    this.#sql = eventStatements(core.schema)
  }

  async *readStream(stream: string, options: ReadStreamOptions = {}): AsyncGenerator<StoredEvent> {
    checkName('stream', stream)
    checkOptions('options', options, knownOptions.readStream)
    const { direction = 'forward', query, signal, fromTimeMs, limit } = options
    if (query !== undefined) checkQuery('query', query)
    const isForward = isForwardIn(direction)
    const from = options.fromVersion ?? (isForward ? 1 : endOfAll)
    checkInteger('fromVersion', from, 0)
    const items = JSON.stringify(queryLabels(query ?? { items: [] }))
    const pages: Pages = {
      statement: isForward ? this.#sql.streamForward : this.#sql.streamBackward,
      place: 'version',
      values: (next, count) => [stream, next, items, count],
    }
    const start = await this.#startOf(stream, isForward, from, fromTimeMs)
    // What a query leaves out cannot be told from what is gone, nor can the order of two statements.
    const isWhole = (next: number, row: Row | undefined): boolean =>
      !isForward || (query === undefined && row !== undefined && numberOf(row, 'version') === next)
    const check = async (next: number, rows: readonly Row[]): Promise<void> => {
      if (!isWhole(next, rows[0])) await this.#refuseHole(stream, next)
    }
    yield* this.#read({ ...pages, check }, isForward, start, checkedLimit(limit), signal)
  }

  async *readAll(options: ReadAllOptions = {}): AsyncGenerator<StoredEvent> {
    checkOptions('options', options, knownOptions.readAll)
    const { direction = 'forward', query, signal, fromTimeMs, limit } = options
    if (query !== undefined) checkQuery('query', query)
    const isForward = isForwardIn(direction)
    const from = options.fromPosition ?? (isForward ? 1 : endOfAll)
    checkInteger('fromPosition', from, 0)
    const start = await this.#startOf(null, isForward, from, fromTimeMs)
    yield* this.#read(this.#pagesOf(query, isForward), isForward, start, checkedLimit(limit), signal)
  }

  async *subscribe(options: {
    readonly after?: number
    readonly query?: EventQuery
    readonly signal: AbortSignal
  }): AsyncGenerator<({ readonly kind: 'event' } & StoredEvent) | CaughtUp> {
    checkSignal(options?.signal)
    checkOptions('options', options, knownOptions.subscribe)
    const { after = 0, query, signal } = options
    checkInteger('after', after, 0)
    if (query !== undefined) checkQuery('query', query)
    const pages = this.#pagesOf(query, true)
    let seen = after
    let isCaughtUp = false
    while (!signal.aborted) {
      const changed = wakeUp((waiter) => this.#core.changes.onAppend(waiter), signal)
      try {
        // Everything up to this position is read before the next look, so nothing that comes meanwhile is passed over.
        const end = await this.lastPosition()
        if (seen < end) {
          for await (const event of this.#read(pages, true, seen + 1, Number.POSITIVE_INFINITY, undefined)) {
            if (signal.aborted) return
            seen = event.position
            isCaughtUp = false
            yield { kind: 'event', ...event }
            if (seen >= end) break
          }
          seen = Math.max(seen, end)
        }
        if (!isCaughtUp && !signal.aborted) {
          isCaughtUp = true
          yield { kind: 'caught-up', position: seen }
        } else await changed.promise
      } finally {
        changed.cancel()
      }
    }
  }

  async describeStream(stream: string): Promise<StreamDescription | undefined> {
    this.#core.refuseIfDone()
    checkName('stream', stream)
    const [row] = await this.#core.pool.query(this.#sql.describe, [stream])
    return row && streamDescription(row)
  }

  async listStreams(
    options: { prefix?: string; after?: string; limit?: number } = {},
  ): Promise<readonly StreamDescription[]> {
    this.#core.refuseIfDone()
    checkOptions('options', options, knownOptions.listStreams)
    const { prefix = '', after = '', limit = listLimitDefault } = options
    checkText('prefix', prefix)
    checkText('after', after)
    checkInteger('limit', limit, 0)
    // No name holds a NUL character.
    if (prefix.includes('\0')) return []
    const bounds = boundsAfter(after)
    const rows = await this.#core.pool.query(this.#sql.list, [bounds.after, bounds.from, boundOf(prefix), limit])
    return rows.map(streamDescription)
  }

  async lastPosition(): Promise<number> {
    this.#core.refuseIfDone()
    const [row] = await this.#core.pool.query(this.#sql.lastPosition, [])
    return numberOf(row as Row, 'last_position')
  }

  async truncateStream(stream: string, beforeVersion: number): Promise<void> {
    checkName('stream', stream)
    checkInteger('beforeVersion', beforeVersion, 1)
    await this.#core.inOrder(async () => {
      const { version } = await this.#standing(stream)
      // What stands now and no more: run again after a cut, this must not take what was appended since.
      await this.#remove(stream, Math.min(beforeVersion, version + 1), false, version)
    })
  }

  async deleteStream(stream: string, options: { tombstone?: boolean } = {}): Promise<void> {
    checkName('stream', stream)
    checkOptions('options', options, knownOptions.deleteStream)
    const tombstone = options.tombstone === true
    await this.#core.inOrder(async () => {
      const { version, deletedAt } = await this.#standing(stream)
      // Already gone: a statement that has nothing to do could not tell its second run from its first one.
      if (deletedAt === version && !tombstone) return
      await this.#remove(stream, null, tombstone, version)
    })
  }

  async addTags(events: readonly AddedTags[]): Promise<number> {
    const checked = checkedTags(events)
    if (checked.length === 0) return 0
    return await this.#core.inOrder(async () => {
      const [row] = await this.#core.pool.query(this.#sql.addTags, [JSON.stringify(taggedLabels(checked))])
      return numberOf(row as Row, 'count')
    })
  }

  async #standing(stream: string): Promise<StreamDescription> {
    const description = await this.describeStream(stream)
    if (description === undefined) throw new StreamUnknownError(stream)
    return description
  }

  async #remove(stream: string, before: number | null, tombstone: boolean, version: number): Promise<void> {
    const [row] = await this.#core.pool.query(this.#sql.remove, [stream, before, tombstone, version])
    if (row?.['is_found'] !== true) throw new StreamUnknownError(stream)
  }

  #pagesOf(query: EventQuery | undefined, isForward: boolean): Pages {
    const items = query?.items ?? []
    if (items.length === 0 || items.some(({ types, tags }) => !types?.length && !tags?.length)) {
      const statement = isForward ? this.#sql.allForward : this.#sql.allBackward
      return { statement, place: 'position', values: (next, count) => [next, count] }
    }
    const labels = JSON.stringify(queryLabels({ items }))
    const statement = isForward ? this.#sql.queryForward : this.#sql.queryBackward
    return { statement, place: 'position', values: (next, count) => [labels, next, count] }
  }

  async *#read(
    { statement, place, values, check }: Pages,
    isForward: boolean,
    from: number,
    limit: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<StoredEvent> {
    let next = from
    let left = limit
    let pageEvents = pageEventsFirst
    while (left > 0) {
      this.#core.refuseIfDone()
      signal?.throwIfAborted()
      const count = Math.min(pageEvents, left)
      const rows = await this.#core.pool.query(statement, values(next, count))
      if (next !== from) await check?.(next, rows)
      let bytes = 0
      for (const row of rows) {
        signal?.throwIfAborted()
        bytes += (row['bytes'] as Uint8Array).byteLength
        yield storedEvent(row, this.#core.schemaName)
      }
      left -= rows.length
      const last = rows.at(-1)
      if (last === undefined || rows.length < count) return
      next = numberOf(last, place) + (isForward ? 1 : -1)
      pageEvents = Math.min(pageEventsMax, Math.max(1, Math.floor((pageBytesWorth * rows.length) / bytes)))
    }
  }

  /** Between two pages the stream may have been truncated: what was to come next is gone. */
  async #refuseHole(stream: string, next: number): Promise<void> {
    const { truncatedBefore = 0 } = (await this.describeStream(stream)) ?? {}
    if (truncatedBefore > next) throw new StreamTruncatedError(stream, next, truncatedBefore)
  }

  /**
   * Where a read begins: with a time, forward at the first event of that time or later, backward at the last one of that
   * time or earlier, but never before `from`, nor behind it.
   */
  async #startOf(stream: string | null, isForward: boolean, from: number, timeMs: number | undefined): Promise<number> {
    if (timeMs === undefined) return from
    this.#core.refuseIfDone()
    checkInteger('fromTimeMs', timeMs, 0)
    const [row] = await this.#core.pool.query(this.#sql.placeAtTime, [stream, isForward ? timeMs : timeMs + 1])
    const place = numberOf(row as Row, 'place')
    return isForward ? Math.max(from, place) : Math.min(from, place - 1)
  }
}

function storedEvent(row: Row, schemaName: string): StoredEvent {
  const position = numberOf(row, 'position')
  let outcome: RecordOutcome | undefined
  try {
    decodeMessages(row['bytes'] as Uint8Array, (one) => {
      outcome = one
      return false
    })
  } catch (cause) {
    throw new PostgresDataDamagedError(schemaName, `the event at position ${position}`, { cause })
  }
  if (outcome?.kind !== 'message') {
    const cause = outcome?.kind === 'undecodable' ? outcome.error : undefined
    throw new PostgresDataDamagedError(schemaName, `the event at position ${position} is no message`, { cause })
  }
  return {
    stream: String(row['stream']),
    version: numberOf(row, 'version'),
    position,
    timestampMs: numberOf(row, 'time_ms'),
    tags: tagsOf(row['labels'] as readonly string[]),
    message: outcome.message,
  }
}

function streamDescription(row: Row): StreamDescription {
  return {
    stream: String(row['name']),
    version: numberOf(row, 'version'),
    truncatedBefore: numberOf(row, 'truncated_before'),
    deletedAt: numberOf(row, 'deleted_at'),
    tombstoned: row['is_tombstoned'] === true,
  }
}

function isForwardIn(direction: Direction): boolean {
  if (direction === 'forward' || direction === 'backward') return direction === 'forward'
  throw new ArgumentInvalidError('direction', "is neither 'forward' nor 'backward'")
}

function checkedLimit(limit: number | undefined): number {
  if (limit === undefined) return Number.POSITIVE_INFINITY
  checkInteger('limit', limit, 0)
  return limit
}
