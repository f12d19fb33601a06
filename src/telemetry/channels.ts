import { channel } from 'node:diagnostics_channel'

/** Messages were published and are durable: by a handler (its group) or by the program (`null`). */
export interface PublishedReport {
  readonly app: string
  readonly handler: string | null
  readonly messageCount: number
  /** From the call to durable, in milliseconds. */
  readonly durationMs: number
}

/** Records were read from one partition for one handler. */
export interface ConsumedReport {
  readonly handler: string
  readonly topic: string
  readonly partition: number
  /** Records that were read, those of types that the handler does not subscribe to included. */
  readonly recordCount: number
  /** Where reading goes on. */
  readonly nextOffset: number
  /** The partition's end at the time of the read. */
  readonly latest: number
}

/** Where something happened to a message. */
export interface MessageReport {
  readonly handler: string
  /** `offset` -1: a timer. */
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  /** Type of the message; for a timer its id; `null` if the record is no message. */
  readonly type: string | null
  readonly messageId: string | null
  /** 1 for the first since the app started. */
  readonly attempt: number
}

/** A handler finished; its effects wait for their commit. */
export interface HandledReport extends MessageReport {
  /** Time in the handler, in milliseconds. */
  readonly durationMs: number
  readonly effectCount: number
}

/** An attempt failed. */
export interface FailedReport extends MessageReport {
  readonly error: unknown
}

/** A message that failed will be tried again. */
export interface RetriedReport extends FailedReport {
  /** Until the next attempt, in milliseconds. */
  readonly delayMs: number
}

/** A message was given up. */
export interface DeadLetteredReport extends FailedReport {
  /** Id of the dead letter. */
  readonly id: string
}

/** Effects and progress became durable. */
export interface CommittedReport {
  readonly handler: string
  readonly messageCount: number
  readonly publishedCount: number
  readonly stateCount: number
  /** From the call to durable, in milliseconds. */
  readonly durationMs: number
}

/** Messages went from the outbox of a topic to the topic. */
export interface RelayedReport {
  readonly topic: string
  readonly messageCount: number
  /** From the look into the outbox to durable in the topic, in milliseconds. */
  readonly durationMs: number
}

/** Messages wait in the outbox of a topic because the topic cannot be written; it is tried again. */
export interface RelayFailedReport {
  readonly topic: string
  readonly error: unknown
  /** Until the next attempt, in milliseconds. */
  readonly delayMs: number
}

/** Changes that were captured from a database are durable where they are published. */
export interface CapturedReport {
  /** Replication slot of the capture. */
  readonly slot: string
  readonly messageCount: number
  /** From the call to durable, in milliseconds. */
  readonly durationMs: number
}

/** A capture of changes cannot go on: it is tried again, or has ended. */
export interface CaptureFailedReport {
  /** Replication slot of the capture. */
  readonly slot: string
  readonly error: unknown
  /** Until the next attempt, in milliseconds; `null`: there is none. */
  readonly delayMs: number | null
}

/** No more changes of a table come under its name. If the commit that tells of it fails, this comes again. */
export interface CaptureTableLeftReport {
  /** Replication slot of the capture. */
  readonly slot: string
  readonly schema: string
  readonly table: string
  /** What became of it: `replaced` if another table is captured under its name. */
  readonly reason: 'dropped' | 'renamed' | 'unpublished' | 'replaced'
  /** Of `renamed`; else `null`. */
  readonly renamedTo: { readonly schema: string; readonly name: string } | null
}

/** A page of a changelog was read into the local copy of the state, while it is not yet complete. */
export interface StateRestoredReport {
  readonly topic: string
  readonly partition: number
  /** Offset up to which the copy holds the changelog … */
  readonly position: number
  /** … of so many. */
  readonly end: number
}

/** How far a handler is behind on a partition, after each commit. */
export interface LagReport {
  readonly handler: string
  readonly topic: string
  readonly partition: number
  readonly lagMessages: number
}

/** A member got or lost partitions. */
export interface RebalancedReport {
  readonly handler: string
  readonly change: 'assigned' | 'revoked' | 'lost'
  readonly partitions: readonly { readonly topic: string; readonly partition: number }[]
}

/** A merged commit was refused; what it held is handled again. */
export interface RewoundReport {
  readonly handler: string
  readonly reason: string
}

/**
 * Members before this one have ended over a partition, several in a row, without progress: what was there is handled one by one, until
 * what ends the process is found, for 10 s at most.
 */
export interface SuspectedReport {
  readonly handler: string
  readonly topic: string
  readonly partition: number
  /** How many members in a row. */
  readonly crashes: number
}

/** The engine could not do something for a reason that passes, such as a full disk: it is tried again until it can. */
export interface WaitingReport {
  readonly app: string
  /** Consumer group of the handler that waits; `null`: the app itself. */
  readonly handler: string | null
  readonly error: unknown
  /** Until the next try, in milliseconds. */
  readonly delayMs: number
}

/** An engine waits for its server: to come back, or to be able again. Whoever asked it for something waits with it. */
export interface EngineWaitingReport {
  /** `kafka` or `postgres`. */
  readonly engine: string
  /** What stands in its way. */
  readonly error: unknown
  /** So far, in milliseconds. */
  readonly waitedMs: number
}

/** A circuit breaker changed. */
export interface BreakerReport {
  readonly handler: string
  readonly state: 'closed' | 'open' | 'half-open'
}

/** A decider or boundary answered a command. Of one that was sent, before the commit: it may be decided anew. */
export interface DecidedReport {
  readonly handler: string
  /** Type of the command. */
  readonly type: string
  readonly messageId: string
  readonly outcome: 'accepted' | 'rejected'
  /** Code of the rejection. */
  readonly code: string | null
  readonly eventCount: number
  /** The same command had been handled before. */
  readonly repeated: boolean
  /** Until it was durable, in milliseconds; of one that was sent, until it was decided. */
  readonly durationMs: number
}

/** An instance of a saga has another status. */
export interface SagaReport {
  /** Consumer group of the saga. */
  readonly handler: string
  readonly key: string
  readonly status: string
  /** `null`: it has just begun. */
  readonly before: string | null
  /** Why it is parked or compensated. */
  readonly problem: string | null
}

/** A step could not be undone; it is tried again. Somebody should look, if that goes on. */
export interface UndoFailedReport {
  /** Consumer group of the saga. */
  readonly handler: string
  readonly key: string
  readonly step: string
  /** 1 for the first. */
  readonly attempt: number
  readonly error: unknown
  /** Until the next attempt, in milliseconds. */
  readonly delayMs: number
}

/** A channel of `node:diagnostics_channel` whose messages have one type. */
export interface TypedChannel<Report> {
  readonly name: string | symbol
  readonly hasSubscribers: boolean
  publish(report: Report): void
  subscribe(listener: (report: Report, name: string | symbol) => void): void
  /** `false`: it was not subscribed. */
  unsubscribe(listener: (report: Report, name: string | symbol) => void): boolean
}

function typed<Report>(name: string): TypedChannel<Report> {
  return channel(`millrace:${name}`) as unknown as TypedChannel<Report>
}

/**
 * All channels on which Millrace reports. Publishers check `hasSubscribers` first, so a channel costs nothing until
 * somebody listens.
 *
 * @example
 * ```ts
 * channels.handled.subscribe((report) => histogram.record(report.durationMs, { handler: report.handler }))
 * ```
 */
export const channels: {
  readonly published: TypedChannel<PublishedReport>
  readonly consumed: TypedChannel<ConsumedReport>
  readonly handled: TypedChannel<HandledReport>
  readonly failed: TypedChannel<FailedReport>
  readonly retried: TypedChannel<RetriedReport>
  readonly deadLettered: TypedChannel<DeadLetteredReport>
  readonly committed: TypedChannel<CommittedReport>
  readonly lag: TypedChannel<LagReport>
  readonly rebalanced: TypedChannel<RebalancedReport>
  readonly rewound: TypedChannel<RewoundReport>
  readonly suspected: TypedChannel<SuspectedReport>
  readonly waiting: TypedChannel<WaitingReport>
  readonly engineWaiting: TypedChannel<EngineWaitingReport>
  readonly breaker: TypedChannel<BreakerReport>
  readonly decided: TypedChannel<DecidedReport>
  readonly relayed: TypedChannel<RelayedReport>
  readonly relayFailed: TypedChannel<RelayFailedReport>
  readonly saga: TypedChannel<SagaReport>
  readonly undoFailed: TypedChannel<UndoFailedReport>
  readonly captured: TypedChannel<CapturedReport>
  readonly captureFailed: TypedChannel<CaptureFailedReport>
  readonly captureTableLeft: TypedChannel<CaptureTableLeftReport>
  readonly stateRestored: TypedChannel<StateRestoredReport>
} = Object.freeze({
  published: typed<PublishedReport>('published'),
  consumed: typed<ConsumedReport>('consumed'),
  handled: typed<HandledReport>('handled'),
  failed: typed<FailedReport>('failed'),
  retried: typed<RetriedReport>('retried'),
  deadLettered: typed<DeadLetteredReport>('dead-lettered'),
  committed: typed<CommittedReport>('committed'),
  lag: typed<LagReport>('lag'),
  rebalanced: typed<RebalancedReport>('rebalanced'),
  rewound: typed<RewoundReport>('rewound'),
  suspected: typed<SuspectedReport>('suspected'),
  waiting: typed<WaitingReport>('waiting'),
  engineWaiting: typed<EngineWaitingReport>('engine-waiting'),
  breaker: typed<BreakerReport>('breaker'),
  decided: typed<DecidedReport>('decided'),
  relayed: typed<RelayedReport>('relayed'),
  relayFailed: typed<RelayFailedReport>('relay-failed'),
  saga: typed<SagaReport>('saga'),
  undoFailed: typed<UndoFailedReport>('undo-failed'),
  captured: typed<CapturedReport>('captured'),
  captureFailed: typed<CaptureFailedReport>('capture-failed'),
  captureTableLeft: typed<CaptureTableLeftReport>('capture-table-left'),
  stateRestored: typed<StateRestoredReport>('state-restored'),
})
