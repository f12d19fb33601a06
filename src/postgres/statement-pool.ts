import { ClosedError, isPassing } from '../kernel/index.ts'
import { Backoff } from './backoff.ts'
import { PostgresPoolExhaustedError } from './errors.ts'
import { isTransient } from './faults.ts'
import type { PgPool, PgPoolConnection, PgResult } from './pg-client.ts'
import { isTransientWhileOpen, type Server } from './server.ts'
import type { NamedStatement, Row, StatementRunner } from './statements.ts'

/** Runs single statements on as many connections as the options allow, again when a connection is cut. */
export class StatementPool implements StatementRunner {
  readonly #server: Server
  readonly #pool: PgPool
  readonly #connectionsMax: number
  #free: number
  /** Connections on which something runs. */
  readonly #busy = new Set<PgPoolConnection>()
  /** Who waits for a connection, first come, first served. */
  readonly #waiting = new Set<() => void>()
  /** The last try to connect failed: that nobody gives a connection back is the server's matter. */
  #isAway = false
  /** When a connection could be made again, by the monotonic clock. */
  #backMs = 0
  #closing: Promise<void> | undefined

  constructor(server: Server, connectionsMax: number) {
    this.#server = server
    this.#connectionsMax = connectionsMax
    this.#free = connectionsMax
    this.#pool = server.pool(connectionsMax)
  }

  /**
   * Runs one statement, a transaction of its own. It is run again when the connection is cut, so it must be one that reads,
   * or whose second run changes nothing.
   */
  async query(statement: NamedStatement, values: readonly unknown[]): Promise<readonly Row[]> {
    const { name, text } = statement
    const query = { name, text, values }
    const result = await this.#server.persist(
      () => this.#run((client) => client.query(query)),
      this.#server.options.reconnectTimeoutMs,
      isTransientWhileOpen,
    )
    return result.rows
  }

  /**
   * The same for somebody who watches, and whom nobody would have watch anew: what the server cannot do for a reason that passes is
   * asked again until the signal aborts; then there are no rows.
   */
  async queryUntilItCan(
    statement: NamedStatement,
    values: readonly unknown[],
    signal: AbortSignal,
  ): Promise<readonly Row[]> {
    const backoff = new Backoff(this.#server.random)
    for (;;) {
      try {
        return await this.query(statement, values)
      } catch (error) {
        if (!isPassing(error)) throw error
        if (signal.aborted) return []
        await this.#server.pause(backoff.nextDelayMs())
      }
    }
  }

  /** Waits for what runs, then ends all connections; idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#pool.end()
    return this.#closing
  }

  /** Cuts the connections on which something runs. */
  cut(): void {
    for (const client of this.#busy) client.end().catch(() => undefined)
  }

  async #run(work: (client: PgPoolConnection) => Promise<PgResult>): Promise<PgResult> {
    await this.#acquire()
    try {
      if (this.#closing !== undefined) throw new ClosedError('The engine')
      const client = await this.#connect()
      this.#busy.add(client)
      try {
        const result = await work(client)
        client.release()
        return result
      } catch (error) {
        // After an error of the statement the connection is as good as before; after one of its own it is gone.
        client.release(isTransient(error))
        throw error
      } finally {
        this.#busy.delete(client)
      }
    } finally {
      this.#release()
    }
  }

  async #connect(): Promise<PgPoolConnection> {
    try {
      const client = await this.#pool.connect()
      if (this.#isAway) this.#backMs = this.#server.clock.monotonicMs()
      this.#isAway = false
      return client
    } catch (error) {
      this.#isAway = true
      throw error
    }
  }

  /** The time in which no connection can be made does not count: how long to wait for that, others say. */
  async #acquire(): Promise<void> {
    if (this.#free > 0) {
      this.#free--
      return
    }
    const { clock, connectionPatienceMs: timeoutMs } = this.#server
    const startMs = clock.monotonicMs()
    await new Promise<void>((resolve, reject) => {
      const enter = (): void => {
        timer.cancel()
        resolve()
      }
      const look = (): void => {
        const leftMs = Math.max(startMs, this.#backMs) + timeoutMs - clock.monotonicMs()
        if (this.#isAway || leftMs > 0) {
          timer = clock.setTimer(look, this.#isAway ? timeoutMs : leftMs)
          return
        }
        this.#waiting.delete(enter)
        reject(new PostgresPoolExhaustedError(this.#connectionsMax, timeoutMs))
      }
      let timer = clock.setTimer(look, timeoutMs)
      this.#waiting.add(enter)
    })
  }

  #release(): void {
    const [next] = this.#waiting
    if (next === undefined) this.#free++
    else {
      this.#waiting.delete(next)
      next()
    }
  }
}
