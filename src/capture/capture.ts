import { ClosedError, persist, sleep, type Timer } from '../kernel/index.ts'
import { channels } from '../telemetry/index.ts'
import { CaptureSession } from './capture-session.ts'
import { CapturedTables } from './captured-table.ts'
import { startReplicationSql } from './catalog.ts'
import { ChangeEvents } from './change-events.ts'
import { CaptureReplacedError } from './errors.ts'
import { errorOf, isFinal, isSlotBusy } from './faults.ts'
import { readLogEnd } from './log-end.ts'
import type { Lsn } from './lsn.ts'
import { type CaptureOptions, type ResolvedCaptureOptions, resolveCaptureOptions } from './options.ts'
import { abandon, connectClient, type PgClient } from './pg-client.ts'
import { Place } from './place.ts'
import { Publisher } from './publisher.ts'
import { ReplicationLink } from './replication-link.ts'
import { checkPlace, checkServer, checkSlot } from './server-check.ts'
import { readServerLog, type ServerLog } from './server-log.ts'
import { SeenTransactions, SnapshotReader } from './snapshot-reader.ts'
import { TableNews } from './table-news.ts'

/** How often a capture that stands by tries whether it is its turn. */
const turnEveryMs = 1_000
/** How often an idle server is asked how far it is, while somebody waits for it. */
const lookEveryMs = 50

/** What a capture is at. */
export type CaptureState = 'connecting' | 'standing-by' | 'snapshot' | 'streaming' | 'ended'

/** A capture that runs. */
export interface Capture extends AsyncDisposable {
  readonly state: CaptureState
  /** Ends with the capture: resolves when it was closed, rejects with what keeps it from going on for good. */
  readonly finished: Promise<void>
  /**
   * Waits until everything is published that was committed in the database before the call, the rows that were there at the
   * beginning included; by this capture, not by another one.
   * @throws what ended the capture, and what the client throws
   */
  caughtUp(): Promise<void>
  /** Waits for commits under way, tells the server what has arrived, and ends the connections. Idempotent. */
  close(): Promise<void>
}

/**
 * Publishes the changes of tables of a PostgreSQL database, for as long as it runs. {@link createCapture} sets it up. Any number of
 * captures of one slot may run, in any process: one works, and the others stand by until its connection ends.
 *
 * - Every change that was committed since the slot was created is published, in the order of a row's key; before it, if wanted, the
 *   rows that were there already.
 * - Each is published once where the engine commits topics and state together (`embedded`, `postgres`, a `deployment` of two):
 *   the place in the server's log is part of the commit. On Kafka alone, those under way may come twice when another capture takes
 *   over, with the same ids.
 * - The server is told of nothing that is not durable downstream, and keeps no log for an idle capture.
 * - A database or an engine that is gone is tried again after a growing pause, at most 10 s, and told on the diagnostics channel
 *   `millrace:capture-failed`. What cannot go well another time ends the capture: see {@link Capture.finished}.
 *
 * @throws OptionsInvalidError
 * @example
 * ```ts
 * await createCapture({ connection: url, slot: 'shop', tables: ['orders'] })
 * await using capture = captureChanges({ connection: url, slot: 'shop', engine })
 * await capture.finished
 * ```
 */
export function captureChanges(options: CaptureOptions): Capture {
  return new RunningCapture(resolveCaptureOptions(options))
}

/** Somebody waits until the capture has come so far. */
interface Waiter {
  readonly lsn: Lsn
  readonly done: PromiseWithResolvers<void>
}

class RunningCapture implements Capture {
  readonly finished: Promise<void>
  readonly #options: ResolvedCaptureOptions
  readonly #end = new AbortController()
  readonly #waiters = new Set<Waiter>()
  #state: CaptureState = 'connecting'
  #link: ReplicationLink | undefined
  #session: CaptureSession | undefined
  #doneLsn: Lsn = -1n
  #looker: Timer | undefined

  constructor(options: ResolvedCaptureOptions) {
    this.#options = options
    this.finished = this.#run()
    // Who does not look at it need not be stopped by it: the channel tells of it, too.
    this.finished.catch(() => undefined)
  }

  get state(): CaptureState {
    return this.#state === 'streaming' && this.#session?.isSnapshotPending === true ? 'snapshot' : this.#state
  }

  async caughtUp(): Promise<void> {
    const client = await connectClient(this.#options.connection, 'statements')
    const lsn = await readLogEnd(client).finally(() => abandon(client))
    if (this.#state === 'ended') {
      await this.finished
      throw new ClosedError('The capture')
    }
    const waiter = { lsn, done: Promise.withResolvers<void>() }
    this.#waiters.add(waiter)
    this.#lookAround()
    await waiter.done.promise
  }

  async close(): Promise<void> {
    this.#end.abort()
    this.#link?.interrupt(new ClosedError('The capture'))
    await this.finished.catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(): Promise<void> {
    const { slot, clock } = this.#options
    const onFailed = (thrown: unknown, pauseMs: number): void => {
      const error = errorOf(thrown, slot)
      if (isFinal(error)) throw error
      // Who was replaced, or came second to a free slot, has only to wait for its turn again.
      if (!(error instanceof CaptureReplacedError || isSlotBusy(error))) this.#tell(error, pauseMs)
    }
    try {
      await persist((onProgress) => this.#work(onProgress), { clock, signal: this.#end.signal, onFailed })
      this.#finish(new ClosedError('The capture'))
    } catch (error) {
      this.#tell(error, null)
      this.#finish(error)
      throw error
    }
  }

  /** From the first connection to the first thing that goes wrong. */
  async #work(onProgress: () => void): Promise<void> {
    const { connection, clock, heartbeatMs, slot, publication } = this.#options
    this.#state = 'connecting'
    const client = await connectClient(connection, 'statements')
    let link: ReplicationLink | undefined
    try {
      await checkServer(client)
      if (!(await this.#awaitTurn(client, onProgress))) return
      link = await ReplicationLink.open(connection, clock, heartbeatMs)
      this.#link = link
      const log = await readServerLog(link.client)
      if (this.#end.signal.aborted) return
      await link.start(startReplicationSql(slot, publication))
      await this.#stream(client, link, log, onProgress)
    } finally {
      this.#link = undefined
      this.#session = undefined
      await link?.close()
      abandon(client)
    }
  }

  /** Waits until nobody reads from the slot: with a look at it, without a connection for the stream. `false`: the capture was closed before. */
  async #awaitTurn(client: PgClient, onProgress: () => void): Promise<boolean> {
    const { slot, engine, clock } = this.#options
    while (!this.#end.signal.aborted) {
      const { isActive } = await checkSlot(client, slot, () => Place.load(engine, slot, clock))
      if (!isActive) return true
      this.#state = 'standing-by'
      onProgress()
      await this.#nap(turnEveryMs)
    }
    return false
  }

  async #stream(client: PgClient, link: ReplicationLink, log: ServerLog, onProgress: () => void): Promise<void> {
    const { slot, publication, engine, topicOf, source, clock, publish, commit } = this.#options
    // Only now: who had the slot before may have committed until then.
    const place = await Place.load(engine, slot, clock)
    const state = await checkSlot(client, slot, async () => place)
    const position = await checkPlace(client, slot, state, log, place)
    const seen = await SeenTransactions.load(client)
    const tables = await CapturedTables.load(client, engine, publication, topicOf)
    const onCommitted = (lsn: Lsn): void => {
      // Answers to two commits may come in another order than that in which they were made.
      if (lsn > this.#doneLsn) this.#doneLsn = lsn
      link.confirm(lsn)
      onProgress()
      this.#lookAround()
    }
    const publisher = new Publisher({
      commit,
      slot,
      log,
      place,
      clock,
      onCommitted,
      onFailed: (error) => link.interrupt(error),
    })
    const events = new ChangeEvents(source, publisher, publish)
    const snapshot = new SnapshotReader(client, tables, place, seen, this.#options.snapshot)
    const news = new TableNews({ slot, publication, client, tables, place, events })
    const parts = { client, link, tables, place, publisher, events, news, snapshot, clock }
    const session = new CaptureSession(parts, position)
    this.#session = session
    this.#state = 'streaming'
    try {
      // At once, so that a slot that somebody moves is found out from the beginning.
      await publisher.flush(position)
      this.#lookAround()
      await session.run()
    } finally {
      session.close()
      await publisher.settle().catch(() => undefined)
    }
  }

  /** Lets go who waits for what has been reached; for the others the server is asked how far it is. */
  #lookAround(): void {
    const session = this.#session
    if (this.#waiters.size === 0 || session === undefined) return
    for (const waiter of this.#waiters) {
      if (this.#doneLsn < waiter.lsn || session.isSnapshotPending) continue
      this.#waiters.delete(waiter)
      waiter.done.resolve()
    }
    if (this.#waiters.size === 0 || this.#looker !== undefined) return
    session.hurry()
    this.#looker = this.#options.clock.setTimer(() => {
      this.#looker = undefined
      this.#lookAround()
    }, lookEveryMs)
  }

  #finish(reason: unknown): void {
    this.#state = 'ended'
    for (const { done } of this.#waiters) done.reject(reason)
    this.#waiters.clear()
  }

  #tell(error: unknown, delayMs: number | null): void {
    if (!channels.captureFailed.hasSubscribers) return
    channels.captureFailed.publish({ slot: this.#options.slot, error, delayMs })
  }

  async #nap(forMs: number): Promise<void> {
    await sleep(forMs, this.#options.clock, this.#end.signal).catch(() => undefined)
  }
}
