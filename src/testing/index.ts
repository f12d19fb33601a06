/**
 * Tests without an engine, on a clock that stands still: for any test runner.
 * @module
 */
export { type ChoreographyTest, choreographyTest, type GivenUp } from './choreography-test.ts'
export { SagaNotDeterministicError } from './errors.ts'
export type { Interruption } from './saga-lane.ts'
export { type SagaTest, type SagaTestOptions, sagaTest } from './saga-test.ts'
