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
  SagaInputInvalidError,
  SagaKeyTakenError,
  SagaNotStartedError,
  StepFailedError,
  StepRejectedError,
  StepTimeoutError,
} from './errors.ts'
export { checkedInput } from './input-checks.ts'
export { inputMessage, type SagaInput, sagaTopic } from './inputs.ts'
export { instanceOf, outcomeOf, type SagaActivity, type SagaInstance, type SagaOutcome } from './instance.ts'
export type { ErrorNote, Journal, ParkReport, SagaStatus } from './journal.ts'
export type { CorrelationPolicy, ProcessState } from './process.ts'
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
