import { quoted } from '../sql/index.ts'
import { checkClient, type SqlClient } from './sql-client.ts'
import { creationSql, tableId } from './table-format.ts'
import { onlyTableName, type TableName, type TableOptions } from './table-name.ts'

/** Name of the table unless the options say something else. */
export const usualOutbox = 'millrace_outbox'

/**
 * The SQL that creates the table of an outbox, one statement, for migrations of your own. Run again it changes nothing.
 *
 * @throws OptionsInvalidError
 * @example
 * ```ts
 * await writeFile('migrations/007-outbox.sql', outboxSchemaSql({ schema: 'shop' }))
 * ```
 */
export function outboxSchemaSql(options: TableOptions = {}): string {
  return schemaSql(onlyTableName('outboxSchemaSql()', options, usualOutbox))
}

/**
 * Creates the table of an outbox unless it is there.
 *
 * @throws OptionsInvalidError, OutboxTableMissingError (something else has its name), OutboxTableNewerError, OutboxClientInvalidError, and what
 *   the client throws.
 */
export async function createOutbox(client: SqlClient, options: TableOptions = {}): Promise<void> {
  checkClient('createOutbox()', client)
  const name = onlyTableName('createOutbox()', options, usualOutbox)
  await client.query(schemaSql(name), [])
  await tableId(client, 'outbox', name)
}

/**
 * `id` gives the order: it is taken when the row is inserted, so of two transactions that take turns at anything, the later
 * one has the greater ids. Numbers come singly, not in blocks for each session, which would be out of order. `tx` stands before
 * it, because columns get their values in this order: whoever has an id has a transaction that the server knows of.
 *
 * Dead rows are cleared often: a relay passes over those that still stand at the front of its index.
 */
function schemaSql(name: TableName): string {
  return creationSql('outbox', name, [
    `CREATE TABLE ${name.sql} (
  tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
  id bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
  topic text NOT NULL,
  key text,
  message text NOT NULL,
  sent_at timestamptz,
  refusal text
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0)`,
    `CREATE INDEX ${quoted(`${name.table}_unsent`)} ON ${name.sql} (id) WHERE sent_at IS NULL AND refusal IS NULL`,
    `CREATE INDEX ${quoted(`${name.table}_sent`)} ON ${name.sql} (sent_at) WHERE sent_at IS NOT NULL`,
  ])
}
