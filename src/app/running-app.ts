import type { View } from '../domain/index.ts'
import type { Engine, StateRange, TopicPosition } from '../engine/index.ts'
import type { Message } from '../message/index.ts'
import type { DeadLetters, Lag } from '../runtime/index.ts'
import type { CarriedBy, Saga, SagaInstance, SagaOutcome, SagaSelection, SignalSet } from '../saga/index.ts'

/** One key of a view with its state. */
export interface ViewEntry<State> {
  readonly key: string
  readonly value: State
}

/** A change of a view; `value` undefined: the key was forgotten. */
export interface ViewChange<State> {
  readonly key: string
  readonly value: State | undefined
}

/** Reads a view of a running app. What is read was committed; it may lag behind what was published. */
export interface ViewReader<State> {
  get(key: string): Promise<State | undefined>
  /** A page of keys in the order of their UTF-8 bytes, 100 unless `limit` says otherwise. */
  range(range?: StateRange): Promise<readonly ViewEntry<State>[]>
  /** All keys (with a prefix), page by page. Not a snapshot: keys that change meanwhile are seen before or after. */
  list(range?: Pick<StateRange, 'prefix' | 'from' | 'to' | 'reverse'>): AsyncIterable<ViewEntry<State>>
  count(): Promise<number>
  /** Changes after the call, until `signal` aborts. A slow watcher sees the latest state of each key. */
  watch(options: {
    readonly key?: string
    readonly prefix?: string
    readonly signal: AbortSignal
  }): AsyncIterable<ViewChange<State>>
  /**
   * Forgets the view and builds it anew from the earliest records that are there. Readers see it grow meanwhile: await
   * `idle()` for the whole. Resolves when rebuilding has begun. A crash in between begins it again at the next start.
   *
   * @throws GroupActiveError `GROUP_ACTIVE`: another start of the app runs the same view.
   */
  rebuild(): Promise<void>
}

/** Talks to the instances of a saga of a running app. What it tells them is durable when the call resolves. */
export interface SagaClient<Input, Result, Signals extends SignalSet> {
  /**
   * Starts an instance. If there is one under the key, also one that has ended and is still kept, nothing happens.
   *
   * @throws SagaInputInvalidError `SAGA_INPUT_INVALID`
   */
  start(key: string, input: Input): Promise<void>
  /** Starts an instance and waits for its end. */
  run(key: string, input: Input, options?: { readonly signal?: AbortSignal }): Promise<SagaOutcome<Result>>
  /** @throws SagaInputInvalidError `SAGA_INPUT_INVALID` */
  signal<Name extends keyof Signals & string>(key: string, name: Name, data: CarriedBy<Signals[Name]>): Promise<void>
  /** Stops an instance that is running, as soon as the step at hand is over, and undoes what it has done. */
  cancel(key: string, reason?: string): Promise<void>
  /** Waits until an instance has ended or is parked: now, or once it is started. */
  outcome(key: string, options?: { readonly signal?: AbortSignal }): Promise<SagaOutcome<Result>>
  get(key: string): Promise<SagaInstance<Input, Result> | undefined>
  /** In the order of their keys. Looks through all instances with the prefix. */
  list(selection?: SagaSelection): Promise<readonly SagaInstance<Input, Result>[]>
  /** Lets an instance go on that is parked, and tries at once what waits for its next attempt. */
  retry(key: string): Promise<void>
  /** Pretends that a step is done, with this output; once the instance is being compensated, that it is undone. */
  skip(key: string, step: string, output?: unknown): Promise<void>
  /** Undoes what an instance has done, also one that has completed or is parked. */
  compensate(key: string, reason?: string): Promise<void>
}

/** An app that runs. Made by `app.start()`. */
export interface RunningApp extends AsyncDisposable {
  readonly name: string
  readonly engine: Engine
  /** Publishes to the topics of the messages' definitions; resolves when it is durable. All of them in one commit. */
  publish(messages: Message | readonly Message[]): Promise<readonly TopicPosition[]>
  /** @throws ViewUnknownError `VIEW_UNKNOWN` */
  view<State>(view: View<State>): ViewReader<State>
  /** @throws SagaUnknownError `SAGA_UNKNOWN` */
  saga<Input, Result, Signals extends SignalSet>(saga: Saga<Input, Result, Signals>): SagaClient<Input, Result, Signals>
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
   * the next start. Idempotent.
   */
  stop(): Promise<void>
}
