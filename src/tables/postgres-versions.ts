import { ArgumentInvalidError } from '../engine/index.ts'
import type { SqlClient, TableOptions } from '../outbox/index.ts'
import { quoted, sqlStateOf } from '../sql/index.ts'
import { TableSwapRefusedError, TableViewChangedError } from './errors.ts'
import { chosenColumns, differenceIn, differenceSql, type SqlWords, type TableColumn } from './table-difference.ts'
import {
  clashOf,
  firstRole,
  namesOf,
  type RowDifference,
  registerOf,
  type StoredVersion,
  sameTables,
  type TableComparison,
  type TableRegister,
  type TableVersion,
  type TableVersions,
  tableSql,
  type VersionNames,
  type VersionRole,
} from './table-versions.ts'

/** Which version of which view. */
type VersionPlace = Pick<TableVersion, 'view' | 'version'>

/** Texts are the same if they are so byte by byte, whatever the collation of a column says. */
const words: SqlWords = { least: 'least', text: (value) => `${value}::text COLLATE "C"` }
const numericType = /^(?:smallint|integer|bigint|real|double precision|numeric(?:\(.*\))?)$/
/** Columns of another kind, or fewer, than those of the SQL view that is to be replaced. */
const otherColumnsCode = '42P16'
/** How long readers wait at most behind a swap that waits for a query to end. */
const lockTimeout = '1s'

/** Those who make tables ready and those who swap, one after the other: `CREATE … IF NOT EXISTS` of two at a time may fail in one of them. */
export const setUpLock = `SELECT pg_advisory_xact_lock(hashtextextended('millrace sets tables up', 0))`

/** Runs some work in a transaction. */
export type InTransaction = <Result>(work: (client: SqlClient) => Promise<Result>) => Promise<Result>

/** The versions of table views in PostgreSQL. They stand in its table `millrace_table_views`, beside the inbox. */
export class PostgresVersions implements TableVersions {
  readonly #inTransaction: InTransaction
  readonly #register: string

  constructor(inTransaction: InTransaction, { schema = 'public' }: TableOptions) {
    this.#inTransaction = inTransaction
    this.#register = `${quoted(schema)}.millrace_table_views`
  }

  /**
   * Registers a version, inside a transaction with the lock; the first one of a view is shown to readers.
   *
   * @throws TableViewChangedError `TABLE_VIEW_CHANGED`, TableSwapRefusedError `TABLE_SWAP_REFUSED`
   */
  async add(client: SqlClient, { view, version, tables, topics }: TableVersion): Promise<void> {
    const stored = await this.#createdRegister(client, view)
    const own = stored.find((one) => one.version === version)
    if (own !== undefined && !sameTables(own.tables, tables)) throw new TableViewChangedError(view, version)
    const role = own?.role ?? firstRole(stored, version)
    for (const table of Object.values(tables)) await refuseMissing(client, { view, version }, table)
    await this.#refuseClash(client, { view, version, tables })
    await client.query(
      `INSERT INTO ${this.#register} VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (view, version) DO UPDATE SET topics = excluded.topics`,
      [view, version, role, JSON.stringify(tables), JSON.stringify(topics)],
    )
    if (role !== 'live') return
    for (const [name, table] of Object.entries(tables)) {
      if (own !== undefined && (await isThere(client, name))) continue
      await change(client, { view, version }, createSql(name, table))
    }
  }

  async read(view: string): Promise<TableRegister | undefined> {
    return this.#inTransaction(async (client) => registerOf(await this.#stored(client, view)))
  }

  async makeLive(view: string, from: number, to: number): Promise<boolean> {
    return this.#inTransaction(async (client) => {
      await client.query(`SET LOCAL lock_timeout = '${lockTimeout}'`, [])
      await client.query(setUpLock, [])
      const stored = await this.#stored(client, view)
      const live = stored.find(({ role }) => role === 'live')
      const next = stored.find(({ version }) => version === to)
      if (live?.version === to) return true
      if (live?.version !== from || next === undefined) return false
      for (const [name, table] of Object.entries(next.tables)) {
        await refuseMissing(client, next, table)
        if (name in live.tables) await replace(client, next, name, table)
        else await change(client, next, createSql(name, table))
      }
      const gone = Object.keys(live.tables).filter((name) => !(name in next.tables))
      for (const name of gone) await change(client, next, `DROP VIEW IF EXISTS ${tableSql(name)}`)
      await client.query(
        `UPDATE ${this.#register} SET role = CASE WHEN version = $2 THEN 'live' WHEN role = 'live' THEN 'previous' ELSE 'beside' END
         WHERE view = $1`,
        [view, to],
      )
      return true
    })
  }

  async compare(live: string, other: string, what: TableComparison): Promise<RowDifference> {
    return this.#inTransaction(async (client) => {
      const left = { table: live, columns: await columnsOf(client, live) }
      const right = { table: other, columns: await columnsOf(client, other) }
      const chosen = chosenColumns(left, right, what)
      const { rows } = await client.query(differenceSql(left, right, chosen, what.limit, words), [])
      return differenceIn(rows as Readonly<Record<string, unknown>>[], chosen, what.limit)
    })
  }

  async #createdRegister(client: SqlClient, view: string): Promise<readonly StoredVersion[]> {
    // Asked first: who has it need not have the right to make it.
    if (!(await isThere(client, this.#register))) {
      await client.query(
        `CREATE TABLE ${this.#register} (view text NOT NULL, version integer NOT NULL, role text NOT NULL,
           tables text NOT NULL, topics text NOT NULL, PRIMARY KEY (view, version))`,
        [],
      )
    }
    return this.#stored(client, view)
  }

  /** A table that is also somebody else's, or is none, would have readers see what they should not. */
  async #refuseClash(client: SqlClient, own: Pick<TableVersion, 'view' | 'version' | 'tables'>): Promise<void> {
    const { view, version } = own
    const others = await client.query(
      `SELECT view, version::text, tables FROM ${this.#register} WHERE view <> $1 OR version <> $2`,
      [view, version],
    )
    const stored = (others.rows as Readonly<Record<'view' | 'version' | 'tables', string>>[]).map((row) => ({
      view: row.view,
      version: Number(row.version),
      tables: JSON.parse(row.tables) as TableVersion['tables'],
    }))
    const all = [own, ...stored]
    const names = all.flatMap(({ tables }) => Object.entries(tables).flat())
    const { rows } = await client.query(
      `SELECT name, c.oid::text AS id, (c.relkind IN ('v', 'm'))::text AS "isView"
       FROM json_array_elements_text($1::json) AS name JOIN pg_class c ON c.oid = to_regclass(name)`,
      [JSON.stringify(names)],
    )
    const found = new Map(
      (rows as Readonly<Record<'name' | 'id' | 'isView', string>>[]).map((row) => [row.name, row] as const),
    )
    const sqlView = Object.values(own.tables).find((table) => found.get(table)?.isView === 'true')
    if (sqlView !== undefined) throw new TableSwapRefusedError(view, version, `${sqlView} is an SQL view, not a table`)
    const named = all.map((one) => namesOf(one, (name) => found.get(name)?.id ?? name))
    const clash = clashOf(named[0] as VersionNames, named.slice(1))
    if (clash !== undefined) throw new TableSwapRefusedError(view, version, clash)
  }

  async #stored(client: SqlClient, view: string): Promise<readonly StoredVersion[]> {
    if (!(await isThere(client, this.#register))) return []
    const { rows } = await client.query(
      `SELECT version::text, role, tables, topics,
         (SELECT bool_and(to_regclass(value) IS NOT NULL) FROM json_each_text(tables::json))::text AS there
       FROM ${this.#register} WHERE view = $1`,
      [view],
    )
    return (rows as Readonly<Record<'version' | 'role' | 'tables' | 'topics' | 'there', string>>[]).map((row) => ({
      view,
      version: Number(row.version),
      role: row.role as VersionRole,
      isThere: row.there === 'true',
      tables: JSON.parse(row.tables) as TableVersion['tables'],
      topics: JSON.parse(row.topics) as readonly string[],
    }))
  }
}

/** SQL of an SQL view that shows a table. */
export function createSql(name: string, table: string): string {
  return `CREATE VIEW ${tableSql(name)} AS SELECT * FROM ${tableSql(table)}`
}

async function isThere(client: SqlClient, name: string): Promise<boolean> {
  // As text, here and below: what becomes of other types is for the program to say, whose pool it is.
  const { rows } = await client.query('SELECT (to_regclass($1::text) IS NOT NULL)::text AS there', [name])
  return (rows[0] as { readonly there: string }).there === 'true'
}

async function refuseMissing(client: SqlClient, { view, version }: VersionPlace, table: string): Promise<void> {
  if (await isThere(client, table)) return
  throw new TableSwapRefusedError(view, version, `there is no table ${table}`)
}

/** Where the columns are others, an SQL view cannot be replaced: it is dropped, made anew, and granted to whom it was granted. */
async function replace(client: SqlClient, version: VersionPlace, name: string, table: string): Promise<void> {
  await client.query('SAVEPOINT millrace_swap', [])
  try {
    await client.query(createSql(name, table).replace('CREATE', 'CREATE OR REPLACE'), [])
    return
  } catch (error) {
    if (sqlStateOf(error) !== otherColumnsCode) throw refused(version, error)
  }
  await client.query('ROLLBACK TO SAVEPOINT millrace_swap', [])
  const grants = await grantsOf(client, name)
  await change(client, version, `DROP VIEW IF EXISTS ${tableSql(name)}`)
  await change(client, version, createSql(name, table))
  for (const grant of grants) await change(client, version, grant)
}

/** The statements that grant what is granted now. */
async function grantsOf(client: SqlClient, name: string): Promise<readonly string[]> {
  const { rows } = await client.query(
    `SELECT format('GRANT %s ON %s TO %s%s', privilege_type, oid::regclass,
         CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
         CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS text
     FROM pg_class, aclexplode(relacl) WHERE oid = to_regclass($1::text)`,
    [name],
  )
  return (rows as { readonly text: string }[]).map(({ text }) => text)
}

async function change(client: SqlClient, version: VersionPlace, text: string): Promise<void> {
  try {
    await client.query(text, [])
  } catch (error) {
    throw refused(version, error)
  }
}

/** Classes of SQLSTATE by which a server says no to the statement: syntax and rights, objects not as they should be, dependents. */
const refusals: ReadonlySet<string> = new Set(['42', '2B', '0A'])

function refused({ view, version }: VersionPlace, error: unknown): unknown {
  if (!refusals.has(sqlStateOf(error)?.slice(0, 2) ?? '')) return error
  return new TableSwapRefusedError(view, version, (error as Error).message, { cause: error })
}

async function columnsOf(client: SqlClient, table: string): Promise<readonly TableColumn[]> {
  // What a key includes besides comes behind its own columns. A slice counts from 1.
  const { rows } = await client.query(
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       coalesce(array_position((i.indkey::int2[])[0:i.indnkeyatts - 1], a.attnum), 0)::text AS place,
       (a.attcollation <> 0)::text AS collated,
       (EXISTS (SELECT FROM pg_opclass c JOIN pg_am m ON m.oid = c.opcmethod
         WHERE m.amname = 'btree' AND c.opcdefault AND c.opcintype = a.atttypid))::text AS ordered
     FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
     WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [table],
  )
  if (rows.length === 0) throw new ArgumentInvalidError('tables', `name ${table}, which is not there`)
  return (rows as Readonly<Record<'name' | 'type' | 'place' | 'collated' | 'ordered', string>>[]).map((one) => ({
    name: one.name,
    type: one.type,
    keyPlace: Number(one.place),
    valueSql: valueSql(quoted(one.name), one.type, {
      isOrdered: one.ordered === 'true',
      isCollated: one.collated === 'true',
    }),
    // By its text, since a cast would round.
    numberSql: numericType.test(one.type) ? `${quoted(one.name)}::text::numeric` : undefined,
  }))
}

/** What has no order of its own is compared as a text. */
function valueSql(
  name: string,
  type: string,
  how: { readonly isOrdered: boolean; readonly isCollated: boolean },
): string {
  if (type === 'json') return `${name}::jsonb`
  // The order of a citext is that of lower case.
  if (!how.isOrdered || /(?:^|\.)citext$/.test(type)) return words.text(name)
  return how.isCollated ? `${name} COLLATE "C"` : name
}
