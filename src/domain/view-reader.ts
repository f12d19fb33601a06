import type { StateRange, TopicPosition } from '../engine/index.ts'
import type { CommandOutcome } from './command-outcome.ts'

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
   * Resolves when the view has taken in what a command led to, or what stands at these places, so that the next read shows it. At
   * once for an inline view. Where nobody could tell the places (through an outbox, or in a reply from another process),
   * when it has taken in all that was published before the call.
   *
   * @throws the reason of the signal, AppStoppedError `APP_STOPPED`
   */
  waitFor(what: CommandOutcome | readonly TopicPosition[], options?: { readonly signal?: AbortSignal }): Promise<void>
  /**
   * Forgets the view and builds it anew from the earliest records that are there. Readers see it grow meanwhile: await
   * `idle()` for the whole. Resolves when rebuilding has begun. A crash in between begins it again at the next start.
   *
   * @throws GroupActiveError `GROUP_ACTIVE`: another start of the app runs the same view. InlineViewRebuildError
   *   `INLINE_VIEW_REBUILD`: an inline view is built anew by a start with another version of it.
   */
  rebuild(): Promise<void>
}
