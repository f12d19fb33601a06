import { persist, sleep } from '../kernel/index.ts'
import { listenToPool } from '../sql/index.ts'
import { channels } from '../telemetry/index.ts'
import { OutboxRelayReplacedError } from './errors.ts'
import { OutboxCarrier } from './outbox-carrier.ts'
import { endsRelay } from './relay-faults.ts'
import { RelayLedger } from './relay-ledger.ts'
import { type RelayOptions, type ResolvedRelayOptions, resolveRelayOptions } from './relay-options.ts'
import { RelaySession } from './relay-session.ts'
import { RelayTopics } from './relay-topics.ts'

/** How often a relay that stands by asks whether it is its turn. */
const turnEveryMs = 1_000
/** Rows that were kept long enough are deleted so many at a time, and not more often than this. */
const purgeRowsMax = 5_000
const purgeEveryMs = 1_000

/** A relay that runs. */
export interface OutboxRelay extends AsyncDisposable {
  /**
   * Resolves when it is closed. Rejects when it cannot go on, whoever waits: its table is not there (`OUTBOX_TABLE_MISSING`) or too new
   * (`OUTBOX_TABLE_NEWER`), or the engine was closed (`CLOSED`).
   */
  readonly finished: Promise<void>
  /** Something was just put into the outbox: it is looked at now, instead of with the next poll. */
  wake(): void
  /** Finishes the batch that is under way, and gives the lock and the connection back. Idempotent. */
  close(): Promise<void>
}

/**
 * Publishes what stands in an outbox, for as long as it runs. Any number of relays may run, in any process: one works, and
 * the others stand by until its connection ends.
 *
 * - Messages of one topic and key are published in the order in which they were put in.
 * - No message is passed over, however long its transaction took.
 * - Each is published once where the engine commits topics and state together (`embedded`, `postgres`); elsewhere those of the
 *   last batch come again after a crash, with the same ids.
 * - A database or an engine that is gone is tried again after a growing pause, at most 10 s. A message that its topic never
 *   takes, for its size for instance, is set aside with the reason (column `refusal`). Both are told on the diagnostics channel
 *   `millrace:relay-failed`. What no waiting helps against ends the relay: see {@link OutboxRelay.finished}.
 *
 * @throws OptionsInvalidError
 * @example
 * ```ts
 * await using relay = relayOutbox({ pool: new pg.Pool(), engine })
 * await relay.finished
 * ```
 */
export function relayOutbox(options: RelayOptions): OutboxRelay {
  return new Relay(resolveRelayOptions(options))
}

class Relay implements OutboxRelay {
  readonly #options: ResolvedRelayOptions
  readonly #end = new AbortController()
  readonly finished: Promise<void>
  readonly #topics: RelayTopics
  #isWoken = false
  #wakeUp: () => void = () => undefined
  #purgedMs = Number.NEGATIVE_INFINITY

  constructor(options: ResolvedRelayOptions) {
    this.#options = options
    this.#topics = new RelayTopics(options)
    listenToPool(options.pool)
    this.finished = persist((onProgress) => this.#work(onProgress), {
      clock: options.clock,
      signal: this.#end.signal,
      onFailed: (error, pauseMs) => {
        // Who was replaced has only to wait for its turn again.
        if (error instanceof OutboxRelayReplacedError) return
        this.#tell(error, pauseMs)
        if (endsRelay(error)) throw error
      },
    })
    // Who does not look at it need not be stopped by it: the channel tells of it, too.
    this.finished.catch(() => undefined)
  }

  wake(): void {
    this.#isWoken = true
    this.#wakeUp()
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
    const { pool, name, clock } = this.#options
    const session = await RelaySession.open(pool, name, clock)
    try {
      while (!(await session.tryLock())) {
        onProgress()
        // Whose turn it is not yet looks at everything once it is.
        this.#isWoken = false
        await this.#nap(turnEveryMs)
        if (this.#end.signal.aborted) return
      }
      await this.#carry(session, onProgress)
    } finally {
      session.close()
    }
  }

  async #carry(session: RelaySession, onProgress: () => void): Promise<void> {
    const { engine, pollMs } = this.#options
    const ledger = RelayLedger.of(engine, session.tableId)
    const carrier = new OutboxCarrier(this.#options, session, ledger, this.#topics)
    await carrier.clearLast()
    while (!this.#end.signal.aborted) {
      this.#isWoken = false
      const count = await carrier.carry()
      onProgress()
      if (count === 0) {
        await this.#purge(session)
        await this.#nap(pollMs)
      }
    }
  }

  async #purge(session: RelaySession): Promise<void> {
    const { keepMs, clock } = this.#options
    const nowMs = clock.monotonicMs()
    if (keepMs === undefined || nowMs - this.#purgedMs < purgeEveryMs) return
    this.#purgedMs = nowMs
    while ((await session.purge(keepMs, purgeRowsMax)) === purgeRowsMax && !this.#end.signal.aborted);
  }

  #tell(error: unknown, delayMs: number): void {
    if (channels.relayFailed.hasSubscribers) {
      channels.relayFailed.publish({ topic: this.#options.name.shown, error, delayMs })
    }
  }

  /** Sleeps for so long, until it is woken or closed. */
  async #nap(forMs: number): Promise<void> {
    if (this.#isWoken) return
    const over = new AbortController()
    this.#wakeUp = () => over.abort()
    await sleep(forMs, this.#options.clock, AbortSignal.any([over.signal, this.#end.signal])).catch(() => undefined)
    this.#wakeUp = () => undefined
  }
}
