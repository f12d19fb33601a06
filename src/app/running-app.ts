import type { View } from '../domain/index.ts'
import type { Engine, StateRange, TopicPosition } from '../engine/index.ts'
import type { Message } from '../message/index.ts'
import type { DeadLetters, Lag } from '../runtime/index.ts'

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

/** An app that runs. Made by `app.start()`. */
export interface RunningApp extends AsyncDisposable {
  readonly name: string
  readonly engine: Engine
  /** Publishes to the topics of the messages' definitions; resolves when it is durable. All of them in one commit. */
  publish(messages: Message | readonly Message[]): Promise<readonly TopicPosition[]>
  /** @throws ViewUnknownError `VIEW_UNKNOWN` */
  view<State>(view: View<State>): ViewReader<State>
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
