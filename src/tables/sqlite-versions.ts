import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { quoted } from '../sql/index.ts'
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

const registerSql = `CREATE TABLE IF NOT EXISTS millrace_table_views (
  view TEXT NOT NULL, version INTEGER NOT NULL, role TEXT NOT NULL, tables TEXT NOT NULL, topics TEXT NOT NULL,
  PRIMARY KEY (view, version)) STRICT, WITHOUT ROWID`

const words: SqlWords = {
  least: 'min',
  text: (value) => `CASE typeof(${value}) WHEN 'blob' THEN quote(${value}) ELSE CAST(${value} AS TEXT) END`,
}

/** How the versions of table views reach a database. */
export interface SqliteAccess {
  readonly database: DatabaseSync
  readonly statement: (text: string) => StatementSync
  /** Runs some work outside of one, and tells what passes from what does not. */
  readonly attempt: <Result>(work: () => Result) => Result
  /** Runs some work in a transaction. */
  readonly inTransaction: (work: () => void) => void
}

/** The versions of table views in SQLite. They stand in its table `millrace_table_views`. */
export class SqliteVersions implements TableVersions {
  readonly #access: SqliteAccess

  constructor(access: SqliteAccess) {
    this.#access = access
  }

  /**
   * Registers a version, inside a transaction; the first one of a view is shown to readers.
   *
   * @throws TableViewChangedError `TABLE_VIEW_CHANGED`, TableSwapRefusedError `TABLE_SWAP_REFUSED`
   */
  add({ view, version, tables, topics }: TableVersion): void {
    const { database } = this.#access
    database.exec(registerSql)
    const stored = this.#stored(view)
    const own = stored.find((one) => one.version === version)
    if (own !== undefined && !sameTables(own.tables, tables)) throw new TableViewChangedError(view, version)
    const role = own?.role ?? firstRole(stored, version)
    this.#refuseMissing({ view, version, tables, topics })
    this.#refuseClash({ view, version, tables })
    this.#run(
      'INSERT INTO millrace_table_views VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET topics = excluded.topics',
      [view, version, role, JSON.stringify(tables), JSON.stringify(topics)],
    )
    if (role !== 'live') return
    for (const [name, table] of Object.entries(tables)) {
      if (own === undefined || !this.#isThere(name)) this.#show({ view, version }, name, table)
    }
  }

  async read(view: string): Promise<TableRegister | undefined> {
    return this.#access.attempt(() =>
      this.#isThere('millrace_table_views') ? registerOf(this.#stored(view)) : undefined,
    )
  }

  async makeLive(view: string, from: number, to: number): Promise<boolean> {
    let isLive = false
    this.#access.inTransaction(() => {
      const stored = this.#stored(view)
      const live = stored.find(({ role }) => role === 'live')
      const next = stored.find(({ version }) => version === to)
      isLive = live?.version === to
      if (isLive || live?.version !== from || next === undefined) return
      this.#refuseMissing(next)
      for (const name of Object.keys(live.tables)) this.#change(next, `DROP VIEW IF EXISTS ${tableSql(name)}`)
      for (const [name, table] of Object.entries(next.tables)) this.#show(next, name, table)
      this.#setRole(view, 'previous', 'beside')
      this.#setRole(view, 'live', 'previous')
      this.#run(`UPDATE millrace_table_views SET role = 'live' WHERE view = ? AND version = ?`, [view, to])
      isLive = true
    })
    return isLive
  }

  async compare(live: string, other: string, what: TableComparison): Promise<RowDifference> {
    return this.#access.attempt(() => {
      const [left, right] = [
        { table: live, columns: this.#columns(live) },
        { table: other, columns: this.#columns(other) },
      ]
      const chosen = chosenColumns(left, right, what)
      const answer = this.#access.statement(differenceSql(left, right, chosen, what.limit, words)).all()
      return differenceIn(answer, chosen, what.limit)
    })
  }

  #stored(view: string): readonly StoredVersion[] {
    const found = this.#access.statement('SELECT * FROM millrace_table_views WHERE view = ?').all(view)
    return found.map(({ version, role, tables, topics }) => {
      const named = JSON.parse(String(tables)) as TableVersion['tables']
      return {
        view,
        version: Number(version),
        role: String(role) as VersionRole,
        tables: named,
        topics: JSON.parse(String(topics)) as readonly string[],
        isThere: Object.values(named).every((table) => this.#isThere(table)),
      }
    })
  }

  #setRole(view: string, from: VersionRole, to: VersionRole): void {
    this.#run('UPDATE millrace_table_views SET role = ? WHERE view = ? AND role = ?', [to, view, from])
  }

  #run(text: string, values: readonly SQLInputValue[]): void {
    this.#access.statement(text).run(...values)
  }

  /** SQLite would make an SQL view of a table that is not there. */
  #refuseMissing({ view, version, tables }: TableVersion): void {
    const missing = Object.values(tables).find((table) => !this.#isThere(table))
    if (missing !== undefined) throw new TableSwapRefusedError(view, version, `there is no table ${missing}`)
  }

  /** A table that is also somebody else's, or is none, would have readers see what they should not. */
  #refuseClash(own: Pick<TableVersion, 'view' | 'version' | 'tables'>): void {
    const { view, version, tables } = own
    const sqlView = Object.values(tables).find((table) => this.#isSqlView(table))
    if (sqlView !== undefined) throw new TableSwapRefusedError(view, version, `${sqlView} is an SQL view, not a table`)
    const others = this.#access
      .statement('SELECT view, version, tables FROM millrace_table_views WHERE view <> ? OR version <> ?')
      .all(view, version)
      .map((row) => ({
        view: String(row['view']),
        version: Number(row['version']),
        tables: JSON.parse(String(row['tables'])) as TableVersion['tables'],
      }))
    const named = [own, ...others].map((one) => namesOf(one, (name) => name.replace(/^main\./, '')))
    const clash = clashOf(named[0] as VersionNames, named.slice(1))
    if (clash !== undefined) throw new TableSwapRefusedError(view, version, clash)
  }

  #isSqlView(table: string): boolean {
    const [name, schema] = table.split('.').toReversed() as [string, string | undefined]
    const found = this.#access.statement('SELECT schema, type FROM pragma_table_list(?)').all(name)
    const tables = found.filter((one) => schema === undefined || one['schema'] === schema)
    return tables.length > 0 && tables.every(({ type }) => type === 'view')
  }

  #show(version: Pick<TableVersion, 'view' | 'version'>, name: string, table: string): void {
    this.#change(version, `CREATE VIEW ${tableSql(name)} AS SELECT * FROM ${tableSql(table)}`)
    // SQLite makes one that cannot be read, too: of a table in another file.
    this.#change(version, `SELECT * FROM ${tableSql(name)} LIMIT 0`)
  }

  #change({ view, version }: Pick<TableVersion, 'view' | 'version'>, text: string): void {
    try {
      this.#access.database.exec(text)
    } catch (cause) {
      throw new TableSwapRefusedError(view, version, (cause as Error).message, { cause })
    }
  }

  #isThere(table: string): boolean {
    return this.#columns(table).length > 0
  }

  #columns(table: string): TableColumn[] {
    const [name, schema] = table.split('.').toReversed() as [string, string | undefined]
    // With generated columns, and without those that a virtual table hides.
    const text = `SELECT name, type, pk FROM pragma_table_xinfo(?${schema === undefined ? '' : ', ?'}) WHERE hidden <> 1`
    return this.#access
      .statement(text)
      .all(name, ...(schema === undefined ? [] : [schema]))
      .map((column) => ({
        name: String(column['name']),
        type: String(column['type']),
        keyPlace: Number(column['pk']),
        // Whatever the collation of a column calls the same.
        valueSql: `${quoted(String(column['name']))} COLLATE BINARY`,
        // A value has a type of its own, by which a whole number and a fraction are told to be equal.
        numberSql: isNumeric(String(column['type'])) ? quoted(String(column['name'])) : undefined,
      }))
  }
}

/** Whether a column prefers numbers (https://www.sqlite.org/datatype3.html, 3.1). */
function isNumeric(type: string): boolean {
  return /INT/i.test(type) || !(type === '' || /CHAR|CLOB|TEXT|BLOB/i.test(type))
}
