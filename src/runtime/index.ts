/**
 * Runs handlers: subscriptions, the commit loop, retries, dead letters, timers.
 * @module
 */
export { deadLetterGroupPrefix } from './dead-letter-entry.ts'
export { deadLettersOf } from './dead-letter-store.ts'
export type { DeadLetter, DeadLetterSelection, DeadLetters, DeadOriginal } from './dead-letters.ts'
export { DelayedCommands } from './delayed-commands.ts'
export { delayedSend } from './delayed-send.ts'
export { dueTime } from './effect-plan.ts'
export {
  type AppendCondition,
  type AppendEffect,
  afterwards,
  append,
  type CancelEffect,
  type CommitWithin,
  cancel,
  type Effect,
  type PublishEffect,
  publish,
  type RemoveEffect,
  remove,
  type ScheduleEffect,
  type SendEffect,
  type SetEffect,
  schedule,
  send,
  set,
  type TaggedEvent,
  type TimerTime,
  within,
  write,
} from './effects.ts'
export {
  AppendConflictError,
  AppStoppedError,
  BreakerOpenError,
  CheckpointRefusedError,
  DeadLetterUnknownError,
  EffectInvalidError,
  HandlerTimeoutError,
  KeyInvalidError,
  KeyMissingError,
  ParkedKeysFullError,
  ProcessEndedError,
  RecordGoneError,
  RetryPolicyFailedError,
  StateInvalidError,
  TimerUnknownError,
  type TopicDifference,
  TopicDiffersError,
  TopicRedeclaredError,
} from './errors.ts'
export type {
  BreakerOptions,
  CallContext,
  DeadLetterMode,
  DueTimer,
  Effects,
  Handler,
  HandlerContext,
  HandlerOptions,
  HandlerResult,
  MessageFor,
  StatefulTimers,
  StateOptions,
  Subscribed,
  Timers,
} from './handler.ts'
export { handlerFrom, handlerNameProblems, rateOf } from './handler-options.ts'
export { forgetAttempts } from './kept-attempts.ts'
export type { Lag } from './lag.ts'
export {
  attemptsNamespace,
  chainNamespace,
  crashNamespace,
  deadLetterNamespace,
  deadLetterTopic,
  handlerNamespace,
  handlerRegisterNamespace,
  parkedKeyNamespace,
  parkedNamespace,
} from './namespaces.ts'
export { on } from './on.ts'
export { orderingKeyProblem, orderingKeysMax } from './ordering-key.ts'
export { Pace, SharedPace } from './pace.ts'
export { Patience } from './patience.ts'
export { patientEngine } from './patient-engine.ts'
export { onRequests } from './request-listeners.ts'
export {
  byError,
  type ErrorClass,
  type ErrorRule,
  type ExponentialOptions,
  exponential,
  type FailedAttempt,
  fixed,
  nextAttempt,
  none,
  type RetryPolicy,
} from './retry-policy.ts'
export { Subscription } from './subscription.ts'
export { happensWithin, togetherOf, topicsOf } from './subscription-core.ts'
export type { Haste } from './subscription-parts.ts'
export { type TopicDeclaration, topic } from './topic.ts'
export { TopicResolver } from './topic-resolver.ts'
