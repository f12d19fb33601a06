/** The kinds of things that an engine can keep. */
export type Kept = 'topics' | 'progress' | 'events' | 'state' | 'timers'

/** What an engine can do, as data: the runtime and `explain` reason with it, the conformance suite holds it to it. */
export interface Capabilities {
  readonly keeps: readonly Kept[]
  /** Sets of kinds that one commit makes real together. */
  readonly atomic: readonly (readonly Kept[])[]
  /** `'synced'`: an acknowledged commit survives a power cut. `'memory'`: it is gone with the process. */
  readonly durability: 'synced' | 'memory'
  readonly topics: {
    readonly ordering: 'partition'
    readonly idempotentProducers: boolean
    readonly compaction: boolean
    readonly retention: boolean
    readonly compression: readonly ('none' | 'gzip' | 'zstd')[]
    /** Progress may be made out of order within a partition and survives a restart. */
    readonly outOfOrderProgress: boolean
    /** Commits may leave offsets that hold no record, as markers of transactions do. Absent: only compaction leaves gaps. */
    readonly offsetGaps?: boolean
    /** What is published can be read before it is durable, and a commit that rests on it is real only if it is. Absent: it cannot. */
    readonly early?: true
  }
  readonly events: {
    readonly conditions: boolean
    readonly multiStream: boolean
    readonly idempotentById: boolean
  }
  /**
   * State that is written under a claim lives with the claimed partition: its owner alone writes it, it moves with the claim,
   * and a key that comes from two partitions has a state on each. Absent: state is one for all.
   */
  readonly ownedState?: true
  /** How members of one group may be spread. */
  readonly members: 'process' | 'network'
  /**
   * The engine is two: what is published in one commit with anything else goes through an outbox of the store and reaches
   * the topics later, in order within a partition. Absent: it is one.
   */
  readonly bridge?: {
    /** Names of the engines. */
    readonly topics: string
    readonly store: string
    /** How often the outbox delivers. */
    readonly delivery: 'exactly-once' | 'at-least-once'
  }
}

/**
 * Whether one commit may hold messages together with state, so that both are real or neither. Where the engine is two, the messages
 * then go through its outbox.
 *
 * @example
 * ```ts
 * commitsStateWithTopics(engine.capabilities) // true for embedded() and postgres()
 * ```
 */
export function commitsStateWithTopics({ keeps, atomic, bridge }: Capabilities): boolean {
  if (bridge !== undefined) return keeps.includes('state')
  return atomic.some((kinds) => kinds.includes('topics') && kinds.includes('state'))
}
