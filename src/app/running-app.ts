import type { Boundary, ClosedBooks, CommandOutcome, Decider, View, ViewReader } from '../domain/index.ts'
import type { Engine, TopicPosition } from '../engine/index.ts'
import type { Duration } from '../kernel/index.ts'
import type { AnyQueryDefinition, CommandMessage, EventMessage, Message, QueryResult } from '../message/index.ts'
import type { DeadLetters, Handler, Lag, TimerTime } from '../runtime/index.ts'
import type {
  Choreography,
  GivenTo,
  ProcessInstance,
  ProcessPast,
  ProcessSelection,
  Saga,
  SagaInstance,
  SagaOutcome,
  SagaPast,
  SagaSelection,
  SignalSet,
} from '../saga/index.ts'
import type { TableCopies, TableView } from '../tables/index.ts'

/** How long somebody waits for an answer. */
export interface AskOptions {
  /**
   * Default `'30s'`; without any options a command that this app handles itself is waited for as long as it takes. What was asked
   * may take effect all the same.
   */
  readonly timeout?: Duration
  readonly signal?: AbortSignal
}

/** Talks to the instances of a saga of a running app. What it tells them is durable when the call resolves. */
export interface SagaClient<Input, Result, Signals extends SignalSet, Given = Input> {
  /**
   * Starts an instance. If there is one under the key, also one that has ended and is still kept, nothing happens. The input is
   * what the schema takes; the body gets what the schema makes of it.
   *
   * @throws SagaInputInvalidError `SAGA_INPUT_INVALID`
   */
  start(key: string, input: Given): Promise<void>
  /** Starts an instance and waits for its end. */
  run(key: string, input: Given, options?: { readonly signal?: AbortSignal }): Promise<SagaOutcome<Result>>
  /** @throws SagaInputInvalidError `SAGA_INPUT_INVALID` */
  signal<Name extends keyof Signals & string>(key: string, name: Name, data: GivenTo<Signals[Name]>): Promise<void>
  /**
   * Stops an instance that is running, as soon as the steps at hand are over, and undoes what it has done. If nothing has started
   * it, that becomes a dead letter: `SAGA_NOT_STARTED`.
   */
  cancel(key: string, reason?: string): Promise<void>
  /** Waits until an instance has ended or is parked: now, or once it is started. */
  outcome(key: string, options?: { readonly signal?: AbortSignal }): Promise<SagaOutcome<Result>>
  get(key: string): Promise<SagaInstance<Input, Result> | undefined>
  /**
   * What happened to an instance, why, and how it was at any time. `undefined`: there is none.
   *
   * @example
   * ```ts
   * const past = await running.saga(checkout).past('o1')
   * past?.at({ time: '2026-03-01T12:00:00Z' })?.status // 'compensating'
   * for (const { timeMs, what, id, error } of past?.happenings ?? []) console.log(timeMs, what, id, error?.message)
   * ```
   */
  past(key: string): Promise<SagaPast<Input, Result> | undefined>
  /**
   * In the order of their keys. Looks through all instances with the prefix.
   *
   * @throws OptionsInvalidError `OPTIONS_INVALID`
   */
  list(selection?: SagaSelection): Promise<readonly SagaInstance<Input, Result>[]>
  /** Lets an instance go on that is parked, and tries at once what waits for its next attempt. */
  retry(key: string): Promise<void>
  /**
   * Pretends that a step is done, with this output, so that it is undone should the instance be compensated; once that has begun,
   * that it is undone.
   *
   * @throws SagaSkipRefusedError `SAGA_SKIP_REFUSED`: as the instance is now, that would change nothing
   */
  skip(key: string, step: string, output?: unknown): Promise<void>
  /** Undoes what an instance has done, also one that has completed or is parked. */
  compensate(key: string, reason?: string): Promise<void>
}

/** Looks at the processes of a choreography of a running app. */
export interface ProcessClient {
  get(key: string): Promise<ProcessInstance | undefined>
  /**
   * What happened to a process, why, and how it was at any time that is kept. `undefined`: there is none.
   *
   * @example
   * ```ts
   * const past = await running.processes(fulfilment).past('o1')
   * past?.at({ time: '2026-03-01T12:00:00Z' })?.status // 'open'
   * for (const { timeMs, what, type, cause, applied } of past?.happenings ?? []) console.log(timeMs, what, type, cause?.id, applied)
   * ```
   */
  past(key: string): Promise<ProcessPast | undefined>
  /**
   * In the order of their keys. Looks through all processes with the prefix.
   *
   * @throws OptionsInvalidError `OPTIONS_INVALID`
   */
  list(selection?: ProcessSelection): Promise<readonly ProcessInstance[]>
}

/** An app that runs. Made by `app.start()`. */
export interface RunningApp extends AsyncDisposable {
  readonly name: string
  readonly engine: Engine
  /**
   * Publishes to the topics of the messages' definitions; resolves when it is durable. All of them in one commit.
   *
   * Calls that are not awaited keep their order in each topic. If one of them fails, such as for a full disk, later ones may still succeed.
   */
  publish(messages: EventMessage | readonly EventMessage[]): Promise<readonly TopicPosition[]>
  /**
   * Sends a command to its one handler: fire and forget. Resolves when it is durable. A rejection of it is reported on the
   * channel `decided` and to nobody else.
   *
   * @param when Not before this time, by a durable timer. Default: at once.
   * @throws HandlerMissingError `HANDLER_MISSING`: neither this app nor one that it names under `remote` handles it.
   */
  send(command: CommandMessage, when?: TimerTime): Promise<void>
  /**
   * Has a command handled and answers what became of it, once that is durable. Where a decider of this app handles it, at once and
   * in this process; where another app does, by request and reply.
   *
   * The same command again, by its id, has the same outcome. With `of`, the decider that handles it, events and codes have their
   * types.
   *
   * @throws HandlerMissingError `HANDLER_MISSING`, AskTimeoutError `ASK_TIMEOUT`, AskFailedError `ASK_FAILED`: the handler in
   *   the other app failed; here what the decider throws, CommandConflictError `COMMAND_CONFLICT`, and CommandIdTakenError `COMMAND_ID_TAKEN`:
   *   a command of another type was handled under that id.
   */
  ask<Command extends Message, Event extends Message, Code extends string>(
    command: Command,
    options: AskOptions & { readonly of: Decider<Command, Event, unknown, Code> | Boundary<Command, Event, Code> },
  ): Promise<CommandOutcome<Event, Code>>
  ask(command: CommandMessage, options?: AskOptions): Promise<CommandOutcome>
  /**
   * Asks a query of its one handler, in this app or another one.
   *
   * @throws HandlerMissingError `HANDLER_MISSING`, AskTimeoutError `ASK_TIMEOUT`, AskFailedError `ASK_FAILED`,
   *   DataInvalidError `DATA_INVALID`: the answer does not fit the schema of the result; here what the handler throws.
   */
  query<Query extends AnyQueryDefinition>(
    query: Query,
    ...params: Parameters<Query> extends [infer Params, ...unknown[]]
      ? [params: Params, options?: AskOptions]
      : [params?: null, options?: AskOptions]
  ): Promise<QueryResult<Query>>
  /**
   * Closes the books of a stream of a decider of this app: appends one event that carries the whole state forward, then
   * removes what came before it. The stream and its versions go on. Copies of inline views that still follow the event store, as
   * while they are built, are waited for first, up to 10 seconds.
   *
   * @param carry Makes the event, that of the decider's option `carriesForward`, of the state.
   * @throws BooksUnbalancedError `BOOKS_UNBALANCED`: the event does not carry the state; nothing was changed.
   *   BooksNeededError `BOOKS_NEEDED`: such a copy did not catch up, or cannot; nothing was changed. DeciderUnknownError `DECIDER_UNKNOWN`
   */
  closeBooks<Event extends Message, State>(
    decider: Decider<Message, Event, State>,
    stream: string,
    carry: (state: State) => Event,
  ): Promise<ClosedBooks>
  /**
   * The versions of a view in tables of your own: what readers see, and what is built beside it.
   *
   * @throws ViewUnknownError `VIEW_UNKNOWN`, ArgumentInvalidError `ARGUMENT_INVALID`: it is without the option `tables`
   */
  view(view: TableView): { readonly copies: TableCopies }
  /** @throws ViewUnknownError `VIEW_UNKNOWN` */
  view<State>(view: View<State>): ViewReader<State>
  /**
   * Resolves when a handler has handled what a command led to, or what stands at these places: for handlers that keep tables
   * of yours, so that the next query shows it. Where nobody could tell the places (through an outbox, or in a reply from
   * another process), when it has handled all that was published before the call.
   *
   * @throws HandlerUnknownError `HANDLER_UNKNOWN`, the reason of the signal, AppStoppedError `APP_STOPPED`, ArgumentInvalidError
   *   `ARGUMENT_INVALID`, PartitionUnknownError `PARTITION_UNKNOWN`
   */
  waitFor(
    handler: Handler,
    what: CommandOutcome | readonly TopicPosition[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<void>
  /** @throws SagaUnknownError `SAGA_UNKNOWN` */
  saga<Input, Result, Signals extends SignalSet, Given>(
    saga: Saga<Input, Result, Signals, Given>,
  ): SagaClient<Input, Result, Signals, Given>
  /**
   * The processes of a choreography.
   *
   * @throws HandlerUnknownError `HANDLER_UNKNOWN`
   *
   * @example
   * ```ts
   * const open = await running.processes(fulfilment).list({ status: 'open', startedToMs: yesterday })
   * ```
   */
  processes(choreography: Choreography): ProcessClient
  /** What failed for good: list, show, redrive, discard. */
  readonly deadLetters: DeadLetters
  /**
   * Resolves when there is nothing left to do for this app in this process: all that was published is handled by every
   * handler and view, and all redrives are done, by this start and by every other start of the app on this engine object.
   * Timers that are not due do not count. Rejects when this start fails, with its error, or stops.
   */
  idle(options?: { readonly signal?: AbortSignal }): Promise<void>
  /** How far each handler and view is behind. */
  lag(): Promise<readonly Lag[]>
  /** Rejects (never resolves) when the engine failed and the app had to stop. Unhandled, it is silent. */
  readonly failed: Promise<never>
  /**
   * Stops: reads no more, lets handlers finish within `stopTimeout`, commits, leaves. What is not finished is handled at
   * the next start. Idempotent. Where the engine answers no more, it is not waited for longer than 10 seconds beyond that; what was being
   * committed then fails, with an outcome that nobody knows where it may have been done.
   */
  stop(): Promise<void>
}
