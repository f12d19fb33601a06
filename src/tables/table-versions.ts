/** A version of a table view, as the database knows it. */
export interface TableVersion {
  /** The view that it is a version of. */
  readonly view: string
  readonly version: number
  /** Tables that it keeps, by the names that readers use: SQL views, which show the tables of the live version. */
  readonly tables: Readonly<Record<string, string>>
  /** Topics that it follows. */
  readonly topics: readonly string[]
}

/** The versions of a table view that its database knows of. */
export interface TableRegister {
  /** The one whose tables readers see. */
  readonly live: TableVersion
  /** What `rollBack()` goes back to. */
  readonly previous: TableVersion | null
  /** The one that is built beside it: the highest above the live one that was not swapped in. */
  readonly next: TableVersion | null
}

/** What is compared of two tables. */
export interface TableComparison {
  /** Columns that are compared. Default: those that both tables have. */
  readonly columns?: readonly string[] | undefined
  /** Columns that tell which row is which. Default: the primary key of the live table, or of the other one. */
  readonly key?: readonly string[] | undefined
  /** How many rows that differ are given. */
  readonly limit: number
}

/** A row, or some columns of it: values as SQL writes them as text, and null. */
export type TableRow = Readonly<Record<string, string | null>>

/** A row that differs between two tables; a table without it is `undefined`. Where there is no key, two rows are never the same one. */
export interface DifferingRow {
  readonly key: TableRow
  readonly live: TableRow | undefined
  readonly other: TableRow | undefined
}

/** How two tables differ, at one moment. */
export interface RowDifference {
  /** Columns that were compared. */
  readonly columns: readonly string[]
  readonly key: readonly string[]
  /** Columns that the other table has not: they were not compared. */
  readonly onlyLiveColumns: readonly string[]
  /** Columns that the live table has not: they were not compared. */
  readonly onlyOtherColumns: readonly string[]
  readonly sameCount: number
  /** Rows of one key that differ in other columns. */
  readonly differingCount: number
  readonly onlyLiveCount: number
  readonly onlyOtherCount: number
  /** The first of them, in the order of their keys. */
  readonly first: readonly DifferingRow[]
}

/** What a database does for views whose versions stand side by side. */
export interface TableVersions {
  /** What it knows of a view; `undefined`: nothing. Versions of which a table is gone are left out. */
  readonly read: (view: string) => Promise<TableRegister | undefined>
  /**
   * Has readers see the tables of another version, and notes it, in one transaction. Once more it changes nothing.
   *
   * @returns `false`: another version than `from` is live, and nothing was changed.
   * @throws TableSwapRefusedError `TABLE_SWAP_REFUSED`, TablesUnavailableError `TABLES_UNAVAILABLE`
   */
  readonly makeLive: (view: string, from: number, to: number) => Promise<boolean>
  /** Compares two tables as they are at one moment. @throws ArgumentInvalidError `ARGUMENT_INVALID` */
  readonly compare: (live: string, other: string, what: TableComparison) => Promise<RowDifference>
}

/** What a version is for, as it is stored. `beside`: it is built, or was given up. */
export type VersionRole = 'live' | 'previous' | 'beside'

/** A version as it is stored. */
export interface StoredVersion extends TableVersion {
  readonly role: VersionRole
  /** Whether its tables are there. */
  readonly isThere: boolean
}

/** What a version is for that was not there before. The first one of a view serves readers. */
export function firstRole(stored: readonly StoredVersion[], version: number): VersionRole {
  const live = stored.find(({ role }) => role === 'live')
  if (live === undefined) return 'live'
  return version < live.version && !stored.some(({ role }) => role === 'previous') ? 'previous' : 'beside'
}

export function registerOf(stored: readonly StoredVersion[]): TableRegister | undefined {
  const live = stored.find(({ role }) => role === 'live')
  if (live === undefined) return undefined
  const others = stored.filter(({ isThere }) => isThere).toSorted((a, b) => b.version - a.version)
  return {
    live,
    previous: others.find(({ role }) => role === 'previous') ?? null,
    next: others.find(({ role, version }) => role === 'beside' && version > live.version) ?? null,
  }
}

/** Names that are the same with quotes and without, in PostgreSQL and in SQLite; with their schema, if need be. */
const namePattern = /^(?:[a-z_][a-z0-9_]{0,62}\.)?[a-z_][a-z0-9_]{0,62}$/

/** Whether a name of a table or SQL view can be used. */
export function isTableName(name: unknown): name is string {
  return typeof name === 'string' && namePattern.test(name)
}

/** A name that {@link isTableName} takes, as SQL takes it, whatever words are reserved. */
export function tableSql(name: string): string {
  return name
    .split('.')
    .map((part) => `"${part}"`)
    .join('.')
}

/** Whether two name the same tables. */
export function sameTables(a: TableVersion['tables'], b: TableVersion['tables']): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name])
}

/** A table or a name of readers, as the database tells it from others, whatever is written before it. */
export interface TableName {
  /** As the version names it. */
  readonly name: string
  /** The same for all names of one table. */
  readonly id: string
}

/** What a version has of its own: its tables, and what readers name. */
export interface VersionNames extends Pick<TableVersion, 'view' | 'version'> {
  readonly tables: readonly TableName[]
  readonly readers: readonly TableName[]
}

/** The names of a version; where `idOf` is not given, they are taken as they are written. */
export function namesOf(
  { view, version, tables }: Pick<TableVersion, 'view' | 'version' | 'tables'>,
  idOf: (name: string) => string = (name) => name,
): VersionNames {
  const named = (name: string): TableName => ({ name, id: idOf(name) })
  return { view, version, tables: Object.values(tables).map(named), readers: Object.keys(tables).map(named) }
}

/** Why a version cannot stand beside others: each table is of one version, and none has a name that readers use. `undefined`: it can. */
export function clashOf(own: VersionNames, others: readonly VersionNames[]): string | undefined {
  for (const { view, version, tables, readers } of [...others, own]) {
    const which = `version ${version} of table view "${view}"`
    const shared = view === own.view && version === own.version ? undefined : common(own.tables, tables)
    if (shared !== undefined) return `${shared} is a table of ${which}, too: give each version tables of its own`
    const hidden = common(own.tables, readers)
    if (hidden !== undefined) return `its table ${hidden} is what readers of ${which} name: give it a table of its own`
    const taken = common(own.readers, tables)
    if (taken !== undefined) return `readers would name ${taken}, which is a table of ${which}: give them another name`
  }
  return undefined
}

function common(some: readonly TableName[], others: readonly TableName[]): string | undefined {
  return some.find(({ id }) => others.some((one) => one.id === id))?.name
}
