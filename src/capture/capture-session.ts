import type { Clock, Timer } from '../kernel/index.ts'
import { type CapturedTable, type CapturedTables, fullNameOf } from './captured-table.ts'
import { type ChangeEvents, TransactionStamp } from './change-events.ts'
import { CaptureProtocolError } from './errors.ts'
import { flushLog } from './log-end.ts'
import type { Lsn } from './lsn.ts'
import type { PgClient } from './pg-client.ts'
import type { Change, Relation } from './pgoutput.ts'
import type { Place, Position } from './place.ts'
import type { Publisher } from './publisher.ts'
import type { ReplicationLink } from './replication-link.ts'
import { keysOf } from './row-values.ts'
import type { SnapshotChunk, SnapshotReader } from './snapshot-reader.ts'
import type { StreamItem } from './stream-frames.ts'
import { isSameKey } from './table-description.ts'
import type { TableNews } from './table-news.ts'

/** How long a snapshot that has to wait waits before it is tried again. */
const snapshotPauseMs = 200
/** How often an idle server is asked how far it is, while rows of a snapshot wait for it. */
const askEveryMs = 50

/** What a session works with. */
export interface SessionParts {
  /** For statements. */
  readonly client: PgClient
  readonly link: ReplicationLink
  readonly tables: CapturedTables
  readonly place: Place
  readonly publisher: Publisher
  readonly events: ChangeEvents
  readonly snapshot: SnapshotReader
  readonly news: TableNews
  readonly clock: Clock
}

/** A table in the stream, as its last Relation message has it. */
interface StreamedTable {
  readonly relation: Relation
  /** `undefined` until its first change that counts. */
  table: CapturedTable | undefined
}

/** Turns what one connection brings into commits, until something goes wrong. */
export class CaptureSession {
  readonly #parts: SessionParts
  readonly #streamed = new Map<number, StreamedTable>()
  #position: Position
  #transaction: TransactionStamp | undefined
  /** Place of the next change in the transaction. */
  #index = 0
  /** Changes of the transaction that a commit before has brought. */
  #skipped = 0
  #chunk: SnapshotChunk | undefined
  /** A chunk is taken out, but not durable. */
  #isChunkUnderWay = false
  #isHeartbeatDue = false
  #flushedLsn: Lsn
  /** While it runs, the snapshot waits. */
  #pause: Timer | undefined
  #isReloadDue = false
  #isLookDue = true

  /** `position` was committed already. */
  constructor(parts: SessionParts, position: Position) {
    this.#parts = parts
    this.#position = position
    this.#flushedLsn = position.lsn
  }

  /** Whether rows that were there before are still to come. */
  get isSnapshotPending(): boolean {
    return this.#chunk !== undefined || this.#isChunkUnderWay || this.#parts.snapshot.isPending
  }

  /** Commits the place with the next sign of the server, though nothing may have changed. */
  hurry(): void {
    this.#isHeartbeatDue = true
    this.#parts.link.ask()
  }

  /** Ends what waits. */
  close(): void {
    this.#pause?.cancel()
  }

  async run(): Promise<never> {
    const { link, publisher } = this.#parts
    for (;;) {
      for (const item of await link.take()) {
        const rest = this.#handle(item)
        if (rest !== undefined) await rest
      }
      if (link.takeTick()) {
        this.#isHeartbeatDue = true
        this.#isLookDue = true
      }
      if (this.#isLookDue) await this.#lookAround()
      if (!publisher.isEmpty) await this.#flush()
      if (this.#transaction === undefined) await this.#snapshot()
    }
  }

  /** What can be done at once is: only where something has to be waited for, there is a promise. */
  #handle(item: StreamItem): Promise<void> | undefined {
    switch (item.kind) {
      case 'begin':
        this.#begin(new TransactionStamp(item.xid, item.commitLsn, item.committedUs))
        return undefined
      case 'commit':
        return this.#end(item.endLsn)
      case 'relation':
        this.#streamed.set(item.relation.id, { relation: item.relation, table: undefined })
        return undefined
      case 'keepalive':
        return this.#keepalive(item.walEnd, item.isReplyWanted)
      default:
        return this.#change(item)
    }
  }

  #begin(stamp: TransactionStamp): void {
    const { partly, lsn } = this.#position
    this.#transaction = stamp
    this.#index = 0
    if (stamp.commitLsn < lsn) this.#skipped = Number.POSITIVE_INFINITY
    else this.#skipped = partly?.commitLsn === stamp.commitLsn ? partly.done : 0
  }

  #end(endLsn: Lsn): Promise<void> | undefined {
    const stamp = this.#transaction
    if (stamp === undefined) throw new CaptureProtocolError('a transaction ends that has not begun')
    const { snapshot, news } = this.#parts
    // With a table that has just joined, or come back, a snapshot becomes due, which has to show this transaction too.
    if (this.#isReloadDue || snapshot.isPending || news.isWaiting) snapshot.see(stamp.xid)
    this.#transaction = undefined
    this.#advance(endLsn)
    const isSomethingDue = this.#isReloadDue || this.#chunk !== undefined || news.isWaiting
    return isSomethingDue ? this.#afterEnd(endLsn) : undefined
  }

  async #afterEnd(endLsn: Lsn): Promise<void> {
    if (this.#isReloadDue) await this.#parts.snapshot.reload()
    this.#isReloadDue = false
    await this.#reached(endLsn)
  }

  async #keepalive(walEnd: Lsn, isReplyWanted: boolean): Promise<void> {
    if (this.#transaction === undefined) {
      this.#advance(walEnd)
      await this.#reached(walEnd)
      // A server that shuts down waits until it hears that everything has arrived.
      if ((isReplyWanted || this.#isHeartbeatDue) && this.#position.lsn !== this.#flushedLsn) await this.#flush()
      this.#isHeartbeatDue = false
    }
    if (isReplyWanted) {
      if (this.#transaction === undefined) await this.#parts.publisher.settle()
      this.#parts.link.answer()
    }
  }

  #advance(lsn: Lsn): void {
    const { partly } = this.#position
    if (lsn <= this.#position.lsn) return
    // A transaction of which a part is done comes again as a whole: until then its part is not forgotten.
    this.#position = { lsn, partly: partly !== undefined && partly.commitLsn >= lsn ? partly : undefined }
  }

  #change(change: Change): Promise<void> | undefined {
    const stamp = this.#transaction
    if (stamp === undefined) throw new CaptureProtocolError('a change stands outside of a transaction')
    const index = this.#index++
    if (index < this.#skipped) return undefined
    if (change.kind === 'truncate') return this.#truncate(change.relationIds, stamp, index)
    const { table } = this.#tableOf(change.relationId)
    if (table === undefined) return this.#firstChange(change, stamp, index)
    return this.#publish(table, change, stamp, index)
  }

  async #firstChange(
    change: Exclude<Change, { kind: 'truncate' }>,
    stamp: TransactionStamp,
    index: number,
  ): Promise<void> {
    await this.#publish(await this.#describe(change.relationId, stamp, index), change, stamp, index)
  }

  #publish(
    table: CapturedTable,
    change: Exclude<Change, { kind: 'truncate' }>,
    stamp: TransactionStamp,
    index: number,
  ): Promise<void> | undefined {
    const chunk = this.#chunk
    if (chunk !== undefined && chunk.table.fullName === table.fullName && !chunk.sees.sees(stamp.xid)) {
      // Rows that go by another key cannot be told to be overtaken.
      if (!isSameKey(chunk.table.description, table.description)) chunk.isStale = true
      for (const key of keysOf(table, change)) chunk.rows.delete(key)
    }
    const rest = this.#parts.events.row(table, change, stamp, index)
    return rest === undefined ? this.#changed(stamp, index) : rest.then(() => this.#changed(stamp, index))
  }

  async #truncate(relationIds: readonly number[], stamp: TransactionStamp, index: number): Promise<void> {
    for (const relationId of relationIds) {
      const table = this.#tableOf(relationId).table ?? (await this.#describe(relationId, stamp, index))
      const chunk = this.#chunk
      if (chunk?.table.fullName === table.fullName && !chunk.sees.sees(stamp.xid)) chunk.rows.clear()
      this.#parts.events.truncated(table, stamp, index)
    }
    await this.#changed(stamp, index)
  }

  #changed(stamp: TransactionStamp, index: number): Promise<void> | undefined {
    this.#position = { lsn: this.#position.lsn, partly: { commitLsn: stamp.commitLsn, done: index + 1 } }
    return this.#parts.publisher.isFull ? this.#flush() : undefined
  }

  #tableOf(relationId: number): StreamedTable {
    const streamed = this.#streamed.get(relationId)
    if (streamed === undefined) throw new CaptureProtocolError(`nothing says what table ${relationId} is`)
    return streamed
  }

  /** Before the first change that counts of a table in this form: says what it looks like, if that is new. */
  async #describe(relationId: number, stamp: TransactionStamp, index: number): Promise<CapturedTable> {
    const { tables, place } = this.#parts
    const streamed = this.#tableOf(relationId)
    if (!tables.isPublished(streamed.relation)) {
      // Before anything is told of it: it may not be told apart from another one.
      await tables.reload()
      this.#isReloadDue = true
    }
    const described = place.table(fullNameOf(streamed.relation))?.description ?? null
    const table = await tables.resolve(streamed.relation, described)
    streamed.table = table
    this.#tell(table, stamp.commitLsn, index, stamp.time)
    return table
  }

  #tell(table: CapturedTable, lsn: Lsn, index: number, time: string): boolean {
    const isNew = this.#parts.news.describe(table, lsn, index, time)
    if (isNew && this.#chunk?.table.fullName === table.fullName) this.#chunk.isStale = true
    return isNew
  }

  /** With their next changes these tables are looked at again. */
  #forgetForms(names: ReadonlySet<string>): void {
    for (const streamed of this.#streamed.values()) {
      if (streamed.table !== undefined && names.has(streamed.table.fullName)) streamed.table = undefined
    }
  }

  async #lookAround(): Promise<void> {
    const { news, link } = this.#parts
    this.#isLookDue = false
    await news.look()
    // An idle server says how far it is when it is asked.
    if (news.isWaiting) link.ask()
  }

  async #tellNews(lsn: Lsn): Promise<void> {
    const { news, snapshot } = this.#parts
    const names = await news.tell(lsn)
    if (names.size === 0) return
    if (this.#chunk !== undefined && names.has(this.#chunk.table.fullName)) this.#chunk.isStale = true
    this.#forgetForms(names)
    await snapshot.reload()
  }

  /** Reads a chunk of the snapshot, if one is due. The stream stands still meanwhile. */
  async #snapshot(): Promise<void> {
    const { snapshot, link, client } = this.#parts
    if (this.#pause !== undefined) return
    if (this.#chunk !== undefined) await flushLog(client)
    else {
      if (!snapshot.isPending) return
      this.#chunk = await snapshot.read()
      if (this.#chunk === undefined) {
        this.#pauseFor(snapshotPauseMs)
        return
      }
    }
    // An idle server says how far it is when it is asked.
    link.ask()
    this.#pauseFor(askEveryMs)
  }

  #pauseFor(delayMs: number): void {
    this.#pause = this.#parts.clock.setTimer(() => {
      this.#pause = undefined
      this.#parts.link.wake()
    }, delayMs)
  }

  /** The stream has come so far: the rows of a chunk that nothing has overtaken are published. */
  async #reached(lsn: Lsn): Promise<void> {
    if (this.#parts.news.isWaiting) await this.#tellNews(lsn)
    const chunk = this.#chunk
    if (chunk === undefined || lsn < chunk.reachedAt) return
    this.#chunk = undefined
    this.#pause?.cancel()
    this.#pause = undefined
    if (chunk.isStale) return
    const { events, publisher, place } = this.#parts
    const { table, rows, startLsn, reachedAt, time, progress } = chunk
    if (!publisher.isEmpty) await this.#flush()
    if (this.#tell(table, reachedAt, 0, time)) this.#forgetForms(new Set([table.fullName]))
    for (const row of rows.values()) {
      const rest = events.found(table, row, startLsn, reachedAt, time)
      if (rest !== undefined) await rest
    }
    place.remember(table, { description: table.description, snapshot: progress })
    this.#isChunkUnderWay = true
    await this.#flush()
    if (progress.kind === 'done') await publisher.settle()
    this.#isChunkUnderWay = false
  }

  #flush(): Promise<void> {
    this.#flushedLsn = this.#position.lsn
    return this.#parts.publisher.flush(this.#position)
  }
}
