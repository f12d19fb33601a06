import type { Capabilities } from '../capabilities.ts'
import type { Fixture } from './fixture.ts'

/** What a case may ask before it runs. */
export interface Offer {
  readonly capabilities: Capabilities
  /** Whether the suite can move the engine's time. */
  readonly movesTime: boolean
}

/** One thing that an engine must do, as data: any test runner can run it. */
export interface ConformanceCase {
  /** Starts with its area: `publish: …`. Unique. */
  readonly name: string
  /** `true`, or the reason why this engine is not asked. */
  readonly requires?: Requirement
  /** Rejects when the engine does not conform. */
  run(fixture: Fixture): Promise<void>
}

/** Decides whether a case can be asked of an engine. */
export type Requirement = (offer: Offer) => true | string

/** All of several requirements; the first that says no gives the reason. */
export function all(...requirements: readonly Requirement[]): Requirement {
  return (offer) => {
    for (const requirement of requirements) {
      const verdict = requirement(offer)
      if (verdict !== true) return verdict
    }
    return true
  }
}

/** The suite has to move the time. */
export const movableTime: Requirement = ({ movesTime }) => movesTime || 'the time of this engine cannot be moved'

/** What was committed outlives `close()`. */
export const survivesClose: Requirement = ({ capabilities }) =>
  capabilities.durability === 'synced' || 'this engine forgets everything when it is closed'

/** Progress may be made out of order. */
export const outOfOrder: Requirement = ({ capabilities }) =>
  capabilities.topics.outOfOrderProgress || 'this engine takes progress in order only'

/** Producers are numbered. */
export const idempotentProducers: Requirement = ({ capabilities }) =>
  capabilities.topics.idempotentProducers || 'this engine has no idempotent producers'

/** Old records are deleted. */
export const retention: Requirement = ({ capabilities }) =>
  capabilities.topics.retention || 'this engine has no retention'

/** Topics are compacted by key. */
export const compaction: Requirement = ({ capabilities }) =>
  capabilities.topics.compaction || 'this engine has no compaction'

/** Appends take conditions over types and tags. */
export const conditions: Requirement = ({ capabilities }) =>
  capabilities.events.conditions || 'this engine has no append conditions'

/** One commit appends to several streams. */
export const multiStream: Requirement = ({ capabilities }) =>
  capabilities.events.multiStream || 'this engine appends to one stream a commit'

/** A repeated append is recognised by the ids of its events. */
export const idempotentById: Requirement = ({ capabilities }) =>
  capabilities.events.idempotentById || 'this engine does not recognise events by their ids'

/** The engine keeps all of these kinds of things. */
export function keeps(...kinds: readonly Capabilities['keeps'][number][]): Requirement {
  return ({ capabilities }) => {
    const missing = kinds.filter((kind) => !capabilities.keeps.includes(kind))
    return missing.length === 0 || `this engine does not keep ${missing.join(', ')}`
  }
}

/** One commit makes all of these kinds of things real together. */
export function atomic(...kinds: readonly Capabilities['keeps'][number][]): Requirement {
  return ({ capabilities }) =>
    capabilities.atomic.some((domain) => kinds.every((kind) => domain.includes(kind))) ||
    `this engine does not commit ${kinds.join(', ')} together`
}
