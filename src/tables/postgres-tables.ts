import { createInbox, inbox, type SqlClient, type TableOptions } from '../outbox/index.ts'
import { TableChangeInvalidError, TablesNotDurableError, TablesUnavailableError } from './errors.ts'
import type { TableChange, TableDatabase } from './table-database.ts'

/** A connection of a pool as `pg` gives it. */
export interface TableConnection extends SqlClient {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[]; readonly command?: string }>
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
  /** `true`: it is ended, and does not go back into the pool. */
  release(destroy?: boolean): void
}

/** What a table view uses of a pool of the package `pg`. It takes one connection for each transaction. */
export interface TablePool<Connection extends TableConnection> {
  connect(): Promise<Connection>
}

/**
 * Classes of SQLSTATE (PostgreSQL manual, appendix A) that no change is to blame for: connections, rollbacks for others' sake
 * (serialization, deadlock), resources, an operator, the system.
 */
const passingClasses: ReadonlySet<string> = new Set(['08', '40', '53', '57', '58'])
/** A standby that took over nothing yet, and a lock that somebody else holds. */
const passingCodes: ReadonlySet<string> = new Set(['25006', '55P03'])
/** A statement that took longer than `statement_timeout` would take as long again. */
const queryCanceled = '57014'

/**
 * Tables in a PostgreSQL database of your own, for {@link tableView}. The pool stays yours: end it after the app has stopped. The
 * functions of the view get a connection of it inside a transaction that the view opens and ends. Messages that were applied
 * are noted in the table of an inbox there.
 *
 * @param options Table of the inbox. Default `public.millrace_inbox`; it is created if it is not there.
 *
 * @example
 * ```ts
 * const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
 * const revenue = tableView('revenue', { database: postgresTables(pool), … })
 * ```
 */
export function postgresTables<Connection extends TableConnection>(
  pool: TablePool<Connection>,
  options: TableOptions = {},
): TableDatabase<Connection> {
  return new PostgresTables(pool, options)
}

class PostgresTables<Connection extends TableConnection> implements TableDatabase<Connection> {
  readonly name = 'the PostgreSQL database'
  readonly #pool: TablePool<Connection>
  readonly #inbox: TableOptions

  constructor(pool: TablePool<Connection>, options: TableOptions) {
    this.#pool = pool
    this.#inbox = options
  }

  prepare(setup: readonly string[]): Promise<void> {
    return this.#inTransaction(async (client) => {
      const { rows } = await client.query(`SELECT current_setting('synchronous_commit') AS setting`)
      const { setting } = rows[0] as { readonly setting: string }
      if (setting === 'off') {
        throw new TablesNotDurableError(this.name, 'synchronous_commit = off', 'synchronous_commit to on')
      }
      await createInbox(client, this.#inbox)
      // CREATE TABLE IF NOT EXISTS of two processes at a time may fail in one of them.
      await client.query(`SELECT pg_advisory_xact_lock(hashtextextended('millrace sets tables up', 0))`)
      for (const statement of setup) await client.query(statement)
    })
  }

  transact(handler: string, changes: readonly TableChange<Connection>[]): Promise<void> {
    return this.#inTransaction(async (client) => {
      const messages = changes.map(({ message }) => message)
      const isNew = await inbox(client, this.#inbox).onceAll(handler, messages)
      for (const [index, { run }] of changes.entries()) if (isNew[index] === true) await run(client)
    })
  }

  async prune(handler: string, olderThanMs: number): Promise<boolean> {
    let count = 0
    await this.#inTransaction(async (client) => {
      count = await inbox(client, this.#inbox).prune(olderThanMs, handler)
    })
    return count > 0
  }

  async #inTransaction(work: (client: Connection) => Promise<void>): Promise<void> {
    const client = await this.#pool.connect().catch((cause: unknown) => {
      throw new TablesUnavailableError(this.name, { cause })
    })
    // What happens to a connection between two statements would end the process if nobody listened.
    const onError = (): void => undefined
    client.on('error', onError)
    let isBroken = false
    try {
      await client.query('BEGIN')
      await work(client)
      const { command } = await client.query('COMMIT')
      if (command !== undefined && command !== 'COMMIT') throw swallowed()
    } catch (error) {
      isBroken = await client.query('ROLLBACK').then(
        // A connection to a standby stays one.
        () => (error as { readonly code?: unknown } | undefined)?.code === '25006',
        () => true,
      )
      if (isBroken || isPassing(error)) throw new TablesUnavailableError(this.name, { cause: error })
      throw error
    } finally {
      client.off('error', onError)
      client.release(isBroken)
    }
  }
}

function swallowed(): TableChangeInvalidError {
  return new TableChangeInvalidError(
    'a message',
    'a statement failed, its error was caught, and PostgreSQL has rolled the transaction back',
    'Let errors of statements through, or put a SAVEPOINT before a statement that may fail.',
  )
}

function isPassing(error: unknown): boolean {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  if (typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code) || code === queryCanceled) return false
  return passingClasses.has(code.slice(0, 2)) || passingCodes.has(code)
}
