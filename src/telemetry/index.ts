/**
 * Named diagnostics channels on which Millrace reports what happens; no vendor.
 * @module
 */
export {
  type BreakerReport,
  type CapturedReport,
  type CaptureFailedReport,
  type CommittedReport,
  type ConsumedReport,
  channels,
  type DeadLetteredReport,
  type FailedReport,
  type HandledReport,
  type LagReport,
  type MessageReport,
  type PublishedReport,
  type RebalancedReport,
  type RelayFailedReport,
  type RetriedReport,
  type RewoundReport,
  type StateRestoredReport,
  type TypedChannel,
} from './channels.ts'
