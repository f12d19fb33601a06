import { MillraceError } from '../kernel/index.ts'
import type { ReceivedMessage } from '../outbox/index.ts'

/** The database could not carry a transaction out, for no fault of what was to be done. It is tried again until it can. */
export class TablesUnavailableError extends MillraceError<'TABLES_UNAVAILABLE', { readonly database: string }> {
  constructor(database: string, options: { readonly cause: unknown }) {
    const reason = options.cause instanceof Error ? options.cause.message : String(options.cause)
    super(
      {
        code: 'TABLES_UNAVAILABLE',
        problem: `${database} could not carry the transaction out: ${reason}.`,
        remedy: 'Nothing is lost: it is tried again until it can. Look after the database if this goes on.',
        details: { database },
        fault: 'passing',
      },
      options,
    )
  }
}

/** The database may forget what it has acknowledged. */
export class TablesNotDurableError extends MillraceError<
  'TABLES_NOT_DURABLE',
  { readonly database: string; readonly setting: string }
> {
  constructor(database: string, setting: string, wanted: string) {
    super({
      code: 'TABLES_NOT_DURABLE',
      problem: `${database} has ${setting}: after a power failure it may have forgotten what it has acknowledged.`,
      remedy: `Set ${wanted} on the connections of the view, or its tables would miss messages that count as applied.`,
      details: { database, setting },
    })
  }
}

/** A function of a table view has not done all it does inside the transaction that it was given. */
export class TableChangeInvalidError extends MillraceError<
  'TABLE_CHANGE_INVALID',
  { readonly event: string; readonly reason: string }
> {
  /** The message whose function it was, where that is certain. */
  readonly culprit: ReceivedMessage | undefined

  constructor(culprit: ReceivedMessage | undefined, reason: string, remedy: string) {
    const event = culprit === undefined ? 'a message' : `message ${culprit.id}`
    super({
      code: 'TABLE_CHANGE_INVALID',
      problem: `What the table view did for ${event} cannot be committed: ${reason}.`,
      remedy,
      details: { event, reason },
    })
    this.culprit = culprit
  }
}

/** A function of a table view has not come to an end in time. Its transaction is rolled back, and its connection is given up. */
export class TableChangeTimeoutError extends MillraceError<
  'TABLE_CHANGE_TIMEOUT',
  { readonly event: string; readonly timeoutMs: number }
> {
  constructor(event: string, timeoutMs: number) {
    super({
      code: 'TABLE_CHANGE_TIMEOUT',
      problem: `What the table view does for ${event} was not done after ${timeoutMs} ms.`,
      remedy: 'Find out what it waits for. If it needs that long, raise the option `timeout` of the view.',
      details: { event, timeoutMs },
    })
  }
}

/** A statement of the view's own has had no answer. */
export class TablesSilentError extends MillraceError<'TABLES_SILENT', { readonly waitedMs: number }> {
  constructor(waitedMs: number) {
    super({
      code: 'TABLES_SILENT',
      problem: `The database has not answered for ${waitedMs} ms.`,
      remedy: 'Look after the connection to it, and after who holds locks there.',
      details: { waitedMs },
    })
  }
}

/** A version of a table view that names other tables than it did when it first ran. */
export class TableViewChangedError extends MillraceError<
  'TABLE_VIEW_CHANGED',
  { readonly view: string; readonly version: number }
> {
  constructor(view: string, version: number) {
    super({
      code: 'TABLE_VIEW_CHANGED',
      problem: `Version ${version} of table view "${view}" names other tables than it did when it first ran.`,
      remedy: 'Raise its version, so that they are built from the first event on; or name the tables as before.',
      details: { view, version },
    })
  }
}

/** The database does not let the readers of a table view see other tables. Nothing was changed. */
export class TableSwapRefusedError extends MillraceError<
  'TABLE_SWAP_REFUSED',
  { readonly view: string; readonly version: number; readonly reason: string }
> {
  constructor(view: string, version: number, reason: string, options?: { readonly cause: unknown }) {
    super(
      {
        code: 'TABLE_SWAP_REFUSED',
        problem: `Readers of table view "${view}" cannot be shown the tables of version ${version}: ${reason}. Nothing was changed.`,
        remedy:
          'Give each version tables of its own; or take away what stands in the way: something else of that name, what depends on the SQL view, a right that is missing.',
        details: { view, version, reason },
      },
      options,
    )
  }
}
