/**
 * For tests of one's own, in any test runner: specifications in the words given, when, then.
 * @module
 */
export { SpecificationFailedError } from './errors.ts'
export {
  type DecisionExpectation,
  type DecisionSpecification,
  specification,
  type ViewExpectation,
} from './specification.ts'
