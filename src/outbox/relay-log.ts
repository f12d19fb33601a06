import { CaptureSlotMissingError, captureChanges, describeCapture } from '../capture/index.ts'
import { persist, sleep } from '../kernel/index.ts'
import { listenToPool, TransactionSnapshot } from '../sql/index.ts'
import { channels } from '../telemetry/index.ts'
import { OutboxRelayReplacedError } from './errors.ts'
import { LogCarrier, type TableReading } from './log-carrier.ts'
import { OutboxCarrier } from './outbox-carrier.ts'
import { PublishedRows } from './published-rows.ts'
import { endsRelay } from './relay-faults.ts'
import { RelayLedger } from './relay-ledger.ts'
import { type LogRelayOptions, type ResolvedLogRelayOptions, resolveLogRelayOptions } from './relay-options.ts'
import { RelaySession } from './relay-session.ts'
import { isRefusal, RelayTopics } from './relay-topics.ts'

/** How often a relay that stands by asks whether it is its turn. */
const turnEveryMs = 1_000

/** A relay that reads the server's log. */
export interface OutboxLogRelay extends AsyncDisposable {
  /**
   * Resolves when it is closed. Rejects when it cannot go on, whoever waits: for the reasons of `relayOutbox`, and for
   * those that end a capture, as that its slot is not there (`CAPTURE_SLOT_MISSING`) or can no longer be used.
   */
  readonly finished: Promise<void>
  /** Finishes what is under way, and gives slot, lock and connections back. Idempotent. */
  close(): Promise<void>
}

/**
 * Publishes what is put into an outbox as the server's log tells of it, for as long as it runs: within milliseconds of the commit,
 * in the order of the commits, and without a look at the table to find it. The table is used to clear what was published.
 *
 * It promises what {@link relayOutbox} does, which stands by meanwhile, as all other relays of the outbox. What stands in the outbox
 * when it begins is published first, and from then on what the log tells. The server keeps its log until the relay has read it: drop the slot when the relay is no longer used.
 *
 * @throws OptionsInvalidError
 * @example
 * ```ts
 * await createOutbox(pool)
 * await createCapture({ connection: url, slot: 'outbox', tables: ['millrace_outbox'] })
 * await using relay = relayOutboxLog({ connection: url, slot: 'outbox', pool, engine })
 * ```
 */
export function relayOutboxLog(options: LogRelayOptions): OutboxLogRelay {
  return new LogRelay(resolveLogRelayOptions(options))
}

class LogRelay implements OutboxLogRelay {
  readonly #options: ResolvedLogRelayOptions
  readonly #end = new AbortController()
  readonly finished: Promise<void>
  readonly #topics: RelayTopics
  readonly #published = new PublishedRows()

  constructor(options: ResolvedLogRelayOptions) {
    this.#options = options
    this.#topics = new RelayTopics(options)
    listenToPool(options.pool)
    this.finished = persist((onProgress) => this.#work(onProgress), {
      clock: options.clock,
      signal: this.#end.signal,
      onFailed: (error, pauseMs) => {
        this.#tell(error, pauseMs)
        if (endsRelay(error)) throw error
      },
    })
    // Who does not look at it need not be stopped by it: the channel tells of it, too.
    this.finished.catch(() => undefined)
  }

  async close(): Promise<void> {
    this.#end.abort()
    await this.finished.catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** One session, from its connection to the first thing that goes wrong. */
  async #work(onProgress: () => void): Promise<void> {
    const { pool, name, clock, engine, keepMs } = this.#options
    const session = await RelaySession.open(pool, name, clock)
    try {
      while (!(await session.tryLock())) {
        onProgress()
        await this.#nap(turnEveryMs)
        if (this.#end.signal.aborted) return
      }
      await this.#awaitSlot()
      const ledger = RelayLedger.of(engine, session.tableId)
      const published = this.#published
      await published.clear(session, keepMs !== undefined)
      const before = await this.#carryAll(session, ledger)
      if (this.#end.signal.aborted) return
      const parts = { options: this.#options, session, ledger, topics: this.#topics, published, before, onProgress }
      await this.#follow(new LogCarrier(parts))
      await published.clear(session, keepMs !== undefined)
    } finally {
      session.close()
    }
  }

  /**
   * Waits until the slot is whole: from then on nothing is committed that the log does not tell.
   * @throws CaptureSlotMissingError, and what the client throws
   */
  async #awaitSlot(): Promise<void> {
    const { connection, slot } = this.#options
    while (!this.#end.signal.aborted) {
      const found = (await describeCapture({ connection, slot })).slot
      if (found === null) throw new CaptureSlotMissingError(slot, null)
      if (found.confirmedLsn !== null) return
      await this.#nap(turnEveryMs)
    }
  }

  /**
   * Publishes from the table what stands there: what a relay that polls has left, what came before the slot, what the log had to
   * stop at, since its topic does not take it, and what waited for a topic that is there by now.
   */
  async #carryAll(session: RelaySession, ledger: RelayLedger | undefined): Promise<TableReading> {
    const carrier = new OutboxCarrier(this.#options, session, ledger, this.#topics)
    this.#topics.lookAgain()
    await carrier.clearLast()
    while ((await carrier.carry()) > 0) if (this.#end.signal.aborted) break
    return { seen: TransactionSnapshot.parse(session.lastSnapshot), logEnd: await session.logEnd() }
  }

  /** Publishes what the log tells, until the relay is closed, a topic that was missing has come, or something goes wrong; then nothing is under way any more. */
  async #follow(carrier: LogCarrier): Promise<void> {
    const { connection, slot, engine, clock } = this.#options
    const capture = captureChanges({
      connection,
      slot,
      engine,
      publish: (change) => carrier.publish(change),
      commit: (batch) => carrier.commit(batch),
      snapshot: false,
      clock,
    })
    const closed = new Promise<void>((resolve) => {
      if (this.#end.signal.aborted) resolve()
      else this.#end.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    try {
      await Promise.race([capture.finished, carrier.work(), closed])
    } finally {
      carrier.end()
      await capture.close()
      this.#published.forgetUnknown()
    }
  }

  #tell(error: unknown, delayMs: number): void {
    // Who was replaced waits for its turn again; and of a row that its topic does not take is told when it is set aside.
    if (error instanceof OutboxRelayReplacedError || isRefusal(error)) return
    if (channels.relayFailed.hasSubscribers)
      channels.relayFailed.publish({ topic: this.#options.name.shown, error, delayMs })
  }

  async #nap(forMs: number): Promise<void> {
    await sleep(forMs, this.#options.clock, this.#end.signal).catch(() => undefined)
  }
}
