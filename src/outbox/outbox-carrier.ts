import { channels } from '../telemetry/index.ts'
import { OutboxRelayReplacedError, OutboxRowRefusedError } from './errors.ts'
import { type OutboxRow, writesOf } from './outbox-row.ts'
import { markOf, type RelayLedger } from './relay-ledger.ts'
import type { ResolvedRelayOptions } from './relay-options.ts'
import type { RelaySession } from './relay-session.ts'
import { isRefusal, type Refusal, type RelayTopics } from './relay-topics.ts'

/** About so many bytes of rows are in one commit. */
const batchBytesMax = 4 * 1024 * 1024

/** Carries rows from an outbox to their topics, a batch at a time, while its session has the lock. */
export class OutboxCarrier {
  readonly #options: ResolvedRelayOptions
  readonly #session: RelaySession
  readonly #ledger: RelayLedger | undefined
  readonly #topics: RelayTopics

  constructor(
    options: ResolvedRelayOptions,
    session: RelaySession,
    ledger: RelayLedger | undefined,
    topics: RelayTopics,
  ) {
    this.#options = options
    this.#session = session
    this.#ledger = ledger
    this.#topics = topics
  }

  /** What was published, but not cleared, by whoever worked before. */
  async clearLast(): Promise<void> {
    for (const last of (await this.#ledger?.load()) ?? []) {
      const rows = await this.#session.readAgain(last.rows)
      // After a restore of the database other rows may stand under these ids.
      if (rows.length > 0 && markOf(rows).digest === last.digest) await this.#clear(rows)
    }
  }

  /** Publishes the first rows that wait; tells how many it looked at. */
  async carry(): Promise<number> {
    if (await this.#topics.hasSomeCome()) {
      this.#topics.lookAgain()
      this.#session.lookFromStart()
    }
    const rows = await this.#session.read(this.#options.batchRowsMax, batchBytesMax, this.#topics.missing)
    if (rows.length === 0) return 0
    await this.#topics.learn(rows.map(({ topic }) => topic))
    const fitting: OutboxRow[] = []
    for (const row of rows) {
      const refusal = this.#topics.refusal(row.topic)
      if (refusal !== undefined) await this.#setAside(row, refusal)
      else if (!this.#topics.isMissing(row.topic)) fitting.push(row)
    }
    if (fitting.length > 0) await this.#publish(fitting)
    return rows.length
  }

  /** Publishes rows in one commit and clears them; where one of them is refused for good, in as few commits as that takes. */
  async #publish(rows: readonly OutboxRow[]): Promise<void> {
    const startMs = this.#options.clock.monotonicMs()
    try {
      const state = this.#ledger === undefined ? {} : { state: [this.#ledger.write([markOf(rows)])] }
      const outcome = await this.#options.engine.commit({ publish: writesOf(rows), ...state })
      if (!outcome.ok) throw new OutboxRelayReplacedError(this.#options.name.shown)
      this.#ledger?.advance()
    } catch (error) {
      if (!isRefusal(error)) {
        this.#topics.doubt(rows.map(({ topic }) => topic))
        throw error
      }
      const [row] = rows
      if (rows.length === 1 && row !== undefined) {
        await this.#setAside(row, error)
        return
      }
      const half = Math.ceil(rows.length / 2)
      await this.#publish(rows.slice(0, half))
      await this.#publish(rows.slice(half))
      return
    }
    await this.#clear(rows)
    if (!channels.relayed.hasSubscribers) return
    const durationMs = this.#options.clock.monotonicMs() - startMs
    for (const [topic, { length }] of Map.groupBy(rows, (row) => row.topic)) {
      channels.relayed.publish({ topic, messageCount: length, durationMs })
    }
  }

  async #setAside(row: OutboxRow, error: Refusal): Promise<void> {
    await this.#session.setAside(row.id, `${error.code}: ${error.message}`)
    if (!channels.relayFailed.hasSubscribers) return
    const refusal = new OutboxRowRefusedError(this.#options.name.shown, row.id, row.topic, { cause: error })
    channels.relayFailed.publish({ topic: row.topic, error: refusal, delayMs: 0 })
  }

  #clear(rows: readonly OutboxRow[]): Promise<void> {
    return this.#session.clear(
      rows.map(({ id }) => id),
      this.#options.keepMs !== undefined,
    )
  }
}
