/**
 * Change data capture: the changes of tables in a PostgreSQL database as events in any engine, through logical replication.
 * @module
 */
export { type Capture, type CaptureState, captureChanges } from './capture.ts'
export type { TopicOfTable } from './captured-table.ts'
export type {
  CapturedChange,
  ChangeTransaction,
  Row,
  RowChange,
  TableDeparture,
  TableName,
  TableSchema,
  TableTruncation,
} from './change-data.ts'
export type { PublishChange } from './change-events.ts'
export {
  CaptureAccessRefusedError,
  CaptureClientMissingError,
  CaptureDatabaseChangedError,
  CaptureKeyUnknownError,
  CaptureLogDivergedError,
  CapturePositionLostError,
  CaptureProtocolError,
  CapturePublicationLostError,
  CapturePublicationMissingError,
  CaptureRefusedError,
  CaptureReplacedError,
  CaptureServerSilentError,
  CaptureSlotActiveError,
  CaptureSlotMissingError,
  CaptureSlotUnusableError,
  CaptureStreamEndedError,
  CaptureTableKeylessError,
  CaptureTablesAlikeError,
  CaptureWalLevelError,
} from './errors.ts'
export type { CaptureOptions, CapturePlace } from './options.ts'
export type { CaptureConnection } from './pg-client.ts'
export { forgetCapture } from './place.ts'
export {
  type CaptureDescription,
  type CreateCaptureOptions,
  createCapture,
  describeCapture,
  dropCapture,
} from './set-up.ts'
export type { ColumnDescription, TableDescription } from './table-description.ts'
