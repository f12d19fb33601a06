/**
/**
 * For tests of one's own, in any test runner: specifications in the words given, when, then, and sagas and choreographies without
 * an engine, on a clock that stands still.
 * @module
 */
export { type ChoreographyTest, choreographyTest, type GivenUp } from './choreography-test.ts'
export {
  AskNotUnderTestError,
  SagaNotDeterministicError,
  SagaNotUnderTestError,
  SpecificationFailedError,
} from './errors.ts'
export type { AnswersUnderTest } from './saga-calls.ts'
export type { Interruption } from './saga-lane.ts'
export { type SagaTest, type SagaTestOptions, sagaTest } from './saga-test.ts'
export {
  type DecisionExpectation,
  type DecisionSpecification,
  specification,
  type TableExpectation,
  type ViewExpectation,
} from './specification.ts'
