import type { ReceivedMessage } from '../outbox/index.ts'
import type { TableVersion, TableVersions } from './table-versions.ts'

/** What a function of a table view is told besides. */
export interface TableChangeContext {
  /** Aborts when it has taken too long, and when the app stops and has waited long enough: its client is of no use any more. */
  readonly signal: AbortSignal
}

/** What one message makes of the tables. */
export interface TableChange<Client> {
  readonly message: ReceivedMessage
  /**
   * Runs its statements; throws when the message cannot be applied. When it throws TableChangeTimeoutError it is still running:
   * see to it that nothing comes of what it goes on to do with its client.
   */
  readonly run: (client: Client) => unknown
}

/**
 * A database with tables of the user's own, as a table view works with it. {@link postgresTables} and {@link sqliteTables} make
 * one; for another database, write your own.
 */
export interface TableDatabase<Client> {
  /** For errors: which database. */
  readonly name: string
  /**
   * Makes it ready, once before the first change: its inbox is there afterwards, the statements have been run, and it knows of the
   * version, where there is one: readers are shown the first one of a view.
   *
   * @throws whatever stands in the way: it is tried again until it does not
   */
  readonly prepare: (setup: readonly string[], version?: TableVersion) => Promise<void>
  /**
   * Runs all changes in their order in one transaction, in which the inbox notes their messages; of a message that was noted
   * before, nothing is run. All of it is durable when this resolves, and none of it is real when it throws, but for one case:
   * when it cannot tell, it throws TablesUnavailableError.
   *
   * @throws TablesUnavailableError `TABLES_UNAVAILABLE`: no fault of the changes; what a change throws
   */
  readonly transact: (handler: string, changes: readonly TableChange<Client>[]) => Promise<void>
  /** Forgets some of the messages that a handler noted so long ago, in milliseconds; answers whether there may be more. */
  readonly prune: (handler: string, olderThanMs: number) => Promise<boolean>
  /** Versions of views that stand side by side. Without it views of this database cannot have the option `tables`. */
  readonly versions?: TableVersions
  /** For tests: without it views of this database cannot be specified. */
  readonly rehearse?: (rehearsal: TableRehearsal<Client>) => Promise<readonly Readonly<Record<string, unknown>>[]>
}

/** What a test does in a transaction that is rolled back: nothing of it is left. */
export interface TableRehearsal<Client> {
  readonly setup: readonly string[]
  /** Tables by the names of the SQL views that show them. */
  readonly tables: TableVersion['tables']
  /** What the events do, in their order. */
  readonly changes: readonly TableChange<Client>[]
  /** What is asked afterwards. */
  readonly query: string
}
