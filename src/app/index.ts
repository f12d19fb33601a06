/**
 * Services, and apps that put them together and run them.
 * @module
 */
export { type App, type AppOptions, app } from './app.ts'
export {
  AskFailedError,
  AskTimeoutError,
  DeciderUnknownError,
  EngineLacksError,
  GuaranteeMissingError,
  HandlerMissingError,
  HandlerTakenError,
  HandlerUnknownError,
  PublishInvalidError,
  SagaUnknownError,
  StartRefusedError,
  StoreMissingError,
  type TakenHandler,
  ViewUnknownError,
} from './errors.ts'
export { explain } from './explain.ts'
export type { AppGuarantees, Delivery, Ground, HandlerGuarantees, StartRefusal } from './guarantees.ts'
export type { AskOptions, ProcessClient, RunningApp, SagaClient } from './running-app.ts'
export { type Service, type ServicePart, service } from './service.ts'
export type { StartOptions } from './start.ts'
export { tableCopies } from './table-views.ts'
