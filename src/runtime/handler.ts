import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Duration } from '../kernel/index.ts'
import type {
  AnyCommandDefinition,
  AnyDefinition,
  AnyEventDefinition,
  AnyQueryDefinition,
  Message,
  MessageOf,
  QueryArguments,
  QueryResult,
  ReadonlyData,
} from '../message/index.ts'
import type { Effect } from './effects.ts'
import type { RetryPolicy } from './retry-policy.ts'

/** What a handler returns: nothing, an effect, or several; what is `undefined` or `false` among them is left out. */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler without a return statement returns void, also as a promise
export type Effects<State = never> = void | undefined | Effect<State> | readonly (Effect<State> | undefined | false)[]

/** {@link Effects}, now or later. */
export type HandlerResult<State = never> = Effects<State> | Promise<Effects<State>>

/** What a handler of messages and one of timers are told besides. */
export interface CallContext {
  /**
   * Idempotency key for the outside world: the same for each attempt at this message by this handler, also after a crash. Made
   * of the message's source and id, which tell it apart from all others (CloudEvents 1.0, section "id").
   */
  readonly key: string
  /** Aborts when the attempt times out, when the partition is taken away, and when the app stops and waited long enough. */
  readonly signal: AbortSignal
  /** 1 for the first attempt; since when it is counted says {@link HandlerOptions.retry}. */
  readonly attempt: number
  /** The app's clock, in milliseconds since 1970. */
  readonly nowMs: () => number
  /**
   * Makes effects real before the handler goes on; resolves when they are durable. There is no progress: after a crash, or
   * when the attempt fails, the message comes again, and the handler sees the state that was set last. So it has to tell
   * from its state what it has done. Many keys share one commit. Timers that the handler is being run for may not be
   * scheduled in one.
   *
   * @throws EffectInvalidError `EFFECT_INVALID`, CheckpointRefusedError `CHECKPOINT_REFUSED`, and the engine's errors about
   *   what is to be written
   */
  readonly checkpoint: (effects: Effects<unknown>) => Promise<void>
  /**
   * Whether a message of the same key that fits waits for this one to end, such as one that calls the work off. Only what this
   * member has read so far is seen, so it may answer `false` for a message that is on its way.
   */
  readonly waitsBehind: (fits: (message: Message) => boolean) => boolean
  /**
   * Calls the outside world through the handler's circuit breaker and bulkhead; without these options it just calls.
   *
   * @throws BreakerOpenError `BREAKER_OPEN`: too many calls failed lately. Let it through: the message is tried again when
   *   the breaker lets calls pass, and the attempt does not count.
   */
  readonly call: <Result>(fn: (signal: AbortSignal) => PromiseLike<Result> | Result) => Promise<Result>
  /**
   * Asks a query of its one handler, in this app or another one, for at most 30 seconds: what a notification event leaves out,
   * for instance. The answer is of the time of the call, so another attempt may get another one.
   *
   * @throws HandlerMissingError `HANDLER_MISSING`, AskTimeoutError `ASK_TIMEOUT`, AskFailedError `ASK_FAILED`, DataInvalidError
   *   `DATA_INVALID`, the reason of the signal
   *
   * @example
   * ```ts
   * on(OrderChanged, async ({ data }, ctx) => {
   *   const { query, params } = OrderChanged.thin
   *   const order = await ctx.query(query, params(data))
   * })
   * ```
   */
  readonly query: <Query extends AnyQueryDefinition>(
    query: Query,
    ...params: QueryArguments<Query>
  ) => Promise<QueryResult<Query>>
}

/** What a handler is told besides the message. */
export interface HandlerContext extends CallContext {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Time of the record, in milliseconds since 1970. */
  readonly timestampMs: number
}

/** A durable timer that is due. */
export interface DueTimer {
  readonly id: string
  /** The key under which it was scheduled. */
  readonly key: string
  /** What it carries. */
  readonly data: unknown
  /** Milliseconds since 1970. */
  readonly dueMs: number
}

/** State that a handler keeps for each key. */
export interface StateOptions<State> {
  /** State of a key that has none yet. JSON. */
  readonly initial: State
  /** Checks each new state; what it refuses fails the message. Default: any JSON. */
  readonly schema?: StandardSchemaV1<unknown, State>
}

/** When and for how long a handler stops calling the outside world. */
export interface BreakerOptions {
  /** Failures in a row that open it, 1 to 1,000; a call during which its attempt times out is one. Default 5. */
  readonly failures?: number
  /** How long it stays open before one call may try again. Default `'10s'`. */
  readonly openFor?: Duration
}

/** What happens to later messages of a key when one of them becomes a dead letter. */
export type DeadLetterMode = 'continue' | 'park-key'

/** Options of `on`, but for state and timers. */
export interface HandlerOptions<M extends Message> {
  /** Unique in its service and stable over deployments. Default: the names of its events, joined by `+`. */
  readonly name?: string
  /**
   * Ordering key: messages with the same key are handled one after the other, in order, and share one state. Default: the
   * message's partition key. Messages without a key have no order.
   */
  readonly key?: (message: M) => string
  /**
   * When a failed message is tried again. Default `exponential()`: 5 attempts. Where the next attempt is a second away or more, what was
   * counted so far is kept in the store: after a restart, or in another process that has got the partition, the message waits for what is
   * left of the pause, and its attempts and their time go on. With shorter pauses, another policy, and for timers and what waited behind a
   * dead letter, they begin anew, and so they do after `millrace groups reset`. An attempt that ends the process is not counted; a message over which
   * processes end again and again becomes a dead letter all the same (`PROCESS_ENDED`).
   */
  readonly retry?: RetryPolicy
  /**
   * `'continue'`: later messages of the key are handled. `'park-key'`: they wait behind the dead letter, in order, until it
   * is redriven or discarded. Default `'continue'`.
   *
   * They wait on all topics and partitions of the handler that this member of its group reads: with one start of the app,
   * everywhere. Where several starts share the partitions, and messages of the key come from partitions of different
   * members (of several topics, or because `key` is not the partition key), each member holds back its own only; so give
   * such a handler one start, or one topic with the same partition key.
   *
   * A record that cannot be decoded parks the partition key under which it was published. With an option `key` its key
   * cannot be told, nor that of a message whose version cannot be read, so these park nothing. Each member holds back some 100,000
   * keys at most: a message that would park another one is tried again and again, with what comes after it, until it can be handled or dead letters were
   * redriven or discarded (`PARKED_KEYS_FULL` on the channel `waiting`).
   */
  readonly onDeadLetter?: DeadLetterMode
  /** Handles a message id (with its source) once within at least this time. Default: no deduplication beyond exactly-once. */
  readonly dedupe?: { readonly window: Duration }
  /** Longest time for one attempt; then its signal aborts and it counts as failed. Default `'30s'`. */
  readonly timeout?: Duration
  /** How many keys are handled at once when the handler is asynchronous, 1 to 10,000. Default 64. */
  readonly concurrency?: number
  /**
   * Whether it is handed messages while they are on their way to the disk, where the engine can (`capabilities.topics.early`): then message
   * and effects take one sync instead of two. Its effects become real only with the message or after it, but if the
   * power fails, or the disk is full, it has seen a message that never was. So choose it for handlers that touch nothing
   * outside. Views and choreographies, which are functions of their events, always work so. Default `false`.
   */
  readonly early?: boolean
  /** Where the handler starts on a topic that it has never read. Default `'earliest'`. */
  readonly from?: 'earliest' | 'latest'
  /**
   * Refuses to start where the effects of a message could become real twice. What it does outside, by `ctx.call`, is beyond
   * any engine. Default: it starts, and `millrace explain` tells what it can rely on.
   */
  readonly requires?: 'exactly-once'
  /** Circuit breaker around `ctx.call`. Default: none. */
  readonly breaker?: BreakerOptions
  /**
   * At most this many `ctx.call` at once, 1 to 10,000; others wait. A call counts until it returns or its attempt times out.
   * Default: no bound of its own.
   */
  readonly bulkhead?: { readonly concurrent: number }
  /**
   * At most this many messages a second, above 0, of all processes that run the handler: each takes a share by its partitions.
   * Later messages wait where they are stored, and the lag grows. Further attempts, timers and what waited behind a dead
   * letter are not counted. Default: as fast as it can.
   */
  readonly messagesPerSecond?: number
}

/** Timers of a handler without state, by id. */
export type Timers = Readonly<Record<string, (timer: DueTimer, ctx: CallContext) => HandlerResult>>

/** Timers of a handler with state, by id. */
export type StatefulTimers<State> = Readonly<
  Record<string, (timer: DueTimer, state: ReadonlyData<State>, ctx: CallContext) => HandlerResult<ReadonlyData<State>>>
>

/** What a handler takes: events, which any number of handlers may take, or commands, of which each has one handler. */
export type SubscribedDefinition = AnyEventDefinition | AnyCommandDefinition

/** One definition or several. */
export type Subscribed = SubscribedDefinition | readonly [SubscribedDefinition, ...SubscribedDefinition[]]

/** The messages of what is subscribed: a union, told apart by `message.type`. */
export type MessageFor<E extends Subscribed> = E extends readonly SubscribedDefinition[]
  ? MessageOf<E[number]>
  : MessageOf<E>

/** A handler as `on` makes it: plain data and functions, with all defaults filled in. */
export interface Handler {
  readonly name: string
  /** Definitions of what it takes: events, or the commands or queries that it is the one handler of. */
  readonly events: readonly AnyDefinition[]
  readonly key: ((message: Message) => string | readonly string[] | undefined) | undefined
  /**
   * Of views: a message for which `key` answers none does not concern it, and one for which it answers several counts under each of
   * them. For other handlers both are failures.
   */
  readonly countsByKey: boolean
  readonly state: { readonly initial: unknown; readonly schema: StandardSchemaV1 | undefined } | undefined
  /** `key` is given where {@link Handler.countsByKey}. */
  readonly handle: (message: Message, state: unknown, ctx: HandlerContext, key?: string) => HandlerResult<unknown>
  readonly timers: Readonly<
    Record<string, (timer: DueTimer, state: unknown, ctx: CallContext) => HandlerResult<unknown>>
  >
  readonly retry: RetryPolicy
  readonly onDeadLetter: DeadLetterMode
  readonly dedupeWindowMs: number | undefined
  readonly timeoutMs: number
  readonly concurrency: number
  readonly early: boolean
  readonly from: 'earliest' | 'latest'
  readonly requires: 'exactly-once' | undefined
  readonly breaker: { readonly failures: number; readonly openForMs: number } | undefined
  readonly bulkhead: { readonly concurrent: number } | undefined
  readonly messagesPerSecond: number | undefined
  /**
   * Where it keeps what it makes of messages, if that is a database of the user's own: how that is called, and for how long a
   * message is noted there in the transaction that applied it, so that it does nothing when it comes again.
   */
  readonly tables: { readonly database: string; readonly keepMs: number } | undefined
}
