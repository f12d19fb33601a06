import type { Timer } from '../kernel/index.ts'
import { quoted } from '../sql/index.ts'
import type { PgConnection } from './pg-client.ts'
import type { Server } from './server.ts'

/** Notifications are gathered for this long, in milliseconds: a hundred commits a second make a hundred words too many. */
const debounceMs = 5
const pauseMsMost = 2_000

/**
 * Tells other processes, and hears from them, that something was committed. These are hints: one that is lost makes a reader
 * slower and nothing else, so they are sent outside of the transactions that they speak of, which NOTIFY would otherwise put
 * in a line behind one lock of the whole server.
 *
 * The connection on which it listens also shows that the process is there.
 */
export class Notices {
  readonly #server: Server
  readonly #channel: string
  readonly #instanceId: string
  readonly #onHint: () => void
  #client: PgConnection | undefined
  #timer: Timer | undefined
  #isSending = false
  #isClosed = false
  #connecting: Promise<void>

  constructor(server: Server, instanceId: string, onHint: () => void) {
    this.#server = server
    // One channel for each schema; a name of a schema is a name of a channel.
    this.#channel = server.options.schema
    this.#instanceId = instanceId
    this.#onHint = onHint
    this.#connecting = this.#connect()
  }

  /** Says, soon, that this process committed something. */
  announce(): void {
    if (this.#timer !== undefined || this.#isClosed) return
    this.#timer = this.#server.clock.setTimer(() => this.#send(), debounceMs, { unref: true })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#connecting
    await this.#client?.end().catch(() => undefined)
  }

  #send(): void {
    this.#timer = undefined
    const client = this.#client
    if (client === undefined || this.#isClosed) return
    if (this.#isSending) {
      this.announce()
      return
    }
    this.#isSending = true
    void client
      .query({ text: 'SELECT pg_notify($1, $2)', values: [this.#channel, this.#instanceId] })
      // A connection that is of no use is ended, and another one made.
      .catch(() => client.end())
      .catch(() => undefined)
      .finally(() => {
        this.#isSending = false
      })
  }

  /** Listens until it is closed, on one connection after the other. */
  async #connect(): Promise<void> {
    let pauseMs = 50
    while (!this.#isClosed && !this.#server.isEnded) {
      try {
        await this.#listenOn(await this.#server.connect())
        // What was said while nobody listened.
        this.#onHint()
        return
      } catch {
        await this.#server.pause(pauseMs)
        pauseMs = Math.min(pauseMs * 2, pauseMsMost)
      }
    }
  }

  async #listenOn(client: PgConnection): Promise<void> {
    client.on('notification', ({ payload }) => {
      if (payload !== this.#instanceId) this.#onHint()
    })
    client.on('end', () => this.#lost(client))
    try {
      // A hint that a power cut takes away is no loss; nobody has to wait for the disk.
      await client.query({ text: `SET synchronous_commit = off; LISTEN ${quoted(this.#channel)}` })
      await client.query({
        text: `UPDATE ${quoted(this.#server.options.schema)}.instance SET listener_pid = pg_backend_pid(),
          listener_started_at = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) WHERE id = $1`,
        values: [this.#instanceId],
      })
      this.#client = client
    } catch (error) {
      client.end().catch(() => undefined)
      throw error
    }
  }

  #lost(client: PgConnection): void {
    if (this.#client !== client || this.#isClosed) return
    this.#client = undefined
    this.#connecting = this.#connect()
  }
}
