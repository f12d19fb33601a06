import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
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
import type { EngineCore } from './engine-core.ts'
import { FileDamagedError } from './errors.ts'
import { refuseDisorder } from './event-order.ts'
import { EventPage, eventColumns, type PageStreams, pageSql } from './event-page.ts'
import { matchesQuery, querySql } from './event-query.ts'
import { intactRow } from './store/damaged-row.ts'
import { eventFields, eventPlace, LastEvent } from './store/stored-event.ts'
import { type StoredStream, selectStream, storedStream } from './store/stored-stream.ts'

/** Events fetched at once: few enough that they stay in the processor's cache, many enough that the cost of asking does not show. */
const pageEvents = 128
/** What a page counts as, beside a look at one thing. */
const pageWeight = 8
const listLimitDefault = 100
/** Names of streams that are kept. */
const namesMax = 10_000

/** The event store of the embedded engine, as readers see it. */
export class EventLog implements EventStore {
  readonly #core: EngineCore
  readonly #db: DatabaseSync
  readonly #forward: StatementSync
  readonly #backward: StatementSync
  readonly #name: StatementSync
  readonly #stream: StatementSync
  readonly #last: LastEvent
  readonly #waiters = new Set<() => void>()
  readonly #queries = new Map<string, StatementSync>()
  readonly #names = new Map<number, string>()
  readonly #ids = new Map<string, number>()

  constructor(core: EngineCore) {
    this.#core = core
    this.#db = core.reader
    const events = `SELECT ${eventColumns} FROM event WHERE stream_id = ?2`
    this.#forward = this.#db.prepare(pageSql(`${events} AND version >= ?1 ORDER BY version LIMIT ?3 + 0`, false))
    this.#backward = this.#db.prepare(pageSql(`${events} AND version <= ?1 ORDER BY version DESC LIMIT ?3 + 0`, false))
    this.#name = this.#db.prepare(`${selectStream} WHERE stream.id = ?`)
    this.#stream = this.#db.prepare(`${selectStream} WHERE name = ?`)
    this.#last = new LastEvent(this.#db)
  }

  async *readStream(stream: string, options: ReadStreamOptions = {}): AsyncGenerator<StoredEvent> {
    checkName('stream', stream)
    checkOptions('options', options, knownOptions.readStream)
    const { direction = 'forward', query, signal } = options
    if (query !== undefined) checkQuery('query', query)
    const isForward = isForwardIn(direction)
    let next = options.fromVersion ?? (isForward ? 1 : Number.MAX_SAFE_INTEGER)
    checkInteger('fromVersion', next, 0)
    if (options.fromTimeMs !== undefined) {
      const find = this.#prepare(`SELECT version AS place, ${eventFields} FROM event
        WHERE stream_id = ?2 AND version >= ?1 ORDER BY version LIMIT 1`)
      const id = this.#streamId(stream) ?? null
      next = this.#placeAtTime(isForward, next, options.fromTimeMs, (from) => find.get(from, id))
    }
    const first = next
    let left = checkedLimit(options.limit)
    while (left > 0) {
      const pause = this.#core.breathe(pageWeight)
      if (pause !== undefined) await pause
      this.#core.refuseIfDone()
      signal?.throwIfAborted()
      const count = query === undefined ? Math.min(pageEvents, left) : pageEvents
      const id = this.#streamId(stream)
      if (id === undefined) return
      const page = this.#streamPage({ id, name: stream }, isForward, next, count)
      if (isForward && next !== first && page.versions[0] !== next) await this.#refuseHole(stream, next)
      refuseDisorder(page.versions, next, isForward, true, `stream ${stream}`, this.#core.path)
      for (let event = page.next(); event !== undefined; event = page.next()) {
        signal?.throwIfAborted()
        if (query !== undefined && !matchesQuery(query, event)) continue
        yield event
        if (--left === 0) return
      }
      if (page.count < count) return
      next = (page.versions.at(-1) as number) + (isForward ? 1 : -1)
    }
  }

  async *readAll(options: ReadAllOptions = {}): AsyncGenerator<StoredEvent> {
    checkOptions('options', options, knownOptions.readAll)
    const { direction = 'forward', query, signal } = options
    if (query !== undefined) checkQuery('query', query)
    const isForward = isForwardIn(direction)
    let next = options.fromPosition ?? (isForward ? 1 : Number.MAX_SAFE_INTEGER)
    checkInteger('fromPosition', next, 0)
    if (options.fromTimeMs !== undefined) {
      const find = this.#prepare(
        `SELECT position AS place, ${eventFields} FROM event WHERE position >= ? ORDER BY position LIMIT 1`,
      )
      next = this.#placeAtTime(isForward, next, options.fromTimeMs, (from) => find.get(from))
    }
    let left = checkedLimit(options.limit)
    while (left > 0) {
      const pause = this.#core.breathe(pageWeight)
      if (pause !== undefined) await pause
      this.#core.refuseIfDone()
      signal?.throwIfAborted()
      const count = Math.min(pageEvents, left)
      const page = this.#page(query, isForward, next, count)
      for (let event = page.next(); event !== undefined; event = page.next()) {
        signal?.throwIfAborted()
        this.#refuseStray(query, event)
        yield event
      }
      left -= page.count
      if (page.count < count) return
      next = (page.positions.at(-1) as number) + (isForward ? 1 : -1)
    }
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
    let seen = after
    let isCaughtUp = false
    while (!signal.aborted) {
      this.#core.refresh()
      // Everything up to this position is read before the next look, so nothing that comes meanwhile is passed over.
      const end = this.#lastPosition()
      for (let more = seen < end; more && !signal.aborted; ) {
        const pause = this.#core.breathe(pageWeight)
        if (pause !== undefined) await pause
        this.#core.refuseIfDone()
        const page = this.#page(query, true, seen + 1, pageEvents)
        for (let event = page.next(); event !== undefined; event = page.next()) {
          if (signal.aborted) return
          this.#refuseStray(query, event)
          seen = event.position
          isCaughtUp = false
          yield { kind: 'event', ...event }
        }
        more = page.count === pageEvents && seen < end
      }
      seen = Math.max(seen, end)
      if (!isCaughtUp) {
        isCaughtUp = true
        yield { kind: 'caught-up', position: seen }
        continue
      }
      await this.#changed(signal, seen)
    }
  }

  /** Between two pages the stream may have been truncated: what was to come next is gone. */
  async #refuseHole(stream: string, next: number): Promise<void> {
    const { truncatedBefore = 0 } = (await this.describeStream(stream)) ?? {}
    if (truncatedBefore > next) throw new StreamTruncatedError(stream, next, truncatedBefore)
  }

  async describeStream(stream: string): Promise<StreamDescription | undefined> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refuseIfDone()
    checkName('stream', stream)
    const row = this.#core.reads.run(() => this.#stream.get(stream))
    return row === undefined ? undefined : streamDescription(storedStream(this.#db, row))
  }

  async listStreams(
    options: { prefix?: string; after?: string; limit?: number } = {},
  ): Promise<readonly StreamDescription[]> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refuseIfDone()
    checkOptions('options', options, knownOptions.listStreams)
    const { prefix = '', after = '', limit = listLimitDefault } = options
    checkText('prefix', prefix)
    checkText('after', after)
    checkInteger('limit', limit, 0)
    const sql = `${selectStream}
      WHERE name > ?1 AND name >= ?2 AND substr(name, 1, length(?2)) = ?2 ORDER BY name LIMIT ?3 + 0`
    return this.#core.reads
      .run(() => this.#db.prepare(sql).all(after, prefix, limit))
      .map((row) => streamDescription(storedStream(this.#db, row)))
  }

  async lastPosition(): Promise<number> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refuseIfDone()
    return this.#lastPosition()
  }

  async truncateStream(stream: string, beforeVersion: number): Promise<void> {
    checkName('stream', stream)
    checkInteger('beforeVersion', beforeVersion, 1)
    if (!(await this.#core.request({ kind: 'truncate-stream', stream, beforeVersion })))
      throw new StreamUnknownError(stream)
  }

  async deleteStream(stream: string, options: { tombstone?: boolean } = {}): Promise<void> {
    checkName('stream', stream)
    checkOptions('options', options, knownOptions.deleteStream)
    const tombstone = options.tombstone === true
    if (!(await this.#core.request({ kind: 'delete-stream', stream, tombstone }))) throw new StreamUnknownError(stream)
  }

  async addTags(events: readonly AddedTags[]): Promise<number> {
    const checked = checkedTags(events)
    return checked.length === 0 ? 0 : await this.#core.request({ kind: 'add-tags', events: checked })
  }

  /** Wakes subscribers after a commit that appended events. */
  notify(): void {
    for (const waiter of this.#waiters) waiter()
    this.#waiters.clear()
  }

  async #changed(signal: AbortSignal, seen: number): Promise<void> {
    const subscribe = (waiter: () => void): (() => void) => {
      this.#waiters.add(waiter)
      return () => this.#waiters.delete(waiter)
    }
    try {
      await this.#core.waitForChange(subscribe, Number.POSITIVE_INFINITY, signal, () => this.#lastPosition() > seen)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  #lastPosition(): number {
    return this.#core.reads.run(() => this.#last.read().position)
  }

  /**
   * Where a read from a time begins: forward at the first event of that time or later, backward at the last one of that
   * time or earlier, but never before `next`, nor behind it.
   *
   * Times never fall as versions and positions rise, so halving finds the place without an index of times.
   *
   * @param find The first event at or behind a place.
   */
  #placeAtTime(
    isForward: boolean,
    next: number,
    timeMs: number,
    find: (from: number) => Record<string, unknown> | undefined,
  ): number {
    this.#core.refuseIfDone()
    checkInteger('fromTimeMs', timeMs, 0)
    const fromMs = isForward ? timeMs : timeMs + 1
    let low = 1
    // No version is greater than a position.
    let high = this.#lastPosition() + 1
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const row = intactRow(
        this.#db,
        'event',
        this.#core.reads.run(() => find(middle)),
        eventPlace,
      )
      if (row === undefined || Number(row['time_ms']) >= fromMs) high = middle
      else low = Number(row['place']) + 1
    }
    return isForward ? Math.max(next, low) : Math.min(next, low - 1)
  }

  #streamPage(
    stream: Exclude<PageStreams, (id: number) => string>,
    isForward: boolean,
    from: number,
    count: number,
  ): EventPage {
    const statement = isForward ? this.#forward : this.#backward
    const row = this.#core.reads.run(() => statement.get(from, stream.id, count))
    return new EventPage(row ?? {}, `stream ${stream.name}`, this.#core.path, stream)
  }

  #page(query: EventQuery | undefined, isForward: boolean, from: number, count: number): EventPage {
    const { shape, values } = querySql(query, isForward)
    const parameters: SQLInputValue[] = [...values, from, count]
    const row = this.#core.reads.run(() => this.#query(shape).get(...parameters))
    const page = new EventPage(row ?? {}, 'the event store', this.#core.path, (id) => this.#streamName(id))
    refuseDisorder(page.positions, from, isForward, false, 'the event store', this.#core.path)
    return page
  }

  /** Labels have no checksum: what is found by one must say the same of itself. */
  #refuseStray(query: EventQuery | undefined, event: StoredEvent): void {
    if (query === undefined || matchesQuery(query, event)) return
    throw new FileDamagedError(
      this.#core.path,
      `the event at position ${event.position}, which is found by the label of another one`,
    )
  }

  /** Streams never change their names, and their ids are never used again. */
  #streamName(id: number): string {
    let name = this.#names.get(id)
    if (name === undefined) {
      const row = this.#core.reads.run(() => this.#name.get(id))
      if (row === undefined) throw new FileDamagedError(this.#core.path, `the name of the stream with the id ${id}`)
      name = storedStream(this.#db, row).name
      if (this.#names.size >= namesMax) this.#names.clear()
      this.#names.set(id, name)
    }
    return name
  }

  #streamId(name: string): number | undefined {
    const known = this.#ids.get(name)
    if (known !== undefined) return known
    const row = this.#core.reads.run(() => this.#stream.get(name))
    if (row === undefined) return undefined
    const { id } = storedStream(this.#db, row)
    if (this.#ids.size >= namesMax) this.#ids.clear()
    this.#ids.set(name, id)
    return id
  }

  #prepare(sql: string): StatementSync {
    return this.#core.reads.run(() => this.#db.prepare(sql))
  }

  #query(shape: string): StatementSync {
    let statement = this.#queries.get(shape)
    if (statement === undefined) {
      statement = this.#db.prepare(shape)
      if (this.#queries.size > 100) this.#queries.clear()
      this.#queries.set(shape, statement)
    }
    return statement
  }
}

function streamDescription(stream: StoredStream): StreamDescription {
  const { name, version, truncatedBefore, deletedAt, tombstoned } = stream
  return { stream: name, version, truncatedBefore, deletedAt, tombstoned }
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
