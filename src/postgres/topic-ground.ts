import type { Clock } from '../kernel/index.ts'
import type { MadeChanges } from './made-changes.ts'
import type { StatementRunner } from './statements.ts'
import type { TopicCatalog } from './topic-catalog.ts'

/** What topics and consumer groups take from the engine that they are parts of. */
export interface TopicGround {
  /** The schema as it was given, for sentences. */
  readonly schemaName: string
  /** The schema as a quoted identifier, for statements. */
  readonly schema: string
  readonly clock: Clock
  readonly runner: StatementRunner
  readonly catalog: TopicCatalog
  readonly made: MadeChanges
  /** Longest time between two looks at what other processes changed, in milliseconds. */
  readonly pollMs: number
  /** This opening of the engine: a UUID. */
  readonly instanceId: string
  /** Throws if the engine was closed or has failed. */
  refuseIfDone(): void
  /** Does something that writes, after all commits made before; refuses it once `close()` was called. */
  inOrder<T>(work: () => Promise<T>): Promise<T>
  /** Says that other processes may want to look: they are told soon, or find out when they look by themselves. */
  announce(): void
}
