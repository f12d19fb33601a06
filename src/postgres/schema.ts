import { quoted } from '../sql/index.ts'
import { commitFunctionSql } from './commit-function-sql.ts'
import {
  PostgresSchemaForeignError,
  PostgresSchemaMissingError,
  PostgresSchemaNewerError,
  PostgresSchemaOlderError,
} from './errors.ts'
import { eventQuerySql } from './event-query-sql.ts'
import type { PgConnection } from './pg-client.ts'
import { tablesVersion1, tablesVersion4 } from './schema-tables.ts'

/**
 * Steps that lead from one format version to the next: `migrations[n]` makes version n+1 out of version n, in the schema
 * that it is given as a quoted identifier. Version 0 is an empty schema.
 */
export type Migration = (schema: string) => string

/** Whatever the version, the functions are those of this program. */
const functionsSql = (schema: string): string => `${commitFunctionSql(schema)}\n${eventQuerySql(schema)}`

/** Every migration there is, oldest first. */
export const migrations: readonly Migration[] = [
  (schema) => `${tablesVersion1(schema)}\n${functionsSql(schema)}`,
  // A stream that was deleted says at which version; of those that were deleted before nobody knows.
  (schema) =>
    `ALTER TABLE ${schema}.stream ADD COLUMN IF NOT EXISTS deleted_at bigint NOT NULL DEFAULT 0;\n${functionsSql(schema)}`,
  // Appends that refuse what stands there already.
  functionsSql,
  // Statements whose second run, after a cut connection, knows that the first one was done.
  (schema) => `${tablesVersion4(schema)}\n${functionsSql(schema)}`,
]

/**
 * Brings the schema to the newest format, or creates it: in one transaction, one process at a time.
 *
 * @param steps For tests of the mechanism.
 * @throws PostgresSchemaNewerError, PostgresSchemaForeignError; what the server says comes as it is
 */
export async function migrate(
  client: PgConnection,
  schema: string,
  steps: readonly Migration[] = migrations,
): Promise<void> {
  if ((await versionOf(client, schema, steps.length)) === steps.length) return
  await client.query({ text: 'BEGIN ISOLATION LEVEL READ COMMITTED' })
  try {
    // Any number that other programs are unlikely to lock; it goes with the transaction.
    const text = `SELECT pg_advisory_xact_lock(hashtextextended('millrace migrates ' || $1, 0))`
    await client.query({ text, values: [schema] })
    const version = await versionOf(client, schema, steps.length)
    // Who owns an empty schema need not have the right to create one, which IF NOT EXISTS asks for all the same.
    if (version < 0 && !(await isThere(client, schema))) {
      await client.query({ text: `CREATE SCHEMA ${quoted(schema)}` })
    }
    for (const step of steps.slice(Math.max(version, 0))) await client.query({ text: step(quoted(schema)) })
    await client.query({ text: `UPDATE ${quoted(schema)}.meta SET format_version = ${steps.length}` })
    await client.query({ text: 'COMMIT' })
  } catch (error) {
    // Of a connection that was cut nothing has to be taken back.
    await client.query({ text: 'ROLLBACK' }).catch(() => undefined)
    throw error
  }
}

/**
 * Leaves the schema as it is, for those who only look: another version of the program may be at work there.
 *
 * @throws PostgresSchemaMissingError, PostgresSchemaOlderError, PostgresSchemaNewerError, PostgresSchemaForeignError; what the server says comes as it is
 */
export async function requireNewest(client: PgConnection, schema: string): Promise<void> {
  const newest = migrations.length
  const version = await versionOf(client, schema, newest)
  if (version < 0) throw new PostgresSchemaMissingError(schema)
  if (version < newest) throw new PostgresSchemaOlderError(schema, version, newest)
}

async function isThere(client: PgConnection, schema: string): Promise<boolean> {
  const { rows } = await client.query({ text: 'SELECT 1 FROM pg_namespace WHERE nspname = $1', values: [schema] })
  return rows.length > 0
}

/** Format version of the schema; -1: it is empty or is not there. */
async function versionOf(client: PgConnection, schema: string, newest: number): Promise<number> {
  const text = `SELECT relname = 'meta' AS is_meta FROM pg_class
    WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)`
  const { rows } = await client.query({ text, values: [schema] })
  if (rows.length === 0) return -1
  if (!rows.some((row) => row['is_meta'] === true)) throw new PostgresSchemaForeignError(schema)
  const found = await client.query({
    text: `SELECT to_jsonb(meta)->'format_version' AS version FROM ${quoted(schema)}.meta`,
  })
  const version = found.rows[0]?.['version']
  if (typeof version !== 'number') throw new PostgresSchemaForeignError(schema)
  if (version > newest) throw new PostgresSchemaNewerError(schema, version, newest)
  return version
}
