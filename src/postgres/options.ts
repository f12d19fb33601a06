import type { ConnectionOptions } from 'node:tls'
import { type OptionProblem, OptionsInvalidError } from '../kernel/index.ts'
import { connectionProblems } from '../sql/index.ts'

/** Where the server is and who asks. What is left out is taken from PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD. */
export interface PostgresConnectionSettings {
  readonly host?: string
  /** 1 to 65,535. */
  readonly port?: number
  readonly database?: string
  readonly user?: string
  /** A function is asked for each connection that is made: for passwords that expire. */
  readonly password?: string | (() => string | Promise<string>)
  /** TLS: `true`, or options as `node:tls` takes them. */
  readonly ssl?: boolean | ConnectionOptions
}

/** Options of {@link postgres}. */
export interface PostgresOptions {
  /** A URL (`postgres://user:password@host:5432/database`) or the parts of one. */
  readonly connection: string | PostgresConnectionSettings
  /** The schema that holds everything of this engine, created if it is not there. 1 to 63 bytes. Default `'millrace'`. */
  readonly schema?: string
  /** Connections at most, 3 to 1,000: one that commits, one that listens, the others read. Default 10. */
  readonly poolMax?: number
  /** A statement that takes longer is ended by the server, in milliseconds, 100 to 3,600,000. Default 30,000. */
  readonly statementTimeoutMs?: number
  /**
   * How often is looked for what other processes committed, in milliseconds, 10 to 60,000. Notifications make it quicker, but
   * nothing depends on them. Default 200.
   */
  readonly pollMs?: number
  /** How long `open()` tries to reach the server, in milliseconds, from 0. Default 30,000. */
  readonly connectTimeoutMs?: number
  /**
   * How long an engine that was open tries to reach a server that is gone, in milliseconds; `null`: as long as it takes.
   * Commits and reads wait meanwhile. Default `null`.
   */
  readonly reconnectTimeoutMs?: number | null
  /** Name of the connections in `pg_stat_activity`. Default `'millrace'`. */
  readonly applicationName?: string
  /** Commits waiting for the server, in bytes, 64 KiB to 4 GiB; beyond it, `commit` waits. Default 67,108,864 (64 MiB). */
  readonly bufferBytesMax?: number
  /** How often retention runs by itself, and compaction where it is worth it, in milliseconds, from 100; 0: never. Default 60,000. */
  readonly maintenanceIntervalMs?: number
}

/** {@link PostgresOptions}, complete. */
export type ResolvedPostgresOptions = Required<PostgresOptions>

const mebibyte = 1024 * 1024
const schemaBytesMax = 63

/** Fills in defaults and checks everything. @throws OptionsInvalidError naming all problems */
export function resolvePostgresOptions(options: PostgresOptions): ResolvedPostgresOptions {
  if (typeof options !== 'object' || options === null) {
    throw new OptionsInvalidError('postgres()', [
      { option: 'options', problem: 'is missing: give at least a connection' },
    ])
  }
  const resolved: ResolvedPostgresOptions = {
    connection: options.connection,
    schema: options.schema ?? 'millrace',
    poolMax: options.poolMax ?? 10,
    statementTimeoutMs: options.statementTimeoutMs ?? 30_000,
    pollMs: options.pollMs ?? 200,
    connectTimeoutMs: options.connectTimeoutMs ?? 30_000,
    reconnectTimeoutMs: options.reconnectTimeoutMs ?? null,
    applicationName: options.applicationName ?? 'millrace',
    bufferBytesMax: options.bufferBytesMax ?? 64 * mebibyte,
    maintenanceIntervalMs: options.maintenanceIntervalMs ?? 60_000,
  }
  const problems: OptionProblem[] = []
  for (const option of Object.keys(options))
    if (!Object.hasOwn(resolved, option)) problems.push({ option, problem: 'is no option' })
  checkTexts(resolved, problems)
  checkNumbers(resolved, problems)
  if (problems.length > 0) throw new OptionsInvalidError('postgres()', problems)
  return resolved
}

function checkTexts({ connection, schema, applicationName }: ResolvedPostgresOptions, problems: OptionProblem[]): void {
  const isUrl = typeof connection === 'string' && /^postgres(ql)?:\/\//.test(connection)
  if (!isUrl && (typeof connection !== 'object' || connection === null)) {
    problems.push({ option: 'connection', problem: 'is neither a URL that begins with postgres:// nor an object' })
  }
  if (typeof connection === 'object' && connection !== null) problems.push(...connectionProblems(connection, 'refused'))
  const isName = typeof schema === 'string' && schema.isWellFormed() && !schema.includes('\0')
  if (!isName || schema === '' || Buffer.byteLength(schema) > schemaBytesMax) {
    problems.push({ option: 'schema', problem: `is no name of 1 to ${schemaBytesMax} bytes` })
  } else if (schema.startsWith('pg_') || schema === 'information_schema' || schema === 'public') {
    problems.push({ option: 'schema', problem: 'is not for Millrace alone' })
  }
  if (typeof applicationName !== 'string' || !/^[\x20-\x7e]{1,63}$/.test(applicationName)) {
    problems.push({ option: 'applicationName', problem: 'is no text of 1 to 63 ASCII characters' })
  }
}

function checkNumbers(resolved: ResolvedPostgresOptions, problems: OptionProblem[]): void {
  const integer = (option: keyof ResolvedPostgresOptions, min: number, max: number): void => {
    const value = resolved[option]
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return
    const shown = typeof value === 'number' ? String(value) : `a ${typeof value}`
    problems.push({ option, problem: `is ${shown}, not a whole number from ${min} to ${max}` })
  }
  integer('poolMax', 3, 1000)
  integer('statementTimeoutMs', 100, 3_600_000)
  integer('pollMs', 10, 60_000)
  integer('connectTimeoutMs', 0, 2 ** 31)
  if (resolved.reconnectTimeoutMs !== null) integer('reconnectTimeoutMs', 0, Number.MAX_SAFE_INTEGER)
  integer('bufferBytesMax', 64 * 1024, 4096 * mebibyte)
  if (resolved.maintenanceIntervalMs !== 0) integer('maintenanceIntervalMs', 100, 2 ** 31)
}
