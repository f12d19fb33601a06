/**
 * Engines composed: topics in one, everything else in another, with an outbox and progress between them.
 * @module
 */
export { type DeploymentParts, deployment } from './deployment.ts'
export { CompactedWithoutKeyError, SequenceAcrossError } from './errors.ts'
