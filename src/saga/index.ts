/**
 * Sagas: work in steps that ends with all of them done or all of them undone.
 * @module
 */
export { type Choreography, type ChoreographyOptions, choreography } from './choreography.ts'
export type {
  AnySaga,
  CarriedBy,
  CompensatedContext,
  CompensatedEffects,
  GivenTo,
  Saga,
  SagaOptions,
  SagaScope,
  SagaStart,
  SignalSet,
  Step,
  StepAsk,
  StepAskOptions,
  StepContext,
  StepOptions,
  Undoing,
} from './definition.ts'
export { mermaid } from './diagram.ts'
export { replayProblem } from './drive.ts'
export {
  ChildFailedError,
  CorrelationLateError,
  CorrelationMissingError,
  InboxFullError,
  ProcessPastGoneError,
  SagaInputInvalidError,
  SagaKeyTakenError,
  SagaLateError,
  SagaNotStartedError,
  SagaSkipRefusedError,
  StepFailedError,
  StepRejectedError,
  StepTimeoutError,
} from './errors.ts'
export { checkedInput } from './input-checks.ts'
export { inputMessage, type SagaInput, sagaTopic } from './inputs.ts'
export { instanceOf, outcomeOf, type SagaActivity, type SagaInstance, type SagaOutcome } from './instance.ts'
export { type ErrorNote, type Journal, type ParkReport, type SagaStatus, sagaStatuses } from './journal.ts'
export { pastOf, type SagaDifference, type SagaHappening, type SagaPast, type SagaPoint } from './past.ts'
export type { CorrelationPolicy } from './process.ts'
export { ProcessDesk, type ProcessSelection } from './process-desk.ts'
export type { ProcessInstance } from './process-instance.ts'
export {
  type ProcessDifference,
  type ProcessHappening,
  type ProcessPast,
  type ProcessPoint,
  processPastOf,
} from './process-past.ts'
export { type ProcessState, type ProcessStatus, processStatuses } from './process-state.ts'
export {
  allOf,
  anyOf,
  type EndEffect,
  end,
  type Reaction,
  type Rule,
  type RuleContext,
  type SeenOf,
  timeout,
} from './rules.ts'
export { saga, step } from './saga.ts'
export { SagaDesk, type SagaSelection } from './saga-desk.ts'
export { sagaGroup, sagaHandler, sagaNamespace } from './saga-handler.ts'
export type { SagaCalls } from './saga-host.ts'
export { outcomesOf } from './saga-outcomes.ts'
export { skipProblem } from './skip.ts'
