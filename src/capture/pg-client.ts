import { clientSettings, loadPg, newClient } from '../sql/index.ts'
import { CaptureClientMissingError } from './errors.ts'

/** How to reach the database: a URL, or the settings of a `Client` of the package `pg`. */
export type CaptureConnection = string | Readonly<Record<string, unknown>>

/** A row as the server wrote it: no value is turned into anything. */
export type TextRow = Readonly<Record<string, string | null>>

/** What lies below a client of `pg`: the protocol's messages one by one. */
export interface PgWire {
  on(event: 'replicationStart', listener: () => void): unknown
  on(event: 'copyData', listener: (message: { readonly chunk: Buffer }) => void): unknown
  sendCopyFromChunk(bytes: Buffer): void
  readonly stream: { pause(): unknown; resume(): unknown; destroy(): unknown }
}

/** What capturing uses of a client of `pg`. */
export interface PgClient {
  readonly connection: PgWire
  connect(): Promise<unknown>
  query(text: string, values?: readonly unknown[]): Promise<{ readonly rows: readonly TextRow[] }>
  end(): Promise<void>
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'end', listener: () => void): unknown
}

interface PgModule {
  readonly Client: new (settings: Record<string, unknown>) => PgClient
}

/** One try to connect takes at most this long, in milliseconds. */
const connectTryMs = 10_000

/** A statement without an answer for so long is given up, and its connection with it. */
const silenceMs = 90_000

/** So that values read by a statement are written like those in the stream, whatever the database sets by itself. */
const sessionSql = `SELECT set_config('datestyle', 'ISO, YMD', false), set_config('intervalstyle', 'iso_8601', false),
  set_config('timezone', 'UTC', false), set_config('bytea_output', 'hex', false), set_config('extra_float_digits', '1', false),
  set_config('client_encoding', 'UTF8', false), set_config('idle_session_timeout', '0', false),
  set_config('search_path', 'pg_catalog', false),
  set_config('standard_conforming_strings', 'on', false), set_config('row_security', 'off', false)`

/**
 * Opens a connection: for statements that answer soon; for a stream, which is a statement that does not end; or to set up a slot,
 * which waits for all transactions that run.
 * @throws CaptureClientMissingError, and what the client throws
 */
export async function connectClient(
  connection: CaptureConnection,
  use: 'statements' | 'stream' | 'set-up',
): Promise<PgClient> {
  const { Client } = await loadPg<PgModule>((options) => new CaptureClientMissingError(options))
  const settings = {
    ...clientSettings(connection, 'a capture'),
    fallback_application_name: 'millrace capture',
    ...(use === 'stream' && { replication: 'database' }),
    ...(use === 'statements' && { query_timeout: silenceMs }),
    connectionTimeoutMillis: connectTryMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    // Values as the server writes them, whatever the program has `pg` make of them.
    binary: false,
    types: { getTypeParser: () => (value: unknown) => value },
  }
  const client = newClient(() => new Client(settings), 'a capture')
  // A connection that is cut while nothing runs on it is found out by what is done next.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query(sessionSql)
  } catch (error) {
    abandon(client)
    throw error
  }
  return client
}

/** Ends a connection without waiting: nobody may be there any more to say that it has ended. */
export function abandon(client: PgClient): void {
  client.end().catch(() => undefined)
}

/** A text as SQL and the replication commands take it (PostgreSQL manual, section 4.1.2.1). */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
