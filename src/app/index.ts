/**
 * Services, and apps that put them together and run them.
 * @module
 */
export { type App, type AppOptions, app } from './app.ts'
export {
  EngineLacksError,
  GuaranteeMissingError,
  NameInvalidError,
  NameTakenError,
  PublishInvalidError,
  SagaUnknownError,
  ViewUnknownError,
} from './errors.ts'
export { type AppGuarantees, type Delivery, explain, type Ground, type HandlerGuarantees } from './explain.ts'
export type { RunningApp, SagaClient, ViewChange, ViewEntry, ViewReader } from './running-app.ts'
export { type Service, service } from './service.ts'
export type { StartOptions } from './start.ts'
