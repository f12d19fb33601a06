/**
 * Millrace: event-driven architecture for TypeScript. Declare events, handlers and views; run them exactly-once.
 * @module
 */
export {
  type App,
  type AppOptions,
  app,
  type RunningApp,
  type Service,
  type StartOptions,
  service,
  type ViewChange,
  type ViewEntry,
  type ViewReader,
} from './app/index.ts'
export { type StateOf, type View, type ViewOptions, view } from './domain/index.ts'
export {
  type Clock,
  type Duration,
  MillraceError,
  type Random,
  sleep,
  systemClock,
  VirtualClock,
} from './kernel/index.ts'
export { command, type DataOf, event, type Message, type MessageOf, query, upcastFrom } from './message/index.ts'
export {
  append,
  byError,
  type CallContext,
  cancel,
  type DeadLetter,
  type DeadLetters,
  type DueTimer,
  type Effect,
  type Effects,
  exponential,
  fixed,
  type Handler,
  type HandlerContext,
  type HandlerOptions,
  type HandlerResult,
  none,
  on,
  publish,
  type RetryPolicy,
  remove,
  schedule,
  set,
  topic,
} from './runtime/index.ts'
export { channels } from './telemetry/index.ts'
