import type { Clock } from '../kernel/index.ts'
import { OutboxDatabaseSilentError } from './errors.ts'
import type { OutboxRow } from './outbox-row.ts'
import type { RelayConnection, RelayPool } from './relay-pool.ts'
import { tableId } from './table-format.ts'
import type { TableName } from './table-name.ts'

/** Who has not answered by then is no longer there. */
const silenceMs = 30_000

/**
 * A lock is gone when its session is. So that the server notices soon when the relay's machine is gone; and the relay may
 * wait for long, whatever the database says of idle sessions.
 */
const sessionSql = `SELECT set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
  set_config('tcp_keepalives_count', '3', false), set_config('statement_timeout', '${silenceMs}', false),
  set_config('default_transaction_isolation', 'read committed', false),
  CASE WHEN current_setting('idle_session_timeout', true) IS NOT NULL
    THEN set_config('idle_session_timeout', '0', false) END,
  CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END`

/** Where rows begin that can still be there: everything up to `id` is over once no transaction before `tx` runs. */
interface FloorMark {
  readonly id: bigint
  readonly tx: bigint
}

/** How often the whole table is looked through, for rows that came back by a restore or a reset of its sequence. */
const fullLookEveryMs = 10_000

/**
 * The one connection of a relay, which holds the lock of its outbox. With the connection the lock goes, and with the lock the
 * means to read or clear anything.
 *
 * All that its statements answer is text: what becomes of numbers and truth values is for the program to say, whose pool it is.
 */
export class RelaySession {
  readonly #connection: RelayConnection
  readonly #name: TableName
  readonly #clock: Clock
  /** Id of the table. */
  readonly tableId: string
  #floor = 0n
  #mark: FloorMark | undefined
  #lookedMs: number
  #snapshot = ''
  readonly #lost = Promise.withResolvers<never>()

  private constructor(connection: RelayConnection, name: TableName, clock: Clock, id: string) {
    this.#connection = connection
    this.#name = name
    this.#clock = clock
    this.tableId = id
    this.#lookedMs = clock.monotonicMs()
    // Who does not wait for it finds out by the next statement.
    this.#lost.promise.catch(() => undefined)
    connection.on('error', this.#lost.reject)
  }

  /** @throws OutboxTableMissingError, OutboxTableNewerError, OutboxDatabaseSilentError, and what the client throws */
  static async open(pool: RelayPool, name: TableName, clock: Clock): Promise<RelaySession> {
    const connection = await pool.connect()
    // Whatever happens to the connection is found out by the next statement.
    connection.on('error', () => undefined)
    try {
      const ask = (text: string, values: unknown[]): Promise<{ readonly rows: readonly unknown[] }> =>
        answered(connection.query(text, values), clock)
      await ask(sessionSql, [])
      const id = await tableId({ query: ask }, 'outbox', name)
      return new RelaySession(connection, name, clock, id)
    } catch (error) {
      connection.release(true)
      throw error
    }
  }

  /** Which transactions {@link read} last saw (`pg_snapshot`). */
  get lastSnapshot(): string {
    return this.#snapshot
  }

  /** Rejects once the connection is gone, and with it the lock. */
  get lost(): Promise<never> {
    return this.#lost.promise
  }

  /** Takes the lock of the outbox, unless another relay has it. */
  async tryLock(): Promise<boolean> {
    // Not the kind that waits: who waits in a statement keeps the server from cleaning up.
    const text = `SELECT pg_try_advisory_lock(hashtextextended('millrace relays outbox ' || $1::text, 0))::text AS got`
    const [row] = await this.#rows<{ readonly got: string }>(text, [this.tableId])
    return row?.got === 'true'
  }

  /**
   * The first rows that wait, as committed transactions left them, at most so many and about so many bytes, but for those of some topics.
   *
   * They come in the order of their ids among those that can be seen, and a transaction that ends later adds its own. That
   * keeps the order of a key, whatever transactions overlap: what one has done after another was over has greater ids, and can
   * only be seen together with what the other did.
   */
  async read(rowsMax: number, bytesMax: number, exceptTopics: readonly string[]): Promise<readonly OutboxRow[]> {
    this.#lookAround()
    const text = `SELECT pg_current_snapshot()::text AS snapshot, r.id::text AS id, r.topic, r.key, r.message
      FROM (SELECT 1) AS one LEFT JOIN (
        SELECT id, topic, key, message FROM (
          SELECT *, sum(octet_length(message)) OVER (ORDER BY id) - octet_length(message) AS before FROM (
            SELECT id, topic, key, message FROM ${this.#name.sql}
            WHERE sent_at IS NULL AND refusal IS NULL AND id > $1::bigint AND topic <> ALL ($4::text[])
            ORDER BY id LIMIT $2::integer
          ) AS first
        ) AS sized WHERE before < $3::bigint
      ) AS r ON true ORDER BY r.id`
    const found = await this.#rows<{ readonly snapshot: string; readonly id: string | null }>(text, [
      this.#floor.toString(),
      rowsMax,
      bytesMax,
      exceptTopics,
    ])
    const rows = found.filter(({ id }) => id !== null) as unknown as readonly OutboxRow[]
    this.#snapshot = found[0]?.snapshot ?? ''
    this.#raiseFloor(BigInt(this.#snapshot.split(':')[0] ?? 0), rows)
    return rows
  }

  /** Those of some ids that are still there, in their order. */
  readAgain(ranges: readonly (readonly [from: string, to: string])[]): Promise<readonly OutboxRow[]> {
    const text = `SELECT o.id::text AS id, topic, key, message FROM ${this.#name.sql} AS o
      WHERE sent_at IS NULL AND EXISTS (
        SELECT FROM unnest($1::bigint[], $2::bigint[]) AS r (first, last) WHERE o.id BETWEEN r.first AND r.last
      ) ORDER BY o.id`
    return this.#rows(text, [ranges.map(([from]) => from), ranges.map(([, to]) => to)])
  }

  /** The message of a row; `undefined`: it is gone. */
  async message(id: string): Promise<string | undefined> {
    const text = `SELECT message FROM ${this.#name.sql} WHERE id = $1::bigint`
    const [row] = await this.#rows<{ readonly message: string }>(text, [id])
    return row?.message
  }

  /** Which transactions a statement sees now (`pg_snapshot`). */
  async snapshot(): Promise<string> {
    const [row] = await this.#rows<{ readonly snapshot: string }>('SELECT pg_current_snapshot()::text AS snapshot', [])
    return row?.snapshot ?? ''
  }

  /** Where the server's log ends, in bytes: whatever was seen before is in front of it. */
  async logEnd(): Promise<bigint> {
    const text = `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::text AS "end"`
    const [row] = await this.#rows<{ readonly end: string }>(text, [])
    return BigInt(row?.end ?? 0)
  }

  /** Deletes rows that were sent, or marks them with the time. */
  async clear(ids: readonly string[], keep: boolean): Promise<void> {
    const { sql } = this.#name
    const verb = keep ? `UPDATE ${sql} SET sent_at = now()` : `DELETE FROM ${sql}`
    const text = `WITH cleared AS (${verb} WHERE id = ANY($1::bigint[])) SELECT pg_current_xact_id()::text AS tx`
    const [row] = await this.#rows<{ readonly tx: string }>(text, [ids])
    // Whoever took an id before these rows could be seen has an older transaction than the one that clears them.
    this.#mark ??= { id: BigInt(ids.at(-1) ?? 0), tx: BigInt(row?.tx ?? 0) }
  }

  /** Sets a row aside that its topic does not take, with the reason. */
  async setAside(id: string, reason: string): Promise<void> {
    await this.#rows(`UPDATE ${this.#name.sql} SET refusal = $2::text WHERE id = $1::bigint`, [id, reason])
  }

  /** Deletes rows that were sent so long ago, some of them; tells how many. */
  async purge(keptMs: number, rowsMax: number): Promise<number> {
    const { sql } = this.#name
    const text = `WITH gone AS (
        DELETE FROM ${sql} WHERE id IN (
          SELECT id FROM ${sql} WHERE sent_at < now() - make_interval(secs => $1::double precision) LIMIT $2::integer
        ) RETURNING 1
      ) SELECT count(*)::text AS count FROM gone`
    const [row] = await this.#rows<{ readonly count: string }>(text, [keptMs / 1000, rowsMax])
    return Number(row?.count ?? 0)
  }

  /** The next reading begins with the first row, wherever it is. */
  lookFromStart(): void {
    this.#floor = 0n
    this.#mark = undefined
  }

  /** Ends the connection, and with it the lock. */
  close(): void {
    this.#connection.release(true)
  }

  /** Rows that were deleted stay in the index for a while; with a floor they are not passed over again and again. */
  #raiseFloor(oldestRunning: bigint, rows: readonly OutboxRow[]): void {
    const mark = this.#mark
    if (mark === undefined || oldestRunning < mark.tx) return
    const [first] = rows
    if (first !== undefined && BigInt(first.id) <= mark.id) return
    this.#floor = mark.id
    this.#mark = undefined
  }

  #lookAround(): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#lookedMs < fullLookEveryMs) return
    this.#lookedMs = nowMs
    this.lookFromStart()
  }

  async #rows<Row>(text: string, values: unknown[]): Promise<readonly Row[]> {
    const { rows } = await answered(this.#connection.query(text, values), this.#clock)
    return rows as readonly Row[]
  }
}

/** The answer, or an error if it does not come. */
async function answered<T>(answer: Promise<T>, clock: Clock): Promise<T> {
  const silent = Promise.withResolvers<never>()
  // The server ends a statement that takes so long; a little later nobody is there who could.
  const timer = clock.setTimer(() => silent.reject(new OutboxDatabaseSilentError(silenceMs)), silenceMs + 5_000)
  try {
    return await Promise.race([answer, silent.promise])
  } finally {
    timer.cancel()
  }
}
