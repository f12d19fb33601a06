import type { Json } from '../kernel/index.ts'
import type { ColumnDescription, TableDescription } from './table-description.ts'

/** A row by the names of its columns. */
export type Row = Readonly<Record<string, Json>>

/** The transaction that made a change. */
export interface ChangeTransaction {
  /** Its id in the database (`xid`, 32 bits). */
  readonly id: number
  /** Where its commit stands in the server's log. */
  readonly lsn: string
  /** Place of the change among those of the transaction, from 0. */
  readonly index: number
  /** RFC 3339, in UTC, with microseconds. */
  readonly committedAt: string
}

/** Data of the events `<schema>.<table>.found`, `.inserted`, `.updated` and `.deleted`. */
export interface RowChange {
  readonly schema: string
  readonly table: string
  /** Columns of the primary key, or of the index that is the replica identity. `null`: the table has lost its key. */
  readonly key: Row | null
  /**
   * The row before. With REPLICA IDENTITY FULL all of it, of updates and deletes; else its key columns, of deletes and of updates
   * that change the key. Of all others `null`.
   */
  readonly before: Row | null
  /** The row after. Of `deleted` `null`. */
  readonly after: Row | null
  /** Where its transaction's commit, or the reading of a row that was found, stands in the server's log. */
  readonly lsn: string
  /** `null`: the row was found by the snapshot. */
  readonly transaction: ChangeTransaction | null
  /** Columns that are missing from `after`, since the update did not touch them and their long values were not sent (TOAST). */
  readonly unchanged?: readonly string[]
  /** Columns whose values are left out, since the event would be larger than its topic takes. */
  readonly omitted?: readonly string[]
  /** Of a `deleted` that stands for an update of the key: the new one. */
  readonly movedTo?: Row
  /** Of an `inserted` that stands for an update of the key: the old one. */
  readonly movedFrom?: Row
}

/** A change of a row, for those who make messages of their own of it. */
export interface CapturedChange {
  readonly what: 'found' | 'inserted' | 'updated' | 'deleted'
  /** The same each time that the change comes. */
  readonly id: string
  /** RFC 3339: when it was committed, or when the row was found. */
  readonly time: string
  readonly data: RowChange
}

/** Data of the event `<schema>.<table>.truncated`: one for each partition of the topic. */
export interface TableTruncation {
  readonly schema: string
  readonly table: string
  readonly lsn: string
  readonly transaction: ChangeTransaction
  /** All rows whose events came on this partition before are gone. */
  readonly partition: number
  readonly partitionCount: number
}

/** A table by its name. */
export interface TableName {
  readonly schema: string
  readonly name: string
}

/** Data of the event `<schema>.<table>.left`: no more changes come under this name; one for each partition of the topic. */
export interface TableDeparture {
  readonly schema: string
  readonly table: string
  /**
   * Why: the table was dropped, and its rows with it; it has another name now (`renamedTo`), under which its changes go on if it is
   * still published; it was taken out of the publication, and its rows are there; or it was dropped, renamed or taken out, and
   * another table is captured under its name.
   */
  readonly reason: 'dropped' | 'renamed' | 'unpublished' | 'replaced'
  /** Of `renamed`; else `null`. */
  readonly renamedTo: TableName | null
  /** Where the server's log was when this was found out. */
  readonly lsn: string
  /** What the table looked like. */
  readonly previous: TableDescription
  readonly partition: number
  readonly partitionCount: number
}

/** Data of the event `<schema>.<table>.described`: what the table looks like from here on; one for each partition. */
export interface TableSchema extends TableDescription {
  readonly schema: string
  readonly table: string
  readonly lsn: string
  /** `null`: it was described for the first time. */
  readonly previous: TableDescription | null
  readonly added: readonly string[]
  readonly removed: readonly string[]
  /** Columns that have another type, or got into the key or out of it. */
  readonly changed: readonly string[]
  readonly partition: number
  readonly partitionCount: number
}

/** What differs between two descriptions, by the names of columns. */
export function differences(
  previous: TableDescription | null,
  next: TableDescription,
): { readonly added: readonly string[]; readonly removed: readonly string[]; readonly changed: readonly string[] } {
  const before = new Map((previous?.columns ?? []).map((column) => [column.name, column]))
  const after = new Map(next.columns.map((column) => [column.name, column]))
  const isChanged = (column: ColumnDescription): boolean => {
    const old = before.get(column.name)
    return (
      old !== undefined &&
      (old.typeOid !== column.typeOid || old.typeModifier !== column.typeModifier || old.isKey !== column.isKey)
    )
  }
  return {
    added: [...after.keys()].filter((name) => !before.has(name)),
    removed: [...before.keys()].filter((name) => !after.has(name)),
    changed: next.columns.filter(isChanged).map(({ name }) => name),
  }
}
