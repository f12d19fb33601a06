import { type Clock, ClosedError, type Random } from '../kernel/index.ts'
import { newClient } from '../sql/index.ts'
import { EngineWaits } from '../telemetry/index.ts'
import { Backoff } from './backoff.ts'
import {
  PostgresEncodingError,
  PostgresPasswordError,
  PostgresReadOnlyError,
  PostgresTooOldError,
  PostgresUnreachableError,
} from './errors.ts'
import { errorOf, type FaultPlace, isTlsRefused, isTransient } from './faults.ts'
import type { PostgresConnectionSettings, ResolvedPostgresOptions } from './options.ts'
import type { PgConnection, PgModule, PgPool } from './pg-client.ts'
import type { Row } from './statements.ts'
import { valueParsers } from './value-parsers.ts'

/** Multiranges, in which progress is kept, came with this version. */
const versionMin = 14

/** Beyond the server's own time limit for a statement, in milliseconds: who has not answered by then is no longer there. */
const silenceMs = 10_000

/** One try to connect takes at most this long, in milliseconds. */
const connectTryMs = 10_000

/** Connections to one server, made as the options say. */
export class Server implements FaultPlace {
  readonly options: ResolvedPostgresOptions
  /** Host, port and database, without secrets. */
  readonly place: string
  readonly clock: Clock
  readonly random: Random
  readonly #pg: PgModule
  readonly #types: object
  readonly #end = new AbortController()
  /** Those who wait for an answer: one promise for all of them would keep what each was told. */
  readonly #waiting = new Set<(reason: Error) => void>()
  readonly #waits: EngineWaits
  #isCut = false

  constructor(pg: PgModule, options: ResolvedPostgresOptions, clock: Clock, random: Random) {
    this.#pg = pg
    this.#types = valueParsers(pg)
    this.options = options
    this.clock = clock
    this.random = random
    this.place = placeOf(options)
    this.#waits = new EngineWaits('postgres', clock)
  }

  get statementTimeoutMs(): number {
    return this.options.statementTimeoutMs
  }

  /**
   * How long to wait for a free connection: one through which nothing comes any more is given up after the time of a statement and
   * of its silence, and its statement is then made again.
   */
  get connectionPatienceMs(): number {
    return 2 * this.options.statementTimeoutMs + silenceMs
  }

  /** Ends all tries to connect, and all waiting for the next one. */
  end(): void {
    this.#end.abort(new ClosedError('The engine'))
  }

  /** Besides, waits for nothing that is under way: whether the server does it or not, nobody will know. */
  cut(): void {
    this.end()
    this.#isCut = true
    for (const reject of this.#waiting) reject(new ClosedError('The engine'))
  }

  get isEnded(): boolean {
    return this.#end.signal.aborted
  }

  /** A connection of its own, checked to be one that writes. Errors come as the client has them. */
  async connect(): Promise<PgConnection> {
    const client = newClient(() => new this.#pg.Client(this.#settings()), 'postgres()')
    // A connection that is cut while nothing runs on it is found out by the next statement.
    client.on('error', () => undefined)
    try {
      await client.connect()
      this.#check(await prepareSession(client))
      this.#end.signal.throwIfAborted()
    } catch (error) {
      // Not waited for: nobody may be there any more to say that it has ended.
      client.end().catch(() => undefined)
      throw error
    }
    return client
  }

  /** A pool of at most `max` connections. */
  pool(max: number): PgPool {
    const pool = new this.#pg.Pool({
      ...this.#settings(),
      max,
      // Nobody has to close an engine for the program to end.
      allowExitOnIdle: true,
      idleTimeoutMillis: 30_000,
      onConnect: (client: PgConnection) => {
        // Also while it is in use: the statement that runs on it ends with an error of its own.
        client.on('error', () => undefined)
        return prepareSession(client)
      },
    })
    pool.on('error', () => undefined)
    return pool
  }

  /**
   * Does something again and again while the way to the server is cut, or the server says that it will be there soon, until
   * it succeeds or `timeoutMs` have passed (`null`: never).
   * @throws PostgresUnreachableError; what the server says no to for good comes as a typed error at once
   */
  async persist<T>(
    work: () => Promise<T>,
    timeoutMs: number | null,
    isRetried: (error: unknown) => boolean,
  ): Promise<T> {
    const startMs = this.clock.monotonicMs()
    const backoff = new Backoff(this.random)
    for (;;) {
      this.#end.signal.throwIfAborted()
      try {
        return await this.#unlessCut(work)
      } catch (error) {
        this.#end.signal.throwIfAborted()
        if (!isRetried(error)) throw errorOf(error, this)
        const waitedMs = this.clock.monotonicMs() - startMs
        const delayMs = backoff.nextDelayMs()
        if (timeoutMs !== null && waitedMs + delayMs > timeoutMs) {
          throw new PostgresUnreachableError(this.place, waitedMs, { cause: error as Error })
        }
        this.#waits.note(errorOf(error, this), waitedMs)
        await this.pause(delayMs)
      }
    }
  }

  #unlessCut<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isCut) return Promise.reject(new ClosedError('The engine'))
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject)
      work()
        .then(resolve, reject)
        .finally(() => this.#waiting.delete(reject))
    })
  }

  /** Waits; {@link Server.end} ends it at once. */
  async pause(delayMs: number): Promise<void> {
    const { signal } = this.#end
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = this.clock.setTimer(done, delayMs)
      signal.addEventListener('abort', done, { once: true })
      if (signal.aborted) done()
    })
  }

  #settings(): Record<string, unknown> {
    const { connection, applicationName, statementTimeoutMs } = this.options
    return {
      ...(typeof connection === 'string' ? { connectionString: connection } : this.#told(connection)),
      application_name: applicationName,
      statement_timeout: statementTimeoutMs,
      types: this.#types,
      query_timeout: statementTimeoutMs + silenceMs,
      connectionTimeoutMillis: connectTryMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    }
  }

  /** Says what is the matter if a function that is to give the password does not. */
  #told(connection: PostgresConnectionSettings): PostgresConnectionSettings {
    const { password } = connection
    if (typeof password !== 'function') return connection
    const told = async (): Promise<string> => {
      let given: unknown
      try {
        given = await password()
      } catch (cause) {
        throw new PostgresPasswordError(this.place, cause instanceof Error ? cause.message : String(cause), { cause })
      }
      if (typeof given !== 'string') throw new PostgresPasswordError(this.place, `it answered with ${typeof given}`)
      return given
    }
    return { ...connection, password: told }
  }

  #check(session: Row): void {
    if (Number(session['version']) < versionMin * 10_000)
      throw new PostgresTooOldError(String(session['name']), versionMin)
    const encoding = String(session['encoding'])
    if (encoding !== 'UTF8') throw new PostgresEncodingError(this.place, encoding)
    if (session['is_read_only'] === true) throw new PostgresReadOnlyError(this.place)
  }
}

/** While the engine is opened, somebody looks: what is set up wrongly is told at once. */
export function isTransientAtOpen(error: unknown): boolean {
  return isTransient(error) && !isTlsRefused(error)
}

/**
 * While the engine is open, a server that takes no writes may be one that is about to be made the primary, and who gives the password
 * may be away for a while, as the server may.
 */
export function isTransientWhileOpen(error: unknown): boolean {
  return isTransient(error) || error instanceof PostgresReadOnlyError || error instanceof PostgresPasswordError
}

/**
 * What holds for each connection, whatever the database sets by itself: statements see what was committed before each of
 * them, and an acknowledged commit is on the disk. Stronger settings, such as waiting for replicas, are left as they are. Tells
 * what kind of server it is: one round trip for all that a new connection needs.
 */
async function prepareSession(client: PgConnection): Promise<Row> {
  const { rows } = await client.query({
    text: `SELECT set_config('default_transaction_isolation', 'read committed', false), set_config('bytea_output', 'hex', false),
      CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END,
      current_setting('server_version_num')::integer AS version, current_setting('server_version') AS name,
      current_setting('server_encoding') AS encoding,
      pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS is_read_only`,
  })
  return rows[0] ?? {}
}

function placeOf({ connection }: ResolvedPostgresOptions): string {
  if (typeof connection === 'string') {
    const url = URL.parse(connection)
    return url === null ? 'the address given' : `${url.hostname || 'localhost'}:${url.port || '5432'}${url.pathname}`
  }
  const { host = 'localhost', port = 5432, database = '' } = connection
  return `${host}:${port}/${database}`
}
