/**
 * Named diagnostics channels on which Millrace reports what happens; no vendor.
 * @module
 */
export {
  type BreakerReport,
  type CapturedReport,
  type CaptureFailedReport,
  type CaptureTableLeftReport,
  type CommittedReport,
  type ConsumedReport,
  channels,
  type DeadLetteredReport,
  type DecidedReport,
  type EngineWaitingReport,
  type FailedReport,
  type HandledReport,
  type LagReport,
  type MessageReport,
  type PublishedReport,
  type RebalancedReport,
  type RelayFailedReport,
  type RetriedReport,
  type RewoundReport,
  type SagaReport,
  type StateRestoredReport,
  type SuspectedReport,
  type TypedChannel,
  type UndoFailedReport,
  type WaitingReport,
} from './channels.ts'
export { EngineWaits } from './engine-waits.ts'
