import type { CapturedChange, Row } from '../capture/index.ts'
import type { CommitOutcome, PublishWrite, WriteBatch } from '../engine/index.ts'
import { ClosedError, type Json, sleep } from '../kernel/index.ts'
import type { TransactionSnapshot } from '../sql/index.ts'
import { OutboxRelayReplacedError } from './errors.ts'
import { type OutboxRow, writesOf } from './outbox-row.ts'
import type { PublishedRows } from './published-rows.ts'
import { markOf, type RelayLedger } from './relay-ledger.ts'
import type { ResolvedLogRelayOptions } from './relay-options.ts'
import type { RelaySession } from './relay-session.ts'
import { isRefusal, type RelayTopics } from './relay-topics.ts'

/** Rows that were published are cleared not more often than this, unless they are many. */
const clearEveryMs = 100
/** How often the connection that holds the lock is used, so that its loss is found out; and rows that were kept are purged. */
const lookEveryMs = 10_000
const purgeRowsMax = 5_000
/** The same while rows wait for a topic that is not there. */
const missingEveryMs = 1_000

/** When the table was read for the last time. */
export interface TableReading {
  readonly seen: TransactionSnapshot
  /** All of them were committed before this place in the server's log. */
  readonly logEnd: bigint
}

/** What a carrier works with. */
export interface LogCarrierParts {
  readonly options: ResolvedLogRelayOptions
  readonly session: RelaySession
  readonly ledger: RelayLedger | undefined
  readonly topics: RelayTopics
  readonly published: PublishedRows
  /** What was seen then is published. */
  readonly before: TableReading
  /** Rows were published. */
  readonly onProgress: () => void
}

/** A row as the log tells of it. */
interface LoggedRow extends OutboxRow {
  /** Transaction that put it in, or changed it. */
  readonly xid: number
}

/** Carries rows from the log to their topics, and clears them, while its session has the lock. */
export class LogCarrier {
  readonly #parts: LogCarrierParts
  readonly #end = new AbortController()
  readonly #rows = new WeakMap<object, LoggedRow>()
  /** What was published from the table, until the log has passed it. */
  #before: TableReading | undefined
  #wakeUp: () => void = () => undefined
  #isWoken = false
  /** What ended its session. */
  #fault: { readonly error: unknown } | undefined
  #room = Promise.withResolvers<void>()

  constructor(parts: LogCarrierParts) {
    this.#parts = parts
    this.#before = parts.before
    parts.session.lost.catch((error: unknown) => this.#fail(error))
  }

  /** Ends what waits. */
  end(): void {
    this.#end.abort()
    this.#room.reject(new ClosedError('The relay'))
    this.#room.promise.catch(() => undefined)
  }

  /**
   * Clears what was published, until a topic that was missing has come.
   * @throws OutboxRelayReplacedError, and what client and engine throw
   */
  async work(): Promise<void> {
    const { session, published, options, topics } = this.#parts
    const isKept = options.keepMs !== undefined
    let lookedMs = options.clock.monotonicMs()
    for (;;) {
      await this.#nap(this.#pauseMs)
      if (this.#fault !== undefined) throw this.#fault.error
      if (!published.isFull) await this.#pause()
      await published.clear(session, isKept)
      this.#room.resolve()
      this.#room = Promise.withResolvers()
      if (await topics.hasSomeCome()) return
      const nowMs = options.clock.monotonicMs()
      if (nowMs - lookedMs < lookEveryMs) continue
      lookedMs = nowMs
      if (options.keepMs === undefined) await session.snapshot()
      else
        while ((await session.purge(options.keepMs, purgeRowsMax)) === purgeRowsMax) this.#end.signal.throwIfAborted()
    }
  }

  get #pauseMs(): number {
    const { published, topics } = this.#parts
    if (!published.isEmpty) return clearEveryMs
    return topics.missing.length > 0 ? missingEveryMs : lookEveryMs
  }

  /** What to publish for a change of the table: the message of a row that waits. */
  publish({ what, id: changeId, data }: CapturedChange): readonly PublishWrite[] | Promise<readonly PublishWrite[]> {
    const { after, unchanged = [], transaction } = data
    // What was published is marked or deleted, and what its topic does not take is set aside.
    if (what === 'deleted' || after === null || after['sent_at'] !== null || after['refusal'] !== null) return []
    const xid = transaction?.id ?? 0
    if (this.#isBefore(changeId, xid)) return []
    const { published, topics } = this.#parts
    // A row that was set aside and is to be tried again may not bring its message along.
    const isWhole = !unchanged.includes('message')
    const row = rowOf(after, xid)
    return isWhole && topics.isThere(row.topic) && !published.isFull
      ? this.#writesOf(row)
      : this.#publishSoon(row, isWhole)
  }

  /** Commits with the note of what is published, and remembers it. @throws what the engine throws */
  commit(batch: WriteBatch): Promise<CommitOutcome> {
    const { options, ledger, published, topics, onProgress } = this.#parts
    const { engine, name } = options
    const rows = this.#rowsOf(batch)
    if (rows.length === 0) return engine.commit(batch)
    const mark = ledger === undefined ? undefined : markOf(rows)
    const ids = rows.map(({ id }) => id)
    const onDone = published.add(ids, new Set(rows.map(({ xid }) => xid)), mark)
    const notes = ledger === undefined ? [] : [ledger.write(published.marks)]
    ledger?.advance()
    const state = [...(batch.state ?? []), ...notes]
    return engine.commit({ ...batch, state }).then(
      (outcome) => {
        if (!outcome.ok) this.#fail(new OutboxRelayReplacedError(name.shown))
        else {
          onDone()
          onProgress()
          this.#isWoken = true
          this.#wakeUp()
        }
        return outcome
      },
      (error: unknown) => {
        // What the ledger says next would be a guess: it is asked again in another session.
        if (!isRefusal(error)) topics.doubt(rows.map(({ topic }) => topic))
        this.#fail(error)
        throw error
      },
    )
  }

  async #publishSoon(row: LoggedRow, isWhole: boolean): Promise<readonly PublishWrite[]> {
    const { session, topics, published } = this.#parts
    while (published.isFull) {
      this.#end.signal.throwIfAborted()
      await this.#room.promise
    }
    await topics.learn([row.topic])
    const refusal = topics.refusal(row.topic)
    if (refusal !== undefined) throw refusal
    // It stays in the table, and is published from there once the topic has come.
    if (topics.isMissing(row.topic)) return []
    const message = isWhole ? row.message : await session.message(row.id)
    return message === undefined ? [] : this.#writesOf({ ...row, message })
  }

  #writesOf(row: LoggedRow): readonly PublishWrite[] {
    const writes = writesOf([row])
    for (const record of recordsOf(writes)) this.#rows.set(record, row)
    return writes
  }

  /** The rows of a commit, in the order of their ids. */
  #rowsOf({ publish = [] }: WriteBatch): readonly LoggedRow[] {
    const rows = recordsOf(publish).flatMap((record) => this.#rows.get(record) ?? [])
    const byId = new Map(rows.map((row) => [row.id, row]))
    return [...byId.values()].sort((a, b) => a.id.length - b.id.length || (a.id < b.id ? -1 : 1))
  }

  /** Whether a change had been made when the table was read. Ids of 32 bits say that only for a while: until the log is past that moment. */
  #isBefore(changeId: string, xid: number): boolean {
    if (this.#before === undefined) return false
    if (BigInt(`0x${changeId.slice(0, 16)}`) < this.#before.logEnd) return this.#before.seen.sees(xid)
    this.#before = undefined
    return false
  }

  #fail(error: unknown): void {
    this.#fault ??= { error }
    this.#isWoken = true
    this.#wakeUp()
  }

  /** Sleeps for so long, until something was published. */
  async #nap(forMs: number): Promise<void> {
    if (!this.#isWoken) {
      const over = new AbortController()
      this.#wakeUp = () => over.abort()
      await sleep(forMs, this.#parts.options.clock, AbortSignal.any([over.signal, this.#end.signal])).catch(
        () => undefined,
      )
    }
    this.#isWoken = false
    this.#end.signal.throwIfAborted()
  }

  /** Lets some more be published, so that it is cleared together. */
  async #pause(): Promise<void> {
    await sleep(clearEveryMs, this.#parts.options.clock, this.#end.signal)
  }
}

function recordsOf(writes: readonly PublishWrite[]): readonly object[] {
  return writes.flatMap(({ messages = [], records = [] }) => [...messages, ...records])
}

function rowOf(after: Row, xid: number): LoggedRow {
  const key = after['key'] ?? null
  const message = textOf(after['message'])
  return {
    id: textOf(after['id']),
    topic: textOf(after['topic']),
    key: key === null ? null : textOf(key),
    message,
    xid,
  }
}

/** Of columns that are text, or numbers of 64 bits, which are written as text. */
function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}
