/**
 * Views in tables of your own, in PostgreSQL or SQLite: each event is applied exactly once, in one transaction with whatever it
 * makes of the tables.
 * @module
 */
export {
  TableChangeInvalidError,
  TableChangeTimeoutError,
  TablesNotDurableError,
  TablesSilentError,
  TablesUnavailableError,
} from './errors.ts'
export { postgresTables, type TableConnection, type TablePool } from './postgres-tables.ts'
export { sqliteTables } from './sqlite-tables.ts'
export type { TableChange, TableChangeContext, TableDatabase } from './table-database.ts'
export { type TableViewOptions, tableView } from './table-view.ts'
