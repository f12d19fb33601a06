import { systemClock } from '../kernel/index.ts'
import type { SqlClient } from '../outbox/index.ts'
import { TablesSilentError } from './errors.ts'

/** What is told of each statement that the server has carried out. */
interface Completed {
  /** Its tag, such as `INSERT 0 1` or `COMMIT` (PostgreSQL manual, section "Message Formats", CommandComplete). */
  readonly text?: string
}

/** A connection of a pool as `pg` gives it. */
export interface TableConnection extends SqlClient {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[]; readonly command?: string }>
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
  /** `true`: it is ended, and does not go back into the pool. */
  release(destroy?: boolean): void
  /**
   * What `pg` tells of its wire: it spares the view a question after each function. Without it the view asks the server
   * whether the transaction is still the one that it has begun.
   */
  readonly connection?: {
    on(event: 'commandComplete', listener: (completed: Completed) => void): unknown
    off(event: 'commandComplete', listener: (completed: Completed) => void): unknown
  }
}

/** How long a statement of the view's own may take: far longer than it does while the server is there. */
const statementMsMax = 60_000
/** `current transaction is aborted`. */
const abortedCode = '25P02'
/** `division by zero`: what the check before a commit answers with. */
const checkCode = '22012'

/** How a commit ended. `aborted`: a statement had failed. `ended`: it was not this transaction any more. */
export type Committed = 'committed' | 'aborted' | 'ended'

/** A transaction on a connection, from its beginning on. */
export class PostgresTransaction<Connection extends TableConnection> {
  readonly client: Connection
  /** Its number at the server, and that of the process that serves the connection. */
  #id = ''
  #backend = ''
  /** Whether a statement was run since it was last made sure of that may have ended it. */
  #isInDoubt = false
  readonly #onCompleted = ({ text }: Completed): void => {
    // `ROLLBACK` is also what the server answers to ROLLBACK TO SAVEPOINT.
    if (text === 'COMMIT' || text === 'ROLLBACK' || text === 'PREPARE TRANSACTION') this.#isInDoubt = true
  }

  constructor(client: Connection) {
    this.client = client
  }

  get id(): string {
    return this.#id
  }

  get backend(): string {
    return this.#backend
  }

  async begin(): Promise<void> {
    // As text: what becomes of numbers is for the program to say, whose pool it is.
    const text = 'BEGIN; SELECT txid_current()::text AS id, pg_backend_pid()::text AS backend'
    const { rows } = lastOf(await inTime(this.client.query(text)))
    const { id, backend } = rows[0] as { readonly id: string; readonly backend: string }
    this.#id = id
    this.#backend = backend
    this.client.connection?.on('commandComplete', this.#onCompleted)
  }

  /** Whether it is over, though nobody has ended it here. Costs a question only where something may have ended it. */
  async isOver(): Promise<boolean> {
    if (!this.#isInDoubt && this.client.connection !== undefined) return false
    this.#isInDoubt = false
    try {
      const { rows } = await inTime(this.client.query('SELECT txid_current_if_assigned()::text AS id'))
      return (rows[0] as { readonly id: string | null }).id !== this.#id
    } catch (error) {
      // One that has failed is not over: its commit will tell.
      if ((error as { readonly code?: unknown }).code === abortedCode) return false
      throw error
    }
  }

  /** One round trip: what was not awaited may have ended it since it was made sure of. */
  async commit(): Promise<Committed> {
    const check = `SELECT 1 / (coalesce(txid_current_if_assigned()::text, '') = '${this.#id}')::integer`
    this.unwatch()
    try {
      const { command } = lastOf(await inTime(this.client.query(`${check}; COMMIT`)))
      return command === undefined || command === 'COMMIT' ? 'committed' : 'aborted'
    } catch (error) {
      const { code } = error as { readonly code?: unknown }
      if (code === checkCode) return 'ended'
      if (code === abortedCode) return 'aborted'
      throw error
    }
  }

  /** Takes back what is not committed. `broken`: the connection cannot do it. */
  async rollback(): Promise<'done' | 'broken'> {
    this.unwatch()
    return inTime(this.client.query('ROLLBACK')).then(
      () => 'done',
      () => 'broken',
    )
  }

  /** Listens no longer. */
  unwatch(): void {
    this.client.connection?.off('commandComplete', this.#onCompleted)
  }
}

/** What a statement answers, unless it takes far too long: a connection may be dead without anybody being told. */
export async function inTime<Answer>(answer: Promise<Answer>, msMax: number = statementMsMax): Promise<Answer> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = systemClock.setTimer(() => reject(new TablesSilentError(msMax)), msMax, { unref: true })
  try {
    return await Promise.race([answer, late])
  } finally {
    timer.cancel()
  }
}

/** Of several statements in one text `pg` answers a list. */
function lastOf<Answer>(answer: Answer): Answer {
  return Array.isArray(answer) ? (answer.at(-1) as Answer) : answer
}
