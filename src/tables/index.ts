/**
 * Views in tables of your own, in PostgreSQL or SQLite: each event is applied exactly once, in one transaction with whatever it
 * makes of the tables.
 * @module
 */
export {
  TableChangeInvalidError,
  TableChangeTimeoutError,
  TableSwapRefusedError,
  TablesNotDurableError,
  TablesSilentError,
  TablesUnavailableError,
  TableViewChangedError,
} from './errors.ts'
export { postgresTables, type TableConnection, type TablePool } from './postgres-tables.ts'
export { sqliteTables } from './sqlite-tables.ts'
export type {
  TableBuildStatus,
  TableCopies,
  TableCopyStatus,
  TableDifference,
  TableDifferenceOptions,
  TableGround,
  TableViewStatus,
} from './table-copies.ts'
export type { TableChange, TableChangeContext, TableDatabase, TableRehearsal } from './table-database.ts'
export type {
  DifferingRow,
  RowDifference,
  TableComparison,
  TableRegister,
  TableRow,
  TableVersion,
  TableVersions,
} from './table-versions.ts'
export { type TableView, type TableViewOptions, tableView } from './table-view.ts'
