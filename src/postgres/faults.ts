import { InvariantError, MillraceError } from '../kernel/index.ts'
import { sqlStateOf } from '../sql/index.ts'
import {
  PostgresAccessRefusedError,
  PostgresDatabaseMissingError,
  PostgresDiskFullError,
  PostgresFailedError,
  PostgresReadOnlyError,
  PostgresStatementCancelledError,
  PostgresStatementTimedOutError,
  PostgresStrainedError,
  PostgresTlsError,
} from './errors.ts'

/** What the sentences of errors need to know. */
export interface FaultPlace {
  /** Host, port and database, without secrets. */
  readonly place: string
  readonly statementTimeoutMs: number
}

/** Codes of the server (PostgreSQL manual, appendix A) after which the same thing may go well a little later. */
const transientStates: ReadonlySet<string> = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '53300', // too_many_connections
  '55P03', // lock_not_available
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '57P05', // idle_session_timeout
  '25P03', // idle_in_transaction_session_timeout
])

/** Codes of the server that say that it is in need, whatever it was asked: what it could not do left no trace. */
const strainedStates = /^(53|58000|58030)/

/** Codes of `node:tls` and OpenSSL for a certificate that does not do, or a partner that does not speak TLS. */
const tlsCodes = /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH|EPROTO)/
/** What the client says in words only. */
const tlsWords = /does not support SSL|establishing an SSL connection/

/** Whether no connection with TLS came about: no waiting helps against that before anything else was right. */
export function isTlsRefused(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return tlsCodes.test(String((error as { readonly code?: unknown }).code)) || tlsWords.test(error.message)
}

/**
 * Whether a fault concerns the way to the server, or something on it that passes: the statement may be tried again, on
 * another connection. An error of ours never is.
 */
export function isTransient(error: unknown): boolean {
  if (error instanceof MillraceError) return false
  const state = sqlStateOf(error)
  // What is not the server's word is the connection's: refused, reset, timed out, terminated.
  if (state === undefined) return error instanceof Error && !(error instanceof TypeError)
  return state.startsWith('08') || transientStates.has(state)
}

/** The typed error of what the server said. What is an error of ours already stays as it is. */
export function errorOf(error: unknown, { place, statementTimeoutMs }: FaultPlace): Error {
  if (error instanceof MillraceError) return error
  const cause = error instanceof Error ? error : new InvariantError('the client of PostgreSQL throws errors only')
  const state = sqlStateOf(error)
  if (isTlsRefused(error)) return new PostgresTlsError(place, { cause })
  if (state === undefined) return cause
  if (state.startsWith('28') || state === '42501') return new PostgresAccessRefusedError(place, state, { cause })
  if (state === '3D000') return new PostgresDatabaseMissingError(place, { cause })
  if (state === '25006') return new PostgresReadOnlyError(place, { cause })
  // The server has one code for both, and says which of them it was in the language that it is set to.
  if (state === '57014' && cause.message.includes('user request')) {
    return new PostgresStatementCancelledError(place, { cause })
  }
  if (state === '57014') return new PostgresStatementTimedOutError(statementTimeoutMs, { cause })
  if (state === '53100') return new PostgresDiskFullError(place, { cause })
  if (strainedStates.test(state)) return new PostgresStrainedError(place, state, { cause })
  return new PostgresFailedError(place, state, { cause })
}
