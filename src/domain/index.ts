/**
 * What is built on handlers and the event store: views, deciders, boundaries.
 * @module
 */
export { type Answer, type AnswerContext, answer, checkedResult } from './answer.ts'
export { type ClosedBooks, closeBooks } from './books.ts'
export { type Boundary, type BoundaryOptions, boundary } from './boundary.ts'
export { carriersUnseen } from './closed-books.ts'
export { type CommandDesk, commandDesk, idleHandler } from './command-desk.ts'
export type {
  CommandAccepted,
  CommandOutcome,
  CommandRejected,
} from './command-outcome.ts'
export { decideCommand } from './decide-alone.ts'
export {
  type CommandHandlingOptions,
  type Decider,
  type DeciderOptions,
  type DeciderState,
  type Decision,
  decider,
} from './decider.ts'
export { definitionListProblems, functionProblems } from './definition-list-problems.ts'
export type { DeskSetup } from './desk-setup.ts'
export {
  BooksNeededError,
  BooksUnbalancedError,
  CommandConflictError,
  CommandIdTakenError,
  DecisionInvalidError,
  EventIdTakenError,
  HistoryIncompleteError,
  ReplyNotCommittedError,
  StreamBeginningGoneError,
  StreamEventUnknownError,
  type ViewBehindDetails,
  ViewBehindError,
  ViewBuildMissingError,
  ViewBuildUnderWayError,
  ViewDeadLettersError,
  ViewEventFailedError,
  ViewEventsChangedError,
  ViewHistoryMissingError,
  ViewInUseError,
  ViewNeverRunError,
  ViewPreviousMissingError,
  ViewVersionDownError,
} from './errors.ts'
export { Gates } from './gates.ts'
export type { GoneEvents } from './gone-events.ts'
export {
  type History,
  history,
  type Reason,
  type StateAt,
  type StateDifference,
  type ViewKeyDifference,
} from './history.ts'
export type { StorePoint, StreamPoint } from './history-point.ts'
export { handOver, InlineCopies } from './inline-copies.ts'
export { InlineFollower } from './inline-follower.ts'
export { type InlineNoteEntry, inlineNamespace, noteWrite, readNote } from './inline-notes.ts'
export { type Projection, type ProjectionOptions, projection } from './projection.ts'
export { isRejection, type Rejection, reject } from './rejection.ts'
export {
  askedAttemptsMax,
  isReplyWanted,
  outcomeOfReply,
  Replied,
  repliesTo,
  replyOfError,
  replyTo,
  replyTopic,
  replyTopicAttribute,
} from './reply.ts'
export { type Retagged, type RetaggedType, type RetagOptions, retag, type UnreadableEvent } from './retag.ts'
export type { SnapshotOptions } from './snapshot-rule.ts'
export { type RebuildPolicy, type StateOf, type View, type ViewOptions, view } from './view.ts'
export { caughtUp, checkSwapOptions, type SwapOptions, swapTimeout } from './view-catch-up.ts'
export { type Handover, ViewCopies } from './view-copies.ts'
export {
  copyName,
  copyOf,
  isSameCopy,
  type ViewBuild,
  type ViewCopy,
  viewGroup,
  viewNamespace,
} from './view-copy.ts'
export type { DifferingKey, ViewDifference } from './view-difference.ts'
export { finishDrops } from './view-drops.ts'
export type { PublishedEvent, ViewEvent } from './view-past.ts'
export { type CopyProgress, followedProgress, hasReached, SpeedMeter } from './view-progress.ts'
export type { RebuildOptions, ViewChange, ViewEntry, ViewReader } from './view-reader.ts'
export {
  copiesIn,
  droppedNamespace,
  firstRegister,
  firstWrite,
  type RegisterEntry,
  readPlace,
  readRegister,
  registerKey,
  registerNamespace,
  registerOf,
  registersOf,
  registerWrites,
  type ViewRegister,
  withBuild,
} from './view-register.ts'
export { type RetireOptions, retireView } from './view-retire.ts'
export type { BuildStatus, CanaryStatus, CopyStatus, ViewStatus } from './view-status.ts'
