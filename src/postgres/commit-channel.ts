import type { CommitGroup, GroupWriter, UnitCommand, UnitResult } from '../committing/index.ts'
import { ClosedError, InvariantError, isPassing } from '../kernel/index.ts'
import { BatchBufferPool } from '../record/index.ts'
import { quoted, sqlStateOf } from '../sql/index.ts'
import { fencedState } from './commit-function-sql.ts'
import { decodeResults, encodeGroup, type GroupMessage } from './commit-message.ts'
import { PostgresOutcomeUnknownError, PostgresUnreachableError } from './errors.ts'
import { errorOf, isTransient } from './faults.ts'
import type { PgConnection } from './pg-client.ts'
import { isTransientWhileOpen, type Server } from './server.ts'
import type { Row } from './statements.ts'

/** One connection, and what the instance's row said when it was made. */
interface Session {
  readonly client: PgConnection
  readonly generation: number
  /** The last group that was committed, and what its units came to. */
  readonly groupNumber: number
  readonly results: string
  readonly backend: Backend
  /** The row was gone, and was put back: nobody knows any more what a group came to whose answer is missing. */
  readonly isPutBack: boolean
}

/** A process of the server, by an id that is used again and a time that is not. */
interface Backend {
  readonly pid: number
  readonly startedAt: string
}

/**
 * The way of commits to the server: a connection of its own, on which one group is committed after the other.
 *
 * When the connection is cut with a group under way, nobody knows whether it was committed. The next connection raises the
 * generation of the engine's row, for which it waits until the transaction of the last one is over; from then on that one
 * cannot commit any more, and the row says which group was the last. So no commit is made twice, and none that was made is
 * reported to have failed.
 */
export class CommitChannel implements GroupWriter {
  readonly pool: BatchBufferPool = new BatchBufferPool()
  readonly #server: Server
  readonly #instanceId: string
  readonly #schema: string
  readonly #commitText: string
  /** Looks that must be taken before anything more is committed. */
  readonly #looks = new Set<Promise<unknown>>()
  #session: Session | undefined
  #lastBackend: Backend | undefined
  #groupNumber = 0
  /** The last one that is known: a row that is put back goes on from there. */
  #generation = 0
  #tail: Promise<unknown> = Promise.resolve()

  private constructor(server: Server, instanceId: string) {
    this.#server = server
    this.#instanceId = instanceId
    this.#schema = quoted(server.options.schema)
    this.#commitText = `SELECT ${this.#schema}.commit_group($1, $2, $3, $4, $5) AS results`
  }

  /** Registers the engine, on a connection to a schema that is up to date, which it takes over. */
  static async open(server: Server, client: PgConnection, instanceId: string): Promise<CommitChannel> {
    const channel = new CommitChannel(server, instanceId)
    await channel.#insertRow(client)
    channel.#session = await channel.#enter(client)
    return channel
  }

  /** No error of the server finishes the engine: what it could not write is not there, and the next group may go well. */
  isFinal(): boolean {
    return false
  }

  /** Commits come after this look: what it has not seen is committed after it. */
  holdFor(look: Promise<unknown>): void {
    const held: Promise<unknown> = look.then(
      () => this.#looks.delete(held),
      () => this.#looks.delete(held),
    )
    this.#looks.add(held)
  }

  commit(group: CommitGroup): Promise<readonly UnitResult[]> {
    const message = encodeGroup(group)
    // Its bytes have been copied.
    this.pool.release(group.arena)
    for (const { batches } of group.units) for (const { bytes } of batches) this.pool.release(bytes)
    const committing = this.#tail.then(() => this.#commit(message, group.units))
    this.#tail = committing.catch(() => undefined)
    return committing
  }

  /** Ends the connection after what is under way, and forgets the engine's row. */
  async close(): Promise<void> {
    await this.#tail
    const session = this.#session
    if (session === undefined) return
    this.#session = undefined
    const text = `DELETE FROM ${this.#schema}.instance WHERE id = $1`
    // A row that stays is removed by maintenance of another engine.
    await session.client.query({ text, values: [this.#instanceId] }).catch(() => undefined)
    await session.client.end().catch(() => undefined)
  }

  /** Cuts the connection, whatever is under way on it. */
  cut(): void {
    if (this.#session !== undefined) this.#drop(this.#session)
  }

  async #commit(message: GroupMessage, units: readonly UnitCommand[]): Promise<readonly UnitResult[]> {
    if (this.#looks.size > 0) await Promise.all(this.#looks)
    const number = ++this.#groupNumber
    const startMs = this.#server.clock.monotonicMs()
    const values = [number, message.text, message.arena]
    let isSent = false
    // A connection is being made while nobody knows what the last one came to, whatever the server says to that.
    let isUnsure = false
    const results = await this.#server
      .persist(
        async () => {
          let session = this.#session
          if (session === undefined) {
            isUnsure = isSent
            session = await this.#reconnect()
            isUnsure = false
            if (isSent && session.isPutBack) throw this.#unknownOutcome()
          }
          if (session.groupNumber === number) return session.results
          isSent = true
          return await this.#ask(session, values)
        },
        this.#server.options.reconnectTimeoutMs,
        (error) => isTransientWhileOpen(error) || (isUnsure && isPassing(errorOf(error, this.#server))),
      )
      .catch((error: unknown) => {
        // Out of reach for too long, or closed before it could be reached again.
        const isCutOff = error instanceof PostgresUnreachableError || error instanceof ClosedError
        if (!isUnsure && !(isSent && isCutOff)) throw error
        const waitedMs = this.#server.clock.monotonicMs() - startMs
        throw new PostgresOutcomeUnknownError(this.#server.place, waitedMs, { cause: error as Error })
      })
    return decodeResults(results, units)
  }

  async #ask(session: Session, values: readonly unknown[]): Promise<string> {
    const { client, generation } = session
    try {
      const query = {
        name: 'millrace_commit',
        text: this.#commitText,
        values: [this.#instanceId, generation, ...values],
      }
      const [row] = (await client.query(query)).rows
      return String(row?.['results'])
    } catch (error) {
      const state = sqlStateOf(error)
      if (state === fencedState) return this.#askAnew(session, values, error)
      // What took the transaction back leaves the connection as it was.
      if (isTransient(error) && (state === undefined || !state.startsWith('40'))) this.#drop(session)
      throw error
    }
  }

  /** Nothing of the group was written. If that is because the row of the engine is gone, it is put back. */
  async #askAnew(session: Session, values: readonly unknown[], cause: unknown): Promise<string> {
    const { client } = session
    let isThere = false
    try {
      const text = `SELECT 1 FROM ${this.#schema}.instance WHERE id = $1`
      isThere = (await client.query({ text, values: [this.#instanceId] })).rows.length > 0
      if (!isThere) this.#session = await this.#enter(client)
    } catch (error) {
      this.#drop(session)
      throw error
    }
    // Only a later connection of this engine raises the generation, and there is none while this one is in use.
    if (isThere) throw new InvariantError('an engine has one connection that commits', { cause })
    return this.#ask(this.#session as Session, values)
  }

  #unknownOutcome(): PostgresOutcomeUnknownError {
    const cause = new InvariantError('the row of an open engine stays')
    return new PostgresOutcomeUnknownError(this.#server.place, 0, { cause })
  }

  #drop(session: Session): void {
    this.#session = undefined
    this.#lastBackend = session.backend
    session.client.end().catch(() => undefined)
  }

  async #reconnect(): Promise<Session> {
    const client = await this.#server.connect()
    try {
      const last = this.#lastBackend
      if (last !== undefined) {
        // The server may not have noticed yet that nobody listens any more: what it is still at would hold up everybody.
        await client.query({
          text: 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2::timestamptz',
          values: [last.pid, last.startedAt],
        })
      }
      this.#session = await this.#enter(client)
      return this.#session
    } catch (error) {
      client.end().catch(() => undefined)
      throw error
    }
  }

  /** Takes the engine's row over from its last connection, whose transaction is over after that, and of no later use. */
  async #enter(client: PgConnection): Promise<Session> {
    // The statements of the functions find single rows by their keys: whatever the planner thinks of a table that it has
    // no statistics of yet, an index is right, and one plan is right for all groups.
    await client.query({
      text: `SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
        SET plan_cache_mode = force_generic_plan`,
    })
    let row = await this.#takeRow(client)
    const isPutBack = row === undefined
    while (row === undefined) {
      await this.#insertRow(client)
      row = await this.#takeRow(client)
    }
    this.#generation = Number(row['generation'])
    return {
      client,
      generation: this.#generation,
      groupNumber: Number(row['group_number']),
      results: String(row['results']),
      backend: { pid: Number(row['pid']), startedAt: String(row['started_at']) },
      isPutBack,
    }
  }

  /** Raises the generation of the engine's row; undefined: it is not there. */
  async #takeRow(client: PgConnection): Promise<Row | undefined> {
    const { rows } = await client.query({
      text: `UPDATE ${this.#schema}.instance SET generation = generation + 1, seen_at = now() WHERE id = $1
        RETURNING generation, group_number, results, pg_backend_pid() AS pid,
          (SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()) AS started_at`,
      values: [this.#instanceId],
    })
    return rows[0]
  }

  /** Opening is tried again when it is cut, under the same id: the row may be there. */
  async #insertRow(client: PgConnection): Promise<void> {
    await client.query({
      text: `INSERT INTO ${this.#schema}.instance (id, generation, group_number, results, seen_at)
        VALUES ($1, $2, 0, '[]', now()) ON CONFLICT (id) DO NOTHING`,
      values: [this.#instanceId, this.#generation],
    })
  }
}
