import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { isThenable, OptionsInvalidError } from '../kernel/index.ts'
import { TableChangeInvalidError, TablesNotDurableError, TablesUnavailableError } from './errors.ts'
import { SqliteVersions } from './sqlite-versions.ts'
import type { TableChange, TableDatabase, TableRehearsal } from './table-database.ts'
import { type TableVersion, tableSql } from './table-versions.ts'

/** Rows that one statement forgets at most, so that none holds anybody up for long. */
const pruneRowsMax = 10_000

const inboxSql = `
  CREATE TABLE IF NOT EXISTS millrace_inbox (
    handler TEXT NOT NULL, source TEXT NOT NULL, id TEXT NOT NULL, handled_at INTEGER NOT NULL DEFAULT (unixepoch()),
    PRIMARY KEY (handler, source, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS millrace_inbox_handled ON millrace_inbox (handled_at);
`

/** SQLite's result codes for what passes (https://www.sqlite.org/rescode.html): busy, locked, no space, I/O. */
const passingCodes: ReadonlySet<number> = new Set([5, 6, 10, 13])
/** `PRAGMA synchronous` from which a commit survives a power failure: FULL. */
const synchronousMin = 2

/**
 * Tables in an SQLite file of your own, for {@link tableView}. The connection stays yours: open it before the app starts and close
 * it after the app has stopped. The functions of the view work on it synchronously. Messages that were applied are noted in its
 * table `millrace_inbox`.
 *
 * @example
 * ```ts
 * const report = new DatabaseSync('report.db')
 * const revenue = tableView('revenue', { database: sqliteTables(report), … })
 * ```
 */
export function sqliteTables(database: DatabaseSync): TableDatabase<DatabaseSync> {
  if (typeof database?.prepare !== 'function') {
    throw new OptionsInvalidError('sqliteTables()', [
      { option: 'database', problem: 'is no DatabaseSync of node:sqlite' },
    ])
  }
  return new SqliteTables(database)
}

class SqliteTables implements TableDatabase<DatabaseSync> {
  readonly name = 'the SQLite database'
  readonly versions: SqliteVersions
  readonly #database: DatabaseSync

  constructor(database: DatabaseSync) {
    this.#database = database
    this.versions = new SqliteVersions({
      database,
      statement: (text) => this.#statement(text),
      attempt: (work) => this.#attempt(work),
      inTransaction: (work) => this.#inTransaction(work),
    })
  }

  async prepare(setup: readonly string[], version?: TableVersion): Promise<void> {
    const { synchronous } = this.#attempt(() => this.#statement('PRAGMA synchronous').get()) ?? {}
    if (Number(synchronous) < synchronousMin) {
      throw new TablesNotDurableError(this.name, `synchronous = ${String(synchronous)}`, 'PRAGMA synchronous = FULL')
    }
    this.#inTransaction(() => {
      for (const statement of [inboxSql, ...setup]) this.#database.exec(statement)
      if (version !== undefined) this.versions.add(version)
    })
  }

  async rehearse({
    setup,
    tables,
    changes,
    query,
  }: TableRehearsal<DatabaseSync>): Promise<readonly Readonly<Record<string, unknown>>[]> {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      for (const statement of setup) this.#database.exec(statement)
      for (const [name, table] of Object.entries(tables)) {
        this.#database.exec(`DROP VIEW IF EXISTS ${tableSql(name)}`)
        this.#database.exec(`CREATE VIEW ${tableSql(name)} AS SELECT * FROM ${tableSql(table)}`)
      }
      for (const change of changes) this.#change(change)
      return this.#statement(query)
        .all()
        .map((row) => ({ ...row }))
    } finally {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
    }
  }

  async transact(handler: string, changes: readonly TableChange<DatabaseSync>[]): Promise<void> {
    this.#inTransaction(() => {
      const note = this.#statement('INSERT OR IGNORE INTO millrace_inbox (handler, source, id) VALUES (?, ?, ?)')
      for (const change of changes) {
        const { source, id } = change.message
        if (note.run(handler, source, id).changes === 0) continue
        this.#change(change, () => {
          // The note may be real by now, and would make the next attempt do nothing.
          this.#database
            .prepare('DELETE FROM millrace_inbox WHERE handler = ? AND source = ? AND id = ?')
            .run(handler, source, id)
        })
      }
    })
  }

  /** @param onEnded What to do when the function has ended the transaction. */
  #change({ message, run }: TableChange<DatabaseSync>, onEnded: () => void = () => undefined): void {
    this.#database.exec('SAVEPOINT millrace_change')
    const answer = run(this.#database)
    if (isThenable(answer)) {
      Promise.resolve(answer).catch(() => undefined)
      throw new TableChangeInvalidError(
        message,
        'its function answered a promise',
        'On SQLite a function works synchronously: make it one without async.',
      )
    }
    if (this.#isStillOpen()) return
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
    onEnded()
    throw new TableChangeInvalidError(
      message,
      'its function has ended the transaction',
      'Leave BEGIN, COMMIT and ROLLBACK to the view. What this message did may be real, and will be done again.',
    )
  }

  async prune(handler: string, olderThanMs: number): Promise<boolean> {
    const remove = this.#database.prepare(
      `DELETE FROM millrace_inbox WHERE (handler, source, id) IN (
         SELECT handler, source, id FROM millrace_inbox WHERE handled_at < unixepoch() - ?1 AND handler = ?2
         LIMIT ${pruneRowsMax})`,
    )
    return Number(remove.run(olderThanMs / 1000, handler).changes) === pruneRowsMax
  }

  /** A statement that answers as it usually does, however the program has its connection answer. */
  #statement(text: string): StatementSync {
    const statement = this.#database.prepare(text)
    statement.setReadBigInts(false)
    statement.setReturnArrays(false)
    return statement
  }

  /** A transaction that was ended has no savepoint any more, whether or not another one was begun. */
  #isStillOpen(): boolean {
    if (!this.#database.isTransaction) return false
    try {
      this.#database.exec('RELEASE millrace_change')
      return true
    } catch {
      return false
    }
  }

  #inTransaction(work: () => void): void {
    this.#attempt(() => {
      try {
        this.#database.exec('BEGIN IMMEDIATE')
      } catch (cause) {
        // One that the program has begun on this connection is over when the program ends it.
        const isHeld = this.#database.isOpen && this.#database.isTransaction
        throw isHeld ? new TablesUnavailableError(this.name, { cause }) : cause
      }
    })
    try {
      work()
      this.#attempt(() => this.#database.exec('COMMIT'))
    } catch (error) {
      if (this.#database.isOpen && this.#database.isTransaction) this.#database.exec('ROLLBACK')
      if (this.#isPassing(error)) throw new TablesUnavailableError(this.name, { cause: error })
      throw error
    }
  }

  #attempt<Result>(work: () => Result): Result {
    try {
      return work()
    } catch (error) {
      if (this.#isPassing(error)) throw new TablesUnavailableError(this.name, { cause: error })
      throw error
    }
  }

  /** Where the connection is closed, nothing is at fault that is done on it. */
  #isPassing(error: unknown): boolean {
    if (error instanceof TablesUnavailableError) return false
    const { errcode } = error as { readonly errcode?: unknown }
    // The lower byte is the kind of the error; the rest says more about it.
    return !this.#database.isOpen || (typeof errcode === 'number' && passingCodes.has(errcode & 0xff))
  }
}
