import { MillraceError } from '../kernel/index.ts'

/** The package `pg` is not installed. */
export class PostgresClientMissingError extends MillraceError<'POSTGRES_CLIENT_MISSING'> {
  constructor(options?: ErrorOptions) {
    super(
      {
        code: 'POSTGRES_CLIENT_MISSING',
        problem: 'The package "pg", through which Millrace speaks to PostgreSQL, cannot be loaded.',
        remedy: 'Install it beside millrace: npm install pg',
        details: {},
      },
      options,
    )
  }
}

/** Nobody answered at the server's address for as long as the options allow. */
export class PostgresUnreachableError extends MillraceError<
  'POSTGRES_UNREACHABLE',
  { readonly place: string; readonly waitedMs: number }
> {
  constructor(place: string, waitedMs: number, options: { readonly cause: Error }) {
    super(
      {
        code: 'POSTGRES_UNREACHABLE',
        problem: `PostgreSQL at ${place} could not be reached for ${Math.round(waitedMs)} ms: ${options.cause.message}.`,
        remedy: 'Check that the server runs and that host and port are right, or allow more time.',
        details: { place, waitedMs },
        fault: 'lasting',
      },
      options,
    )
  }
}

/** No connection with TLS came about: the server has none, or shows a certificate that does not do. */
export class PostgresTlsError extends MillraceError<'POSTGRES_TLS_REFUSED', { readonly place: string }> {
  constructor(place: string, options: { readonly cause: Error }) {
    super(
      {
        code: 'POSTGRES_TLS_REFUSED',
        problem: `No connection with TLS to PostgreSQL at ${place}: ${options.cause.message}.`,
        remedy:
          "Check the host name and the authority that signed the server's certificate (`ssl.ca`), or that the server has TLS.",
        details: { place },
      },
      options,
    )
  }
}

/** The function that is to give the password did not. */
export class PostgresPasswordError extends MillraceError<'POSTGRES_PASSWORD_MISSING', { readonly place: string }> {
  constructor(place: string, reason: string, options?: ErrorOptions) {
    super(
      {
        code: 'POSTGRES_PASSWORD_MISSING',
        problem: `The function \`password\` gave none for ${place}: ${reason}.`,
        remedy: 'Look at what it asks for the password; it has to answer with text.',
        details: { place },
      },
      options,
    )
  }
}

/** The server knows the user but refuses it, or does not know it. */
export class PostgresAccessRefusedError extends MillraceError<
  'POSTGRES_ACCESS_REFUSED',
  { readonly place: string; readonly sqlState: string }
> {
  constructor(place: string, sqlState: string, options: { readonly cause: Error }) {
    super(
      {
        code: 'POSTGRES_ACCESS_REFUSED',
        problem: `PostgreSQL at ${place} refuses access: ${options.cause.message}.`,
        remedy:
          'Check user and password, and what the user may do: it needs to create a schema, or to own the one named.',
        details: { place, sqlState },
      },
      options,
    )
  }
}

/** The database does not exist. Millrace creates schemas, not databases. */
export class PostgresDatabaseMissingError extends MillraceError<
  'POSTGRES_DATABASE_MISSING',
  { readonly place: string }
> {
  constructor(place: string, options: { readonly cause: Error }) {
    super(
      {
        code: 'POSTGRES_DATABASE_MISSING',
        problem: `There is no such database at ${place}: ${options.cause.message}.`,
        remedy: 'Create it with CREATE DATABASE, or correct its name.',
        details: { place },
      },
      options,
    )
  }
}

/** A server of a version that lacks what the engine is built on. */
export class PostgresTooOldError extends MillraceError<
  'POSTGRES_TOO_OLD',
  { readonly version: string; readonly versionMin: number }
> {
  constructor(version: string, versionMin: number) {
    super({
      code: 'POSTGRES_TOO_OLD',
      problem: `The server is PostgreSQL ${version}; the engine needs ${versionMin} or newer.`,
      remedy: 'Upgrade the server.',
      details: { version, versionMin },
    })
  }
}

/** The database keeps text in an encoding that lacks characters which messages may have. */
export class PostgresEncodingError extends MillraceError<
  'POSTGRES_ENCODING',
  { readonly place: string; readonly encoding: string }
> {
  constructor(place: string, encoding: string) {
    super({
      code: 'POSTGRES_ENCODING',
      problem: `The database at ${place} keeps text as ${encoding}, which cannot hold every character; the engine needs UTF8.`,
      remedy: "Create a database with ENCODING 'UTF8' (CREATE DATABASE … TEMPLATE template0), and connect to that one.",
      details: { place, encoding },
    })
  }
}

/** The server takes no writes: a replica, or a database that was set to read-only. */
export class PostgresReadOnlyError extends MillraceError<'POSTGRES_READ_ONLY', { readonly place: string }> {
  constructor(place: string, options?: ErrorOptions) {
    super(
      {
        code: 'POSTGRES_READ_ONLY',
        problem: `PostgreSQL at ${place} takes no writes: it is a replica, or was set to read-only.`,
        remedy: 'Connect to the primary server.',
        details: { place },
      },
      options,
    )
  }
}

/** The schema was written by a newer Millrace. */
export class PostgresSchemaNewerError extends MillraceError<
  'POSTGRES_SCHEMA_NEWER',
  { readonly schema: string; readonly schemaVersion: number; readonly supportedVersion: number }
> {
  constructor(schema: string, schemaVersion: number, supportedVersion: number) {
    super({
      code: 'POSTGRES_SCHEMA_NEWER',
      problem: `Schema "${schema}" has format version ${schemaVersion}; this Millrace knows versions up to ${supportedVersion}.`,
      remedy: 'Update Millrace, or name another schema.',
      details: { schema, schemaVersion, supportedVersion },
    })
  }
}

/** The schema is of an older Millrace, and whoever only reads does not change it. */
export class PostgresSchemaOlderError extends MillraceError<
  'POSTGRES_SCHEMA_OLDER',
  { readonly schema: string; readonly schemaVersion: number; readonly readVersion: number }
> {
  constructor(schema: string, schemaVersion: number, readVersion: number) {
    super({
      code: 'POSTGRES_SCHEMA_OLDER',
      problem: `Schema "${schema}" has format version ${schemaVersion}; this Millrace reads version ${readVersion}.`,
      remedy:
        'Use the version of Millrace that runs there. An app of this version brings the schema up to date when it starts; from then on older ones cannot use it.',
      details: { schema, schemaVersion, readVersion },
    })
  }
}

/** There is no schema, and whoever only reads makes none. */
export class PostgresSchemaMissingError extends MillraceError<'POSTGRES_SCHEMA_MISSING', { readonly schema: string }> {
  constructor(schema: string) {
    super({
      code: 'POSTGRES_SCHEMA_MISSING',
      problem: `Millrace has no schema "${schema}" in this database.`,
      remedy: 'Correct the name or the database; an app that starts, or "millrace topics create", makes a new one.',
      details: { schema },
    })
  }
}

/** The schema holds something else than Millrace's tables. */
export class PostgresSchemaForeignError extends MillraceError<'POSTGRES_SCHEMA_FOREIGN', { readonly schema: string }> {
  constructor(schema: string) {
    super({
      code: 'POSTGRES_SCHEMA_FOREIGN',
      problem: `Schema "${schema}" holds objects of another program and none of Millrace.`,
      remedy: 'Name a schema of its own, which Millrace creates; nothing was changed.',
      details: { schema },
    })
  }
}

/** A statement took longer than `statementTimeoutMs` and was taken back as a whole. */
export class PostgresStatementTimedOutError extends MillraceError<
  'POSTGRES_STATEMENT_TIMED_OUT',
  { readonly timeoutMs: number }
> {
  constructor(timeoutMs: number, options: { readonly cause: Error }) {
    super(
      {
        code: 'POSTGRES_STATEMENT_TIMED_OUT',
        problem: `PostgreSQL ended a statement that took longer than ${timeoutMs} ms. Nothing of it was written.`,
        remedy: 'Look for locks and load on the server, ask for less at once, or raise statementTimeoutMs.',
        details: { timeoutMs },
        fault: 'passing',
      },
      options,
    )
  }
}

/** Somebody on the server cancelled a statement, which was taken back as a whole. */
export class PostgresStatementCancelledError extends MillraceError<
  'POSTGRES_STATEMENT_CANCELLED',
  { readonly place: string }
> {
  constructor(place: string, options: { readonly cause: Error }) {
    super(
      {
        code: 'POSTGRES_STATEMENT_CANCELLED',
        problem: `Somebody cancelled a statement at ${place}, as pg_cancel_backend does. Nothing of it was written.`,
        remedy: 'Do it again; ask whoever looks after the server why it was cancelled.',
        details: { place },
        fault: 'passing',
      },
      options,
    )
  }
}

/** The server has not enough of something, such as memory, or could not read or write its files. What was refused left no trace. */
export class PostgresStrainedError extends MillraceError<
  'POSTGRES_STRAINED',
  { readonly place: string; readonly sqlState: string }
> {
  constructor(place: string, sqlState: string, options: { readonly cause: Error }) {
    super(
      {
        code: 'POSTGRES_STRAINED',
        problem: `PostgreSQL at ${place} cannot do it now: ${options.cause.message} (SQLSTATE ${sqlState}). Nothing of it was written.`,
        remedy: 'Look after memory, limits and disks of the server; then do it again.',
        details: { place, sqlState },
        fault: 'passing',
      },
      options,
    )
  }
}

/** The server's disk is full. What was refused left no trace. */
export class PostgresDiskFullError extends MillraceError<'POSTGRES_DISK_FULL', { readonly place: string }> {
  constructor(place: string, options: { readonly cause: Error }) {
    super(
      {
        code: 'POSTGRES_DISK_FULL',
        problem: `The disk of PostgreSQL at ${place} is full: ${options.cause.message}. Nothing of this commit was written.`,
        remedy: 'Make room on the server, or shorten the retention of topics; then commit again.',
        details: { place },
        fault: 'passing',
      },
      options,
    )
  }
}

/** Every connection of the pool was in use for too long. */
export class PostgresPoolExhaustedError extends MillraceError<
  'POSTGRES_POOL_EXHAUSTED',
  { readonly poolMax: number; readonly waitedMs: number }
> {
  constructor(poolMax: number, waitedMs: number) {
    super({
      code: 'POSTGRES_POOL_EXHAUSTED',
      problem: `None of the ${poolMax} connections was free for ${waitedMs} ms.`,
      remedy: 'Raise poolMax, or read less at the same time.',
      details: { poolMax, waitedMs },
      fault: 'passing',
    })
  }
}

/**
 * The connection was cut while a commit was under way and could not be made again in the time allowed: the commit was made,
 * or it was not.
 */
export class PostgresOutcomeUnknownError extends MillraceError<
  'POSTGRES_OUTCOME_UNKNOWN',
  { readonly place: string; readonly waitedMs: number }
> {
  constructor(place: string, waitedMs: number, options: { readonly cause: Error }) {
    super(
      {
        code: 'POSTGRES_OUTCOME_UNKNOWN',
        problem: `The connection to PostgreSQL at ${place} was cut during a commit and could not be made again for ${Math.round(waitedMs)} ms.`,
        remedy: 'Look whether the commit was made before you repeat it, or leave reconnectTimeoutMs at its default.',
        details: { place, waitedMs },
        fault: 'lasting',
      },
      options,
    )
  }
}

/** Anything else that the server said no to. */
export class PostgresFailedError extends MillraceError<
  'POSTGRES_FAILED',
  { readonly place: string; readonly sqlState: string }
> {
  constructor(place: string, sqlState: string, options: { readonly cause: Error }) {
    super(
      {
        code: 'POSTGRES_FAILED',
        problem: `PostgreSQL at ${place} reports: ${options.cause.message} (SQLSTATE ${sqlState}).`,
        remedy: 'The code is explained in appendix A of the PostgreSQL manual; the server log may say more.',
        details: { place, sqlState },
      },
      options,
    )
  }
}

/** What is stored cannot be read as what it should be. */
export class PostgresDataDamagedError extends MillraceError<
  'POSTGRES_DATA_DAMAGED',
  { readonly schema: string; readonly place: string }
> {
  constructor(schema: string, place: string, options?: ErrorOptions) {
    super(
      {
        code: 'POSTGRES_DATA_DAMAGED',
        problem: `Schema "${schema}" is damaged: ${place}.`,
        remedy: 'Restore the row from a backup; nothing was changed.',
        details: { schema, place },
      },
      options,
    )
  }
}
