import { OutboxTableMissingError, OutboxTableNewerError } from './errors.ts'
import { literal, type SqlClient } from './sql-client.ts'
import type { TableName } from './table-name.ts'

/** What a table is for. */
export type TableKind = 'outbox' | 'inbox'

/** Newest format of both kinds of table. */
const formatVersion = 1

/** What the comment of a table says: its kind, its format, and an id that no other table has. */
const commentPattern = /^millrace (outbox|inbox), format (\d{1,9}), id ([0-9a-f-]{36})$/

/**
 * SQL that creates a table of ours unless it is there, and gives it its comment: format and an id of its own. The text is one
 * statement, so it is real as a whole or not at all, and two that run at a time do not meet.
 */
export function creationSql(kind: TableKind, { shown, sql }: TableName, statements: readonly string[]): string {
  const body = `BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(${literal(`millrace creates ${shown}`)}, 0));
  IF to_regclass(${literal(sql)}) IS NULL THEN
${statements.map((statement) => `    ${statement};`).join('\n')}
    EXECUTE format('COMMENT ON TABLE %s IS %L', ${literal(sql)},
      'millrace ${kind}, format ${formatVersion}, id ' || gen_random_uuid());
  END IF;
END`
  return `DO LANGUAGE plpgsql ${literal(body)}`
}

/**
 * The id of a table, if it is one of this kind and of a format that is known.
 * @throws OutboxTableMissingError, OutboxTableNewerError
 */
export async function tableId(client: SqlClient, kind: TableKind, name: TableName): Promise<string> {
  const text = `SELECT obj_description(to_regclass($1::text), 'pg_class') AS comment`
  const { rows } = await client.query(text, [name.sql])
  const comment = (rows[0] as { readonly comment?: unknown } | undefined)?.comment
  const match = commentPattern.exec(typeof comment === 'string' ? comment : '')
  if (match === null || match[1] !== kind) throw new OutboxTableMissingError(name.shown, kind)
  const version = Number(match[2])
  if (version > formatVersion) throw new OutboxTableNewerError(name.shown, version, formatVersion)
  return match[3] as string
}
