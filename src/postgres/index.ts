/**
 * The PostgreSQL engine: everything in one schema of a database, shared by any number of processes. Needs the package `pg`.
 * @module
 */
import { checkOptions } from '../committing/index.ts'
import type { EngineEnvironment, EngineSource } from '../engine/index.ts'
import { systemClock, systemRandom } from '../kernel/index.ts'
import { type PostgresOptions, resolvePostgresOptions } from './options.ts'
import { capabilities, PostgresEngine } from './postgres-engine.ts'

export {
  PostgresAccessRefusedError,
  PostgresClientMissingError,
  PostgresDatabaseMissingError,
  PostgresDataDamagedError,
  PostgresDiskFullError,
  PostgresEncodingError,
  PostgresFailedError,
  PostgresOutcomeUnknownError,
  PostgresPasswordError,
  PostgresPoolExhaustedError,
  PostgresReadOnlyError,
  PostgresSchemaForeignError,
  PostgresSchemaMissingError,
  PostgresSchemaNewerError,
  PostgresSchemaOlderError,
  PostgresStatementCancelledError,
  PostgresStatementTimedOutError,
  PostgresStrainedError,
  PostgresTlsError,
  PostgresTooOldError,
  PostgresUnreachableError,
} from './errors.ts'
export type { PostgresConnectionSettings, PostgresOptions } from './options.ts'
export { PostgresEngine } from './postgres-engine.ts'

/** An {@link EngineSource} that opens a {@link PostgresEngine}. */
export interface PostgresSource extends EngineSource {
  open(environment?: Partial<EngineEnvironment>): Promise<PostgresEngine>
}

/**
 * Describes a PostgreSQL engine; `open()`, or the app that is started with it, opens it.
 *
 * @throws OptionsInvalidError at once; `open()` rejects with PostgresClientMissingError, PostgresUnreachableError,
 *   PostgresAccessRefusedError, PostgresDatabaseMissingError, PostgresReadOnlyError, PostgresTooOldError, PostgresEncodingError,
 *   PostgresSchemaNewerError, PostgresSchemaForeignError; on a visit that only reads, PostgresSchemaMissingError, PostgresSchemaOlderError.
 * @example
 * ```ts
 * await using engine = await postgres({ connection: 'postgres://shop:secret@localhost/shop' }).open()
 * await engine.topics.ensure('orders')
 * ```
 */
export function postgres(options: PostgresOptions): PostgresSource {
  const resolved = resolvePostgresOptions(options)
  return {
    name: 'postgres',
    capabilities,
    open: async (environment = {}) => {
      checkOptions('environment', environment)
      const { clock = systemClock, random = systemRandom, visit } = environment
      const own = visit === undefined ? resolved : { ...resolved, maintenanceIntervalMs: 0 }
      return PostgresEngine.open(own, { clock, random, ...(visit !== undefined && { visit }) })
    },
  }
}
