import { quoted } from '../sql/index.ts'
import { checkClient, type SqlClient } from './sql-client.ts'
import { creationSql, tableId } from './table-format.ts'
import { onlyTableName, type TableName, type TableOptions } from './table-name.ts'

/** Name of the table unless the options say something else. */
export const usualInbox = 'millrace_inbox'

/**
 * The SQL that creates the table of an inbox, one statement, for migrations of your own. Run again it changes nothing.
 *
 * @throws OptionsInvalidError
 * @example
 * ```ts
 * await writeFile('migrations/008-inbox.sql', inboxSchemaSql({ schema: 'shop' }))
 * ```
 */
export function inboxSchemaSql(options: TableOptions = {}): string {
  return schemaSql(onlyTableName('inboxSchemaSql()', options, usualInbox))
}

/**
 * Creates the table of an inbox unless it is there.
 *
 * @throws OptionsInvalidError, OutboxTableMissingError (something else has its name), OutboxTableNewerError, OutboxClientInvalidError, and what
 *   the client throws.
 */
export async function createInbox(client: SqlClient, options: TableOptions = {}): Promise<void> {
  checkClient('createInbox()', client)
  const name = onlyTableName('createInbox()', options, usualInbox)
  await client.query(schemaSql(name), [])
  await tableId(client, 'inbox', name)
}

function schemaSql(name: TableName): string {
  return creationSql('inbox', name, [
    `CREATE TABLE ${name.sql} (
  handler text COLLATE "C" NOT NULL,
  source text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  handled_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (handler, source, id)
)`,
    `CREATE INDEX ${quoted(`${name.table}_handled`)} ON ${name.sql} (handled_at)`,
  ])
}
