import { MillraceError, OptionsInvalidError } from '../kernel/index.ts'
import { createInbox, inbox, type ReceivedMessage, type TableOptions } from '../outbox/index.ts'
import { listenToPool, sqlStateOf } from '../sql/index.ts'
import {
  TableChangeInvalidError,
  TableChangeTimeoutError,
  TablesNotDurableError,
  TablesSilentError,
  TablesUnavailableError,
} from './errors.ts'
import { inTime, PostgresTransaction, type TableConnection } from './postgres-transaction.ts'
import { createSql, PostgresVersions, setUpLock } from './postgres-versions.ts'
import type { TableChange, TableDatabase, TableRehearsal } from './table-database.ts'
import { type TableVersion, tableSql } from './table-versions.ts'

export type { TableConnection } from './postgres-transaction.ts'

/** What a table view uses of a pool of the package `pg`. It takes one connection for each transaction. */
export interface TablePool<Connection extends TableConnection> {
  connect(): Promise<Connection>
  /** Where errors of connections that nobody uses are told: without a listener they would end the process. */
  on?(event: 'error', listener: (error: Error) => void): unknown
}

/**
 * Classes of SQLSTATE (PostgreSQL manual, appendix A) that no change is to blame for: connections, rollbacks for others' sake
 * (serialization, deadlock), resources, an operator, the system.
 */
const passingClasses: ReadonlySet<string> = new Set(['08', '40', '53', '57', '58'])
/** A standby that took over nothing yet. */
const readOnlyCode = '25006'
/** That, and a lock that somebody else holds. */
const passingCodes: ReadonlySet<string> = new Set([readOnlyCode, '55P03'])
/** Class of what is wrong with values: an id with characters that the encoding of the database does not have. */
const dataClass = '22'
/** A statement of a function that took longer than `statement_timeout` would take as long again. */
const queryCanceled = '57014'
/** How long a connection that is left is looked for at the server. */
const endMsMax = 10_000

/**
 * Tables in a PostgreSQL database of your own, for {@link tableView}. The pool stays yours: end it after the app has stopped. The
 * functions of the view get a connection of it inside a transaction that the view opens and ends. Messages that were applied
 * are noted in the table of an inbox there. Errors of connections that wait in the pool are listened to, so that a server that starts anew
 * does not end the process.
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
  if (typeof pool?.connect !== 'function') {
    throw new OptionsInvalidError('postgresTables()', [{ option: 'pool', problem: 'is no pool of the package pg' }])
  }
  return new PostgresTables(pool, options)
}

/** How a transaction ends. */
interface TransactionEnd<Connection extends TableConnection> {
  /** What to do when the work turns out to have ended it by itself. */
  readonly onEnded?: (transaction: PostgresTransaction<Connection>) => Promise<void>
  /** Default `'commit'`. */
  readonly end?: 'commit' | 'roll-back'
}

/** Notes of messages that were not all applied, since a function has made them real too early. */
interface WrongNotes {
  readonly handler: string
  readonly messages: readonly ReceivedMessage[]
}

class PostgresTables<Connection extends TableConnection> implements TableDatabase<Connection> {
  readonly name = 'the PostgreSQL database'
  readonly versions: PostgresVersions
  readonly #pool: TablePool<Connection>
  readonly #inbox: TableOptions
  /** What is to be put right before anything else is noted. */
  readonly #wrong: WrongNotes[] = []

  constructor(pool: TablePool<Connection>, options: TableOptions) {
    this.#pool = pool
    this.#inbox = options
    this.versions = new PostgresVersions((work) => this.#inTransaction(({ client }) => work(client)), options)
    listenToPool(pool)
  }

  prepare(setup: readonly string[], version?: TableVersion): Promise<void> {
    return this.#inTransaction(async ({ client }) => {
      const { rows } = await client.query(`SELECT current_setting('synchronous_commit') AS setting`)
      const { setting } = rows[0] as { readonly setting: string }
      if (setting === 'off') {
        throw new TablesNotDurableError(this.name, 'synchronous_commit = off', 'synchronous_commit to on')
      }
      await createInbox(client, this.#inbox)
      await client.query(setUpLock)
      for (const statement of setup) await client.query(statement)
      if (version !== undefined) await this.versions.add(client, version)
    })
  }

  rehearse({
    setup,
    tables,
    changes,
    query,
  }: TableRehearsal<Connection>): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return this.#inTransaction(
      async (transaction) => {
        const { client } = transaction
        for (const statement of setup) await client.query(statement)
        for (const [name, table] of Object.entries(tables)) {
          await client.query(`DROP VIEW IF EXISTS ${tableSql(name)}`)
          await client.query(createSql(name, table))
        }
        for (const { message, run } of changes) {
          await run(client)
          if (await transaction.isOver()) throw new TransactionEndedError(message)
        }
        const { rows } = await client.query(query)
        return rows as readonly Readonly<Record<string, unknown>>[]
      },
      { end: 'roll-back' },
    )
  }

  async transact(handler: string, changes: readonly TableChange<Connection>[]): Promise<void> {
    await this.#putRight()
    const messages = changes.map(({ message }) => message)
    /** Those whose change is not done, if the transaction turns out to be over. */
    let undone = messages
    await this.#inTransaction(
      async (transaction) => {
        const { client } = transaction
        const isNew = await this.#own(inbox(client, this.#inbox).onceAll(handler, messages))
        const fresh = changes.filter((_, index) => isNew[index])
        for (const [index, { run }] of fresh.entries()) {
          undone = fresh.slice(index).map(({ message }) => message)
          await run(client)
          if (await transaction.isOver()) throw new TransactionEndedError(undone[0])
        }
      },
      { onEnded: (transaction) => this.#onEnded(transaction, { handler, messages: undone }) },
    )
  }

  /** What a statement of the view's own answers. What the server says to it is no change to blame for, but for what an id holds. */
  async #own<Answer>(answer: Promise<Answer>): Promise<Answer> {
    try {
      return await inTime(answer)
    } catch (cause) {
      const isOfMessage = cause instanceof MillraceError || sqlStateOf(cause)?.startsWith(dataClass) === true
      throw isOfMessage ? cause : new TablesUnavailableError(this.name, { cause })
    }
  }

  async prune(handler: string, olderThanMs: number): Promise<boolean> {
    let count = 0
    await this.#inTransaction(async ({ client }) => {
      count = await inTime(inbox(client, this.#inbox).prune(olderThanMs, handler))
    })
    return count > 0
  }

  async #inTransaction<Result>(
    work: (transaction: PostgresTransaction<Connection>) => Promise<Result>,
    { onEnded, end = 'commit' }: TransactionEnd<Connection> = {},
  ): Promise<Result> {
    const client = await this.#connect()
    // What happens to a connection between two statements would end the process if nobody listened.
    const onError = (): void => undefined
    client.on('error', onError)
    const transaction = new PostgresTransaction(client)
    let isBroken = false
    let isStuck = false
    try {
      await this.#own(transaction.begin())
      const result = await work(transaction)
      if (end === 'roll-back') {
        isBroken = (await transaction.rollback()) === 'broken'
        return result
      }
      const outcome = await transaction.commit()
      if (outcome === 'aborted') throw swallowed()
      if (outcome === 'ended') throw new TransactionEndedError()
      return result
    } catch (error) {
      isStuck = error instanceof TableChangeTimeoutError || error instanceof TablesSilentError
      // A connection to a standby stays one.
      isBroken = isStuck || (await transaction.rollback()) === 'broken' || codeOf(causeOf(error)) === readOnlyCode
      if (!isBroken && error instanceof TransactionEndedError) await onEnded?.(transaction)
      const isBlameless = (isBroken && !(error instanceof TableChangeTimeoutError)) || isPassing(error)
      throw isBlameless ? new TablesUnavailableError(this.name, { cause: error }) : error
    } finally {
      transaction.unwatch()
      client.off('error', onError)
      client.release(isBroken)
      if (isStuck) await this.#end(transaction)
    }
  }

  async #connect(msMax?: number): Promise<Connection> {
    const coming = this.#pool.connect()
    try {
      return await inTime(coming, msMax)
    } catch (cause) {
      coming.then(
        (late) => late.release(),
        () => undefined,
      )
      throw new TablesUnavailableError(this.name, { cause })
    }
  }

  /**
   * Ends at the server what a connection was left with: it may hold locks, and go on for as long as its statement takes.
   *
   * @throws TablesUnavailableError: if that cannot be done, it is the database that did not answer in time
   */
  async #end({ id, backend }: PostgresTransaction<Connection>): Promise<void> {
    const client = await this.#connect(endMsMax)
    let isDone = false
    try {
      // By its number too, lest another session be met that has its process by now.
      const text = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE pid = $1::integer AND backend_xid::text = (nullif($2::text, '')::bigint % 4294967296)::text`
      await inTime(client.query(text, [backend, id]), endMsMax)
      isDone = true
    } catch (cause) {
      throw new TablesUnavailableError(this.name, { cause })
    } finally {
      client.release(!isDone)
    }
  }

  /** A function has made the notes of all its batch real: those whose changes are not done are taken back. */
  async #onEnded({ client, id }: PostgresTransaction<Connection>, wrong: WrongNotes): Promise<void> {
    this.#wrong.push(wrong)
    const text = 'SELECT txid_status($1::bigint) AS status'
    const { rows } = await inTime(client.query(text, [id])).catch((cause: unknown) => {
      throw new TablesUnavailableError(this.name, { cause })
    })
    // Of one that was rolled back no note is left, and by now somebody else may have made one.
    if ((rows[0] as { readonly status: string | null }).status === 'aborted') this.#wrong.pop()
    else await this.#putRight(client)
  }

  async #putRight(given?: Connection): Promise<void> {
    if (this.#wrong.length === 0) return
    const client = given ?? (await this.#connect())
    try {
      for (let wrong = this.#wrong[0]; wrong !== undefined; wrong = this.#wrong[0]) {
        await inTime(inbox(client, this.#inbox).forget(wrong.handler, wrong.messages))
        this.#wrong.shift()
      }
    } catch (cause) {
      throw new TablesUnavailableError(this.name, { cause })
    } finally {
      if (given === undefined) client.release(this.#wrong.length > 0)
    }
  }
}

/** The transaction was not there any more when it was to be committed, or after one of its changes. */
class TransactionEndedError extends TableChangeInvalidError {
  constructor(message?: ReceivedMessage) {
    super(
      message,
      'its function has ended the transaction',
      'Leave BEGIN, COMMIT and ROLLBACK to the view. What this message did may be real, and will be done again.',
    )
  }
}

function swallowed(): TableChangeInvalidError {
  return new TableChangeInvalidError(
    undefined,
    'a statement failed, its error was caught, and PostgreSQL has rolled the transaction back',
    'Let errors of statements through, or put a SAVEPOINT before a statement that may fail.',
  )
}

function causeOf(error: unknown): unknown {
  return error instanceof TablesUnavailableError ? error.cause : error
}

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown } | null | undefined)?.code
}

function isPassing(error: unknown): boolean {
  const code = codeOf(error)
  if (typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code) || code === queryCanceled) return false
  return passingClasses.has(code.slice(0, 2)) || passingCodes.has(code)
}
