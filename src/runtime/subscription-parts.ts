import type { Engine } from '../engine/index.ts'
import type { Clock, Random } from '../kernel/index.ts'
import type { AnyQueryDefinition, Message } from '../message/index.ts'
import type { MessageReport } from '../telemetry/index.ts'
import type { Committer } from './committer.ts'
import type { CrashWatch } from './crash-watch.ts'
import type { Dedupe } from './dedupe.ts'
import type { Handler } from './handler.ts'
import type { KeptAttempts } from './kept-attempts.ts'
import type { OutsideCalls } from './outside-calls.ts'
import type { SharedPace } from './pace.ts'
import type { Parking } from './parking.ts'
import type { PartitionReader } from './partition-reader.ts'
import type { Patience } from './patience.ts'
import type { StateCache } from './state-cache.ts'
import type { Task } from './task.ts'
import type { TimerService } from './timer-service.ts'
import type { TopicResolver } from './topic-resolver.ts'

/** What a subscription is for and where it lives. */
export interface SubscriptionSetup {
  readonly app: string
  /** Consumer group: `<app>.<service>.<handler>`. */
  readonly group: string
  /** Source of the messages that the handler creates, such as `/shop/payment`. */
  readonly source: string
  readonly handler: Handler
  /** Namespace of the handler's state. */
  readonly stateNamespace: string
  readonly engine: Engine
  readonly clock: Clock
  readonly random: Random
  readonly topics: TopicResolver
  /** Asks a query, for a handler. */
  readonly query: (query: AnyQueryDefinition, params: unknown, signal: AbortSignal) => Promise<unknown>
  /** A member that gives no sign of life for so long loses its partitions, in milliseconds. */
  readonly sessionTimeoutMs: number
  /** Absent: it works as fast as it can, for whoever waits for it. */
  readonly haste?: Haste
}

/** How a subscription works that nobody waits for yet, such as one that builds a view anew. */
export interface Haste {
  /** Whether much is to be done that nobody waits for: commits are few and large then. */
  readonly isBulk: () => boolean
  readonly pace: SharedPace
}

/** What the parts of a running subscription share. */
export interface SubscriptionParts extends SubscriptionSetup {
  /** The engine of the setup, but what it cannot do for a reason that passes is waited for. Merged and lone commits go to the setup's own. */
  readonly engine: Engine
  readonly patience: Patience
  readonly committer: Committer
  readonly cache: StateCache
  readonly parking: Parking
  readonly keptAttempts: KeptAttempts
  readonly crashWatch: CrashWatch
  readonly dedupe: Dedupe | undefined
  readonly timers: TimerService
  readonly outside: OutsideCalls
  /** Tasks of the same key that wait for this one to end, the next first. */
  readonly behind: (task: Task) => readonly Task[]
  /** Rises with each rewind: what began before is of no more interest. */
  readonly epoch: () => number
  /** Aborts at the end of the epoch. */
  readonly epochSignal: () => AbortSignal
  /** Holds all work back for so long: the handler's breaker is open. */
  readonly pause: (forMs: number) => void
  /** The engine failed: everything stops. */
  readonly onFatal: (error: unknown) => void
  /** The partition belongs to somebody else now. */
  readonly onFenced: (reader: PartitionReader) => void
  /** What is in memory is not what is stored: it has to be read again. */
  readonly onStale: (reason: string) => void
  /** A message as the current version of its definition. @throws what the definition's `read` throws */
  readonly current: (message: Message) => Message
}

/** Where something happened, for telemetry. */
export function reportOf(group: string, task: Task): MessageReport {
  return {
    handler: group,
    topic: task.topic,
    partition: task.partition,
    offset: task.offset,
    key: task.key ?? null,
    type: task.timer !== undefined ? task.timer.id : task.hasMessage ? task.message.type : null,
    messageId: task.timer === undefined && task.hasMessage ? task.message.id : null,
    attempt: task.attempt,
  }
}
