import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Boundary, CommandOutcome, Decider } from '../domain/index.ts'
import type { Duration, Json } from '../kernel/index.ts'
import type {
  AnyEventDefinition,
  CommandMessage,
  DataOf,
  EventDefinition,
  EventMessage,
  Message,
} from '../message/index.ts'
import type { CallContext, PublishEffect, RetryPolicy, SendEffect, TimerTime } from '../runtime/index.ts'
import type { ErrorNote } from './journal.ts'

/** How a step has a command handled. */
export interface StepAskOptions {
  /**
   * The id under which it is decided and remembered. Default: the `key` of the step. An undo that gives `ctx.runKey` and the command
   * of `run` is told what became of that one: it may have been rejected, though nobody heard of it.
   */
  readonly key?: string
}

/** Has a command handled, for a step. */
export interface StepAsk {
  <Command extends Message, Event extends Message, Code extends string>(
    command: Command,
    options: StepAskOptions & { readonly of: Decider<Command, Event, unknown, Code> | Boundary<Command, Event, Code> },
  ): Promise<CommandOutcome<Event, Code>>
  (command: CommandMessage, options?: StepAskOptions): Promise<CommandOutcome>
}

/** What a step and its undo are told besides. */
export interface StepContext {
  /**
   * Idempotency key for the outside world: the same for each attempt, also after a crash, and different for each step of
   * each instance. An undo has one of its own.
   */
  readonly key: string
  /** Of an undo: the key that `run` was given. Of `run`: its own. */
  readonly runKey: string
  /** Key of the instance. */
  readonly sagaKey: string
  /** Aborts when the attempt times out, when another member takes over, and when the app stops. */
  readonly signal: AbortSignal
  /** 1 for the first attempt. */
  readonly attempt: number
  /** The app's clock, in milliseconds since 1970. */
  readonly nowMs: () => number
  /**
   * Has a command handled by its one handler, in this app or another one, and answers what became of it. It goes under `key` as its
   * id, whatever id it has: it takes effect once, however often the step runs, for as long as its decider remembers commands
   * (`remember`). Further commands of one attempt go under `key` and their number, so they have to come in the same order each
   * time. What the decider rejects is a value: throw StepRejectedError where the step is refused with it.
   *
   * @throws ArgumentInvalidError `ARGUMENT_INVALID`, HandlerMissingError `HANDLER_MISSING`, AskFailedError `ASK_FAILED`, CommandConflictError `COMMAND_CONFLICT`,
   *   CommandIdTakenError `COMMAND_ID_TAKEN`: the step asks another command than it did before; the reason of the signal, which
   *   also ends it when the step's time is up
   *
   * @example
   * ```ts
   * const reserve = step({
   *   run: async (order: Order, ctx) => {
   *     const outcome = await ctx.ask(ReserveSeats({ show: order.show, count: order.count }), { of: shows })
   *     if (outcome.kind === 'rejected') throw new StepRejectedError(outcome.code)
   *   },
   *   undo: async ({ input: { show, count } }, ctx) => {
   *     const outcome = await ctx.ask(ReserveSeats({ show, count }), { key: ctx.runKey })
   *     if (outcome.kind === 'accepted') await ctx.ask(ReleaseSeats({ show, count }))
   *   },
   * })
   * ```
   */
  readonly ask: StepAsk
  /** Asks a query of its one handler, in this app or another one. The answer is of the time of the call. */
  readonly query: CallContext['query']
}

/** What is to be undone. */
export interface Undoing<Input, Output> {
  readonly input: Input
  /** What `run` answered; `undefined` when nobody knows whether it had an effect. */
  readonly output: Output | undefined
  /** `unknown`: it began, and failed, timed out or was interrupted. */
  readonly outcome: 'done' | 'unknown'
}

/** How a step is done and undone. */
export interface StepOptions<Input, Output> {
  /**
   * Does it. Hands `ctx.key` on to the outside world: a crash may come before the outcome is durable, and then it runs again.
   * The output is kept as JSON. Throw StepRejectedError for a refusal: then this attempt left nothing behind.
   */
  readonly run: (input: Input, ctx: StepContext) => Promise<Output> | Output
  /** Takes back what it has done, or may have done. Is tried until it succeeds. Default: there is nothing to take back. */
  readonly undo?: (done: Undoing<Input, Output>, ctx: StepContext) => Promise<unknown> | unknown
  /** When a failed attempt is tried again; pauses are durable. Default `exponential()`: 5 attempts. */
  readonly retry?: RetryPolicy
  /** Pauses between attempts to undo it; when it gives up, the longest pause goes on. Default: from 1 s up to 5 min. */
  readonly undoRetry?: RetryPolicy
  /** Longest time for one attempt, also of the undo. Default `'30s'`. */
  readonly timeout?: Duration
}

/** A step of a saga. Made by {@link step}. */
export interface Step<Input, Output> extends StepOptions<Input, Output> {
  readonly stepKind: 'step'
}

/** A step, whatever it takes and answers. */
export interface AnyStep {
  readonly stepKind: 'step'
  readonly run: (input: never, ctx: StepContext) => unknown
  readonly undo?: (done: never, ctx: StepContext) => unknown
  readonly retry?: RetryPolicy
  readonly undoRetry?: RetryPolicy
  readonly timeout?: Duration
}

/** Steps by name. */
export type StepSet = Readonly<Record<string, AnyStep>>

/** Signals by name: an event that is correlated by its key, or the schema of what is sent by hand. */
export type SignalSet = Readonly<Record<string, AnyEventDefinition | StandardSchemaV1>>

/** Child sagas by name. */
export type ChildSet = Readonly<Record<string, AnySaga>>

/** What a start carries: an event that starts an instance under its key, or the schema of what is started by hand. */
export type SagaStart = AnyEventDefinition | StandardSchemaV1

/** Data of an event, or output of a schema. */
export type CarriedBy<Source> = Source extends AnyEventDefinition
  ? DataOf<Source>
  : Source extends StandardSchemaV1
    ? StandardSchemaV1.InferOutput<Source>
    : never

/** What is given to have it carried: what an event is made of, or input of a schema. */
export type GivenTo<Source> = Source extends AnyEventDefinition
  ? Source extends EventDefinition<string, infer Input, infer _Data>
    ? Input
    : never
  : Source extends StandardSchemaV1
    ? StandardSchemaV1.InferInput<Source>
    : never

export type StepInput<S> = S extends { readonly run: (input: infer Input, ctx: StepContext) => unknown } ? Input : never
export type StepOutput<S> = S extends { readonly run: (input: never, ctx: StepContext) => infer Output }
  ? Awaited<Output>
  : never

type InputArguments<Input, Options> = undefined extends Input
  ? [input?: Input, options?: Options]
  : [input: Input, options?: Options]

/**
 * What the body of a saga works with. Everything is told by name, and what was answered once is answered again when the
 * body runs again: after a crash, a sleep, a signal. So between these calls the body may compute, but not look at the clock,
 * draw lots or touch the outside world.
 */
export interface SagaScope<
  Steps extends StepSet = StepSet,
  Signals extends SignalSet = SignalSet,
  Children extends ChildSet = ChildSet,
> {
  /** Key of the instance. */
  readonly key: string
  /** Version of the declaration under which it started: it keeps it. */
  readonly version: number
  /**
   * Runs a step, once: the outcome is durable before anything else is done outside.
   *
   * A step that is used more than once needs an `id` each time. Steps that are started together run side by side.
   *
   * @throws StepFailedError `SAGA_STEP_FAILED`, StepRejectedError `SAGA_STEP_REJECTED`: into the body
   */
  step<Name extends keyof Steps & string>(
    name: Name,
    ...args: InputArguments<StepInput<Steps[Name]>, { readonly id?: string }>
  ): Promise<StepOutput<Steps[Name]>>
  /** Sleeps, as long as you like: nothing is kept in memory meanwhile. */
  sleep(name: string, duration: Duration): Promise<void>
  /** The next signal of this name, in the order of their coming, also one that came before. `undefined`: none came in time. */
  signal<Name extends keyof Signals & string>(
    name: Name,
    options: { readonly timeout: Duration },
  ): Promise<CarriedBy<Signals[Name]> | undefined>
  signal<Name extends keyof Signals & string>(name: Name): Promise<CarriedBy<Signals[Name]>>
  /**
   * Starts a child saga and waits for its end. When the parent is compensated, the child is too.
   *
   * @throws ChildFailedError `SAGA_CHILD_FAILED`: into the body
   */
  child<Name extends keyof Children & string>(
    name: Name,
    input: GivenToSaga<Children[Name]>,
    options?: {
      /** Needed when a child is used more than once. */
      readonly id?: string
      /** Key of the child. Default: the parent's key, `/` and the id. */
      readonly key?: string
    },
  ): Promise<ResultOfSaga<Children[Name]>>
  /** Publishes messages, exactly once: with the next commit of the journal. */
  publish(messages: EventMessage | readonly EventMessage[], options?: { readonly topic?: string }): void
  /** Sends a command to its one handler, exactly once: with the next commit of the journal; not before `when`, if it is given. */
  send(command: CommandMessage, when?: TimerTime): void
  /** Shows something to those who look at the instance, from the next commit on. JSON. */
  show(value: unknown): void
  /**
   * Whether this instance takes a new way in the body: `false` for one that had come beyond this place before the way was
   * there. The answer stays.
   */
  patched(name: string): boolean
  /** Time of the last outcome that the body was told, in milliseconds since 1970: the same whenever it runs again. */
  nowMs(): number
  /** A number from 0 (included) to 1 (excluded): the same whenever the body runs again. */
  random(): number
}

/** How a saga is declared. */
export interface SagaOptions<
  Start extends SagaStart,
  Steps extends StepSet,
  Signals extends SignalSet,
  Children extends ChildSet,
> {
  /** A whole number from 1. An instance keeps the version under which it started: see `saga.version`. Default 1. */
  readonly version?: number
  /** What starts an instance. A second start under the same key is ignored. */
  readonly start: Start
  readonly steps?: Steps
  /** What can be told to a running instance. Signals that come before the start wait for it, for `keep`. Default: nothing. */
  readonly signals?: Signals
  /** Sagas that the body may start. They belong to the same app. Default: none. */
  readonly children?: Children
  /** Key of the instance that an event concerns. Default: its partition key. */
  readonly key?: (event: Message) => string
  /** How long an instance that has ended can be looked at, and its key be told apart from a new one. Default `'1d'`. */
  readonly keep?: Duration
  /**
   * What happens to signals whose instance nothing has started within `keep`: they become a dead letter, which hands them on when
   * it is redriven, or are forgotten. Default `'dead-letter'`.
   */
  readonly missing?: 'dead-letter' | 'ignore'
  /**
   * What happens to signals whose instance has ended, or is being compensated: they are forgotten, or become a dead letter
   * (`SAGA_LATE`). Default `'ignore'`.
   */
  readonly late?: 'dead-letter' | 'ignore'
  /** How many instances of one start of the app are at work at once, 1 to 10,000; those that wait do not count. Default 1,000. */
  readonly concurrency?: number
  /** Longest time that the body may wait for what is no step, sleep, signal or child. Default `'30s'`. */
  readonly stallTimeout?: Duration
  /**
   * What is published and sent once everything is undone: exactly once, in the commit that ends the instance. It only
   * computes, and may be asked again after a crash. Default: nothing.
   */
  readonly compensated?: (input: CarriedBy<Start>, ctx: CompensatedContext) => CompensatedEffects
}

/** What {@link SagaOptions.compensated} is told besides. */
export interface CompensatedContext {
  /** Key of the instance. */
  readonly key: string
  /**
   * Why it was undone: what the body threw, or what somebody said who cancelled it (its name is `Cancelled`) or compensated it
   * (`Compensated`).
   */
  readonly failure: ErrorNote
  /** What the body has shown last: how far it came, in step with what it published. `undefined`: it has shown nothing. */
  readonly shown: Json | undefined
  /** The app's clock, in milliseconds since 1970. */
  readonly nowMs: number
}

/** What becomes real at the end of a compensation. */
export type CompensatedEffects =
  | PublishEffect
  | SendEffect
  | undefined
  | false
  | readonly (PublishEffect | SendEffect | undefined | false)[]

/** A saga after its types have done their work. */
export interface SagaDefinition {
  readonly name: string
  readonly version: number
  readonly start: SagaStart
  readonly steps: StepSet
  readonly signals: SignalSet
  readonly children: ChildSet
  readonly key: ((event: Message) => string) | undefined
  readonly keepMs: number
  readonly missing: 'dead-letter' | 'ignore'
  readonly late: 'dead-letter' | 'ignore'
  readonly concurrency: number
  readonly stallTimeoutMs: number
  readonly compensated: ((input: never, ctx: CompensatedContext) => CompensatedEffects) | undefined
  readonly body: (scope: SagaScope, input: never) => Promise<unknown> | unknown
}

/** A saga. Made by {@link saga}. */
export interface Saga<Input = unknown, Result = unknown, Signals extends SignalSet = SignalSet, Given = unknown> {
  readonly sagaKind: 'saga'
  readonly name: string
  readonly version: number
  readonly definition: SagaDefinition
  /** Stands for its types; there is no value. */
  readonly '~types'?: {
    readonly input: Input
    readonly result: Result
    readonly signals: Signals
    readonly given: Given
  }
}

/** A saga, whatever it takes and answers. */
export type AnySaga = Saga

export type GivenToSaga<S> = S extends Saga<infer _Input, infer _Result, infer _Signals, infer Given> ? Given : never
export type ResultOfSaga<S> = S extends Saga<infer _Input, infer Result, infer _Signals, infer _Given> ? Result : never
