/**
 * Tests without an engine, on a clock that stands still: for any test runner.
 * @module
 */
export { SagaNotDeterministicError } from './errors.ts'
export type { Interruption } from './saga-lane.ts'
export { type SagaTest, type SagaTestOptions, sagaTest } from './saga-test.ts'
