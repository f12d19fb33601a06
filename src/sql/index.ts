/**
 * What all that speaks to PostgreSQL shares: the engine, captures, and outboxes.
 * @module
 */
export { clientSettings, connectionProblems, newClient } from './connection-settings.ts'
export { loadPg } from './pg-package.ts'
export { listenToPool } from './pool-errors.ts'
export { sqlStateOf } from './sql-state.ts'
export { bodyQuote, quoted } from './sql-text.ts'
export { TransactionSnapshot } from './transaction-snapshot.ts'
