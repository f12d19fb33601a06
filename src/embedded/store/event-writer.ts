import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { AppendCommand, EventCommand } from '../../committing/index.ts'
import type { AddedTags, Appended, Conflict, ExpectedVersion } from '../../engine/index.ts'
import { isUuid } from '../../kernel/index.ts'
import { writeCrc } from '../../record/index.ts'
import { damageOf, intactRow } from './damaged-row.ts'
import { LabelIndex, tagLabel, typeLabel } from './label-index.ts'
import { checksumOf, eventChecksum } from './row-checksum.ts'
import { eventFields, eventPlace, LastEvent } from './stored-event.ts'
import { type StoredStream, selectStream, storedStream } from './stored-stream.ts'

/** Streams remembered with their version; the oldest are dropped beyond this many. */
const streamCacheMax = 100_000

type Identity = Uint8Array | string

type StreamEntry = { -readonly [K in keyof StoredStream]: StoredStream[K] }

interface FoundEvent {
  readonly position: number
  readonly version: number
  readonly streamId: number
}

/** What an append will do, as found by the check before anything is written. */
export type AppendPlan =
  | { readonly kind: 'write' }
  | { readonly kind: 'duplicate'; readonly appended: Appended }
  | { readonly kind: 'conflict'; readonly conflict: Conflict }

/** Appends events to streams and holds appends to the version and condition they expect. */
export class EventWriter {
  readonly #streams = new Map<string, StreamEntry>()
  readonly #labels: LabelIndex
  readonly #selectStream: StatementSync
  readonly #insertStream: StatementSync
  readonly #insertEvent: StatementSync
  readonly #selectEvent: StatementSync
  readonly #selectLast: StatementSync
  readonly #selectLastStreamId: StatementSync
  readonly #changeStream: StatementSync
  readonly #lastEvent: LastEvent
  readonly #db: DatabaseSync
  /** Greatest UUID stored: time-ordered ids beyond it are new without a look at the index. */
  #identityMax: Uint8Array
  #lastPosition: number
  #lastTimeMs: number
  #lastStreamId: number

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#labels = new LabelIndex(db)
    this.#lastEvent = new LastEvent(db)
    this.#selectStream = db.prepare(`${selectStream} WHERE name = ?`)
    this.#insertStream = db.prepare(
      'INSERT INTO stream (id, name, version_floor, truncated_before, deleted_at, tombstoned, checksum) VALUES (?, ?, 0, 1, 0, 0, ?)',
    )
    this.#changeStream =
      db.prepare(`UPDATE stream SET version_floor = ?, truncated_before = ?, deleted_at = ?, tombstoned = ?,
      checksum = ? WHERE id = ?`)
    this.#insertEvent = db.prepare(`INSERT INTO event
      (position, stream_id, version, time_ms, type_id, event_id, tags, bytes, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`)
    // Looked up by its position, so that it is told from what the index says of it.
    this.#selectEvent = db.prepare(`SELECT ${eventFields}, event_id FROM event
      WHERE position = (SELECT position FROM event WHERE event_id = ?)`)
    this.#selectLastStreamId = db.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'stream'")
    this.#selectLast = db.prepare('SELECT position FROM event ORDER BY position DESC LIMIT 1')
    this.#identityMax = new Uint8Array()
    this.#lastPosition = 0
    this.#lastTimeMs = 0
    this.#lastStreamId = 0
    this.forget()
  }

  get lastPosition(): number {
    return this.#lastPosition
  }

  /** Checks all appends of one unit before any is made; later ones see the versions that earlier ones will leave. */
  check(commands: readonly AppendCommand[]): AppendPlan[] {
    const ahead = new Map<string, number>()
    const seen = new Set<string>()
    const plans: AppendPlan[] = []
    for (const command of commands) {
      const plan = this.#plan(command, ahead, seen)
      plans.push(plan)
      if (plan.kind === 'conflict') return plans
    }
    return plans
  }

  /** Makes a checked append. */
  write(command: AppendCommand, timeMs: number, arena: Uint8Array): Appended {
    const stream = this.#openStream(command.stream)
    const firstVersion = stream.version + 1
    this.#lastTimeMs = Math.max(this.#lastTimeMs, timeMs)
    for (const event of command.events) {
      const position = this.#lastPosition + 1
      const tags = event.tags.length === 0 ? null : JSON.stringify(event.tags)
      const version = stream.version + 1
      const identity = identityOf(event)
      const bytes = arena.subarray(event.start, event.end)
      writeCrc(bytes)
      const typeId = this.#labels.add(typeLabel(event.type), position)
      const timeMs = this.#lastTimeMs
      const checksum = eventChecksum(position, stream.id, version, timeMs, tags ?? '')
      this.#insertEvent.run(position, stream.id, version, timeMs, typeId, identity, tags, bytes, checksum)
      for (const tag of event.tags) this.#labels.add(tagLabel(tag), position)
      this.#lastPosition = position
      stream.version = version
      this.#raiseIdentityMax(identity)
    }
    return {
      stream: command.stream,
      firstVersion,
      lastVersion: stream.version,
      lastPosition: this.#lastPosition,
      duplicate: false,
    }
  }

  /** Removes the events before a version. `false`: no such stream. */
  truncate(name: string, beforeVersion: number): boolean {
    const stream = this.#findStream(name)
    if (stream === undefined) return false
    const before = Math.min(beforeVersion, stream.version + 1)
    this.#removeEvents(stream.id, before)
    stream.truncatedBefore = Math.max(stream.truncatedBefore, before)
    this.#keepStream(stream)
    return true
  }

  /** Removes all events of a stream and takes a version for that; for good with a tombstone. `false`: no such stream. */
  delete(name: string, tombstone: boolean): boolean {
    const stream = this.#findStream(name)
    if (stream === undefined) return false
    if (stream.deletedAt !== stream.version) {
      this.truncate(name, stream.version + 1)
      stream.deletedAt = ++stream.version
      stream.truncatedBefore = stream.version + 1
    }
    if (tombstone) stream.tombstoned = true
    this.#keepStream(stream)
    return true
  }

  /** Gives events further tags. Answers how many were changed: not those that have them already, or stand there no more. */
  addTags(events: readonly AddedTags[]): number {
    const select = this.#db.prepare(`SELECT ${eventFields} FROM event WHERE position = ?`)
    const update = this.#db.prepare('UPDATE event SET tags = ?, checksum = ? WHERE position = ?')
    let changed = 0
    for (const { position, tags } of events) {
      const row = intactRow(this.#db, 'event', select.get(position), eventPlace)
      if (row === undefined) continue
      const before = tagsOf(row)
      const known = new Set(before)
      const added = tags.filter((tag) => !known.has(tag))
      if (added.length === 0) continue
      const text = JSON.stringify([...before, ...added])
      const place = [Number(row['stream_id']), Number(row['version']), Number(row['time_ms'])] as const
      update.run(text, eventChecksum(position, ...place, text), position)
      for (const tag of added) this.#labels.add(tagLabel(tag), position)
      changed++
    }
    return changed
  }

  /** Reads everything kept in memory anew, after a transaction was rolled back. */
  forget(): void {
    this.#streams.clear()
    this.#labels.forget()
    const { position, timeMs } = this.#lastEvent.read()
    this.#lastPosition = position
    this.#lastTimeMs = timeMs
    this.#lastStreamId = Number(this.#selectLastStreamId.get()?.['seq'] ?? 0)
    // SQLite sorts blobs after text, so the greatest identity is the greatest UUID if there is one.
    const greatest = this.#db.prepare('SELECT event_id FROM event ORDER BY event_id DESC LIMIT 1').get()?.['event_id']
    this.#identityMax = greatest instanceof Uint8Array ? greatest : new Uint8Array()
  }

  #plan(command: AppendCommand, ahead: Map<string, number>, seen: Set<string>): AppendPlan {
    const stream = this.#findStream(command.stream)
    if (stream?.tombstoned) return { kind: 'conflict', conflict: { kind: 'stream-deleted', stream: command.stream } }
    const repeated = this.#planRepeated(command, seen)
    if (repeated !== undefined) return repeated
    const actual = ahead.get(command.stream) ?? stream?.version ?? 0
    if (!versionFits(command.expected, actual)) {
      const conflict = { kind: 'stream-version', stream: command.stream, expected: command.expected, actual } as const
      return { kind: 'conflict', conflict }
    }
    const position = this.#conditionMatch(command)
    if (position > 0) return { kind: 'conflict', conflict: { kind: 'condition', stream: command.stream, position } }
    ahead.set(command.stream, actual + command.events.length)
    return { kind: 'write' }
  }

  /** An append whose events all stand there already is a success that writes nothing, if it may be; one with only some is a conflict. */
  #planRepeated(command: AppendCommand, seen: Set<string>): AppendPlan | undefined {
    const found: FoundEvent[] = []
    for (const [index, event] of command.events.entries()) {
      const known = this.#findEvent(identityOf(event))
      if (known !== undefined) found.push(known)
      if (known !== undefined && found.length !== index + 1) return idConflict(command, event)
      if (known === undefined && found.length > 0) return idConflict(command, command.events[index - 1] as EventCommand)
      if (known === undefined && seen.has(event.identity)) return idConflict(command, event)
      seen.add(event.identity)
    }
    const first = found[0]
    const last = found.at(-1)
    if (first === undefined || last === undefined) return undefined
    const streamId = this.#findStream(command.stream)?.id
    const inOrder = found.every((event, i) => event.streamId === streamId && event.version === first.version + i)
    if (!inOrder || command.refusesRepeated) return idConflict(command, command.events[0] as EventCommand)
    return {
      kind: 'duplicate',
      appended: {
        stream: command.stream,
        firstVersion: first.version,
        lastVersion: last.version,
        lastPosition: last.position,
        duplicate: true,
      },
    }
  }

  #conditionMatch(command: AppendCommand): number {
    if (command.condition === undefined) return 0
    const { query, after } = command.condition
    if (this.#lastPosition <= after) return 0
    if (query.items.length === 0) return this.#lastStanding(after)
    for (const item of query.items) {
      const anything = (item.types?.length ?? 0) === 0 && (item.tags?.length ?? 0) === 0
      const position = anything ? this.#lastStanding(after) : this.#labels.match(item, after)
      if (position > after) return position
    }
    return 0
  }

  /** The last event there is, 0 if none stands after `after`: what was deleted refuses nobody. */
  #lastStanding(after: number): number {
    const position = Number(this.#selectLast.get()?.['position'] ?? 0)
    return position > after ? position : 0
  }

  #findEvent(identity: Identity): FoundEvent | undefined {
    if (identity instanceof Uint8Array && Buffer.compare(identity, this.#identityMax) > 0) return undefined
    const row = this.#selectEvent.get(identity)
    if (row === undefined) return undefined
    const found = row['event_id']
    const isSame = typeof found === 'string' ? found === identity : isSameUuid(found, identity)
    if (!isSame) throw damageOf(this.#db, `${eventPlace(row)}, which is found by the id of another one`)
    intactRow(this.#db, 'event', row, eventPlace)
    return { position: Number(row['position']), version: Number(row['version']), streamId: Number(row['stream_id']) }
  }

  #raiseIdentityMax(identity: Identity): void {
    if (identity instanceof Uint8Array && Buffer.compare(identity, this.#identityMax) > 0) this.#identityMax = identity
  }

  #removeEvents(streamId: number, beforeVersion: number): void {
    const rows = this.#db.prepare(`SELECT ${eventFields}, type_id FROM event WHERE stream_id = ? AND version < ?`)
    const remove = this.#db.prepare('DELETE FROM event WHERE position = ?')
    this.#lastEvent.keep(this.#lastPosition)
    for (const row of rows.all(streamId, beforeVersion)) {
      intactRow(this.#db, 'event', row, eventPlace)
      this.#labels.remove(Number(row['type_id']), tagsOf(row), Number(row['position']))
      remove.run(Number(row['position']))
    }
    // A label's last position may be gone now; remembering it would only refuse appends without need.
    this.#labels.forget()
  }

  #findStream(name: string): StreamEntry | undefined {
    const known = this.#streams.get(name)
    if (known !== undefined) return known
    const row = this.#selectStream.get(name)
    if (row === undefined) return undefined
    const entry = storedStream(this.#db, row)
    this.#rememberStream(name, entry)
    return entry
  }

  #openStream(name: string): StreamEntry {
    const known = this.#findStream(name)
    if (known !== undefined) return known
    const id = ++this.#lastStreamId
    this.#insertStream.run(id, name, checksumOf('stream', id, name, 0, 1, 0, 0))
    const entry = { id, name, version: 0, truncatedBefore: 1, deletedAt: 0, tombstoned: false }
    this.#rememberStream(name, entry)
    return entry
  }

  #keepStream({ id, name, version, truncatedBefore, deletedAt, tombstoned }: StreamEntry): void {
    const values = [version, truncatedBefore, deletedAt, tombstoned ? 1 : 0] as const
    this.#changeStream.run(...values, checksumOf('stream', id, name, ...values), id)
  }

  #rememberStream(name: string, entry: StreamEntry): void {
    if (this.#streams.size >= streamCacheMax) {
      const oldest = this.#streams.keys().next().value
      if (oldest !== undefined) this.#streams.delete(oldest)
    }
    this.#streams.set(name, entry)
  }
}

function tagsOf(row: Record<string, unknown>): readonly string[] {
  const tags = row['tags']
  return typeof tags === 'string' ? (JSON.parse(tags) as string[]) : []
}

function isSameUuid(found: unknown, identity: Identity): boolean {
  return found instanceof Uint8Array && identity instanceof Uint8Array && Buffer.compare(found, identity) === 0
}

function versionFits(expected: ExpectedVersion, actual: number): boolean {
  if (expected === 'any') return true
  if (expected === 'none') return actual === 0
  if (expected === 'exists') return actual > 0
  return expected === actual
}

/** UUIDs take 16 bytes; their order as bytes is the order of their time, if they are of version 7. */
function identityOf(event: EventCommand): Identity {
  return isUuid(event.identity) ? Buffer.from(event.identity.replaceAll('-', ''), 'hex') : event.identity
}

function idConflict(command: AppendCommand, event: EventCommand): AppendPlan {
  // Behind the source, which is a URI reference and holds no space, stands an id that is no UUID.
  const id = event.identity.slice(event.identity.indexOf(' ') + 1)
  return { kind: 'conflict', conflict: { kind: 'event-id', stream: command.stream, id } }
}
