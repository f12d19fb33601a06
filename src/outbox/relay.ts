import type { Engine } from '../engine/index.ts'
import { ClosedError, MillraceError, sleep } from '../kernel/index.ts'
import { channels } from '../telemetry/index.ts'
import { OutboxRelayReplacedError, OutboxRowRefusedError } from './errors.ts'
import { type OutboxRow, writesOf } from './outbox-row.ts'
import { markOf, RelayLedger } from './relay-ledger.ts'
import { type RelayOptions, type ResolvedRelayOptions, resolveRelayOptions } from './relay-options.ts'
import { RelaySession } from './relay-session.ts'

/** How often a relay that stands by asks whether it is its turn. */
const turnEveryMs = 1_000
const retryMinMs = 100
const retryMaxMs = 10_000
/** About so many bytes of rows are in one commit. */
const batchBytesMax = 4 * 1024 * 1024
/** Rows that were kept long enough are deleted so many at a time, and not more often than this. */
const purgeRowsMax = 5_000
const purgeEveryMs = 1_000

/** What an engine says of a message that it will never take. */
const finalCodes: ReadonlySet<string> = new Set([
  'RECORD_TOO_LARGE',
  'RECORD_ARGUMENT_INVALID',
  'ARGUMENT_INVALID',
  'TOPIC_NAME_INVALID',
])

/** A relay that runs. */
export interface OutboxRelay extends AsyncDisposable {
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
 *   `millrace:relay-failed`.
 *
 * @throws OptionsInvalidError
 * @example
 * ```ts
 * await using relay = relayOutbox({ pool: new pg.Pool(), engine })
 * ```
 */
export function relayOutbox(options: RelayOptions): OutboxRelay {
  return new Relay(resolveRelayOptions(options))
}

class Relay implements OutboxRelay {
  readonly #options: ResolvedRelayOptions
  readonly #engine: Engine
  readonly #end = new AbortController()
  readonly #running: Promise<void>
  readonly #topics = new Set<string>()
  #session: RelaySession | undefined
  #isWoken = false
  #wakeUp: () => void = () => undefined
  #purgedMs = Number.NEGATIVE_INFINITY

  constructor(options: ResolvedRelayOptions) {
    this.#options = options
    this.#engine = options.engine
    this.#running = this.#run()
  }

  wake(): void {
    this.#isWoken = true
    this.#wakeUp()
  }

  async close(): Promise<void> {
    this.#end.abort()
    await this.#running
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(): Promise<void> {
    let delayMs = retryMinMs
    while (!this.#end.signal.aborted) {
      try {
        await this.#work(() => {
          delayMs = retryMinMs
        })
      } catch (error) {
        if (this.#end.signal.aborted) break
        // Who was replaced has only to wait for its turn again.
        if (!(error instanceof OutboxRelayReplacedError)) this.#tell(error, delayMs)
        await this.#nap(delayMs)
        delayMs = Math.min(retryMaxMs, delayMs * 2)
      } finally {
        this.#session?.close()
        this.#session = undefined
      }
    }
  }

  /** One session, from its connection to the first thing that goes wrong. */
  async #work(onProgress: () => void): Promise<void> {
    const { pool, name, clock, pollMs } = this.#options
    const { signal } = this.#end
    const session = await RelaySession.open(pool, name, clock)
    this.#session = session
    while (!(await session.tryLock())) {
      onProgress()
      await this.#nap(turnEveryMs)
      if (signal.aborted) return
    }
    const ledger = RelayLedger.of(this.#engine, session.tableId)
    await this.#clearLast(session, ledger)
    while (!signal.aborted) {
      this.#isWoken = false
      const count = await this.#carry(session, ledger)
      onProgress()
      if (count === 0) {
        await this.#purge(session)
        await this.#nap(pollMs)
      }
    }
  }

  /** Of a batch that was published, but not cleared, by whoever worked before. */
  async #clearLast(session: RelaySession, ledger: RelayLedger | undefined): Promise<void> {
    const last = await ledger?.load()
    if (last === undefined) return
    const rows = await session.readAgain(last.rows)
    // After a restore of the database other rows may stand under these ids.
    if (rows.length > 0 && markOf(rows).digest === last.digest) await this.#clear(session, rows)
  }

  /** Publishes the first rows that wait; tells how many it looked at. */
  async #carry(session: RelaySession, ledger: RelayLedger | undefined): Promise<number> {
    const rows = await session.read(this.#options.batchRowsMax, batchBytesMax)
    if (rows.length === 0) return 0
    if (this.#options.createTopics) await this.#ensureTopics(rows)
    await this.#publish(session, ledger, rows)
    return rows.length
  }

  /** Publishes rows in one commit and clears them; where one of them is refused for good, in as few commits as that takes. */
  async #publish(session: RelaySession, ledger: RelayLedger | undefined, rows: readonly OutboxRow[]): Promise<void> {
    const startMs = this.#options.clock.monotonicMs()
    try {
      const state = ledger === undefined ? {} : { state: [ledger.write(rows)] }
      const outcome = await this.#engine.commit({ publish: writesOf(rows), ...state })
      if (!outcome.ok) throw new OutboxRelayReplacedError(this.#options.name.shown)
      ledger?.advance()
    } catch (error) {
      if (!(error instanceof MillraceError && finalCodes.has(error.code))) throw error
      const [row] = rows
      if (rows.length === 1 && row !== undefined) {
        await this.#setAside(session, row, error)
        return
      }
      const half = Math.ceil(rows.length / 2)
      await this.#publish(session, ledger, rows.slice(0, half))
      await this.#publish(session, ledger, rows.slice(half))
      return
    }
    await this.#clear(session, rows)
    if (!channels.relayed.hasSubscribers) return
    const durationMs = this.#options.clock.monotonicMs() - startMs
    for (const [topic, { length }] of Map.groupBy(rows, (row) => row.topic)) {
      channels.relayed.publish({ topic, messageCount: length, durationMs })
    }
  }

  async #setAside(session: RelaySession, row: OutboxRow, error: MillraceError<string, object>): Promise<void> {
    await session.setAside(row.id, `${error.code}: ${error.message}`)
    this.#tell(new OutboxRowRefusedError(this.#options.name.shown, row.id, row.topic, { cause: error }), 0, row.topic)
  }

  #clear(session: RelaySession, rows: readonly OutboxRow[]): Promise<void> {
    return session.clear(
      rows.map(({ id }) => id),
      this.#options.keepMs !== undefined,
    )
  }

  async #ensureTopics(rows: readonly OutboxRow[]): Promise<void> {
    for (const { topic } of rows) {
      if (this.#topics.has(topic)) continue
      try {
        await this.#engine.topics.ensure(topic)
      } catch (error) {
        // The commit meets it again, and knows whose it is.
        if (!(error instanceof MillraceError && finalCodes.has(error.code))) throw error
      }
      this.#topics.add(topic)
    }
  }

  async #purge(session: RelaySession): Promise<void> {
    const { keepMs, clock } = this.#options
    const nowMs = clock.monotonicMs()
    if (keepMs === undefined || nowMs - this.#purgedMs < purgeEveryMs) return
    this.#purgedMs = nowMs
    while ((await session.purge(keepMs, purgeRowsMax)) === purgeRowsMax && !this.#end.signal.aborted);
  }

  #tell(error: unknown, delayMs: number, topic: string = this.#options.name.shown): void {
    if (error instanceof ClosedError || !channels.relayFailed.hasSubscribers) return
    channels.relayFailed.publish({ topic, error, delayMs })
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
