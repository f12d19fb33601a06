/**
 * What is built on handlers and the event store: views, deciders, boundaries.
 * @module
 */
export { type Answer, type AnswerContext, answer, checkedResult } from './answer.ts'
export { type ClosedBooks, closeBooks } from './books.ts'
export { type Boundary, type BoundaryOptions, boundary } from './boundary.ts'
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
export type { DeskSetup } from './desk-setup.ts'
export {
  BooksUnbalancedError,
  CommandConflictError,
  DecisionInvalidError,
  InlineViewForgetsError,
  StreamBeginningGoneError,
  StreamEventUnknownError,
} from './errors.ts'
export { Gates } from './gates.ts'
export {
  type History,
  history,
  type Reason,
  type StateAt,
  type StateDifference,
  type StorePoint,
  type StreamPoint,
} from './history.ts'
export { commitWithViews, InlineViews } from './inline-views.ts'
export { type Projection, type ProjectionOptions, projection } from './projection.ts'
export { isRejection, type Rejection, reject } from './rejection.ts'
export {
  isAsked,
  outcomeOfReply,
  Replied,
  repliesTo,
  replyOfError,
  replyTo,
  replyTopic,
  replyTopicAttribute,
} from './reply.ts'
export type { SnapshotOptions } from './snapshot-rule.ts'
export { type StateOf, type View, type ViewOptions, view, viewNamespace } from './view.ts'
export type { ViewChange, ViewEntry, ViewReader } from './view-reader.ts'
