import type { Clock, Random } from '../kernel/index.ts'
import type { Capabilities } from './capabilities.ts'
import type { EventStore } from './events.ts'
import type { ConsumerGroups } from './groups.ts'
import type { StateStore } from './state.ts'
import type { Timers } from './timers.ts'
import type { Topics } from './topics.ts'
import type { CommitOutcome, WriteBatch } from './write-batch.ts'

/**
 * Keeps topics, the event store, state and timers, and commits changes of all of them together.
 *
 * @example
 * ```ts
 * const outcome = await engine.commit({
 *   publish: [{ topic: 'orders', messages: [OrderPlaced({ orderId: '7' })] }],
 *   state: [{ kind: 'set', namespace: 'orders', key: '7', value: { open: true } }],
 * })
 * if (!outcome.ok) console.log(outcome.conflict)
 * ```
 */
export interface Engine extends AsyncDisposable {
  readonly name: string
  readonly capabilities: Capabilities
  readonly topics: Topics
  readonly groups: ConsumerGroups
  readonly events: EventStore
  readonly state: StateStore
  readonly timers: Timers
  /**
   * Makes the whole batch real, or nothing of it. Resolves when it is as durable as the engine declares.
   * Commits are applied in the order of the calls.
   * @throws TopicUnknownError, PartitionUnknownError, RecordTooLargeError, OutOfSequenceError, ProducerFencedError, ClosedError,
   *   and the engine's own errors of its disk or connection
   */
  commit(batch: WriteBatch, options?: { readonly signal?: AbortSignal }): Promise<CommitOutcome>
  /** What was committed and has not arrived where it is read. Absent: it always has; nothing goes through an outbox. */
  inTransit?(): Promise<readonly InTransit[]>
  /**
   * Waits for commits in flight, then closes; idempotent. An engine whose server may be away waits for `timeoutMs` at most, if that is
   * given: what is under way then fails, as an outcome that nobody knows where it may have been done.
   */
  close(options?: { readonly timeoutMs?: number }): Promise<void>
}

/** Records that wait in one partition of an outbox: from `from` up to, not including, `to`. */
export interface InTransit {
  /** The outbox. */
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly to: number
}

/** What an engine takes from its surroundings, so that a test or a simulator can give its own. */
export interface EngineEnvironment {
  readonly clock: Clock
  readonly random: Random
  /**
   * Somebody only looks in, beside the programs that work here: what serves all of them, as retention by the clock and relays between
   * two engines do, is left to those. With `'read'` nothing will be written, so a file may be open in another process, and a schema
   * is left as it is. Default: no visit.
   */
  readonly visit?: 'read' | 'write'
}

/** A description of an engine that has not been opened yet, as `embedded({ path })` returns it. */
export interface EngineSource {
  readonly name: string
  /** What the engine will be able to do, before it is opened. */
  readonly capabilities: Capabilities
  open(environment?: Partial<EngineEnvironment>): Promise<Engine>
}
