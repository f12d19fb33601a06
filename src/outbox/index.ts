/**
 * Outbox and inbox for tables of your own: messages that are real with a transaction of yours in PostgreSQL, and messages that
 * count once in it. Engines are not needed for that, but for the relay.
 * @module
 */
export {
  OutboxArgumentInvalidError,
  OutboxClientInvalidError,
  OutboxDatabaseSilentError,
  OutboxRelayReplacedError,
  OutboxRowRefusedError,
  OutboxTableMissingError,
  OutboxTableNewerError,
  OutboxTopicMissingError,
} from './errors.ts'
export { type Inbox, inbox, type ReceivedMessage } from './inbox.ts'
export { createInbox, inboxSchemaSql } from './inbox-table.ts'
export { type Outbox, outbox } from './outbox.ts'
export type { OutboxMessage } from './outbox-row.ts'
export { createOutbox, outboxSchemaSql } from './outbox-table.ts'
export { type OutboxRelay, relayOutbox } from './relay.ts'
export { type OutboxLogRelay, relayOutboxLog } from './relay-log.ts'
export type { LogRelayOptions, RelayOptions } from './relay-options.ts'
export type { RelayConnection, RelayPool } from './relay-pool.ts'
export { fromStatements, type RunStatement, type SqlClient, templateOf } from './sql-client.ts'
export type { TableOptions } from './table-name.ts'
