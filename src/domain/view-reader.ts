import type { StateRange, TopicPosition } from '../engine/index.ts'
import type { CommandOutcome } from './command-outcome.ts'
import type { RebuildPolicy } from './view.ts'
import type { ViewCopies } from './view-copies.ts'

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
  /**
   * Changes of keys of the live copy after the call, until `signal` aborts. A slow watcher sees the latest state of each key. When
   * another copy becomes live, by a swap or a rollback, all that it holds is told, key by key, and each key that only the copy before holds as
   * forgotten; then its changes. A key that both copies forget at that very moment may go untold. It ends with the app.
   *
   * @throws AppStoppedError `APP_STOPPED`
   */
  watch(options: {
    readonly key?: string
    readonly prefix?: string
    readonly signal: AbortSignal
  }): AsyncIterable<ViewChange<State>>
  /**
   * Resolves when the view has taken in what a command led to, or what stands at these places, so that the next read shows it. At
   * once for an inline view that commits write. It has no end of its own while nobody runs who has the functions of the live
   * copy: give a signal. Where nobody could tell the places (through an outbox, or in a reply from another process), when it
   * has taken in all that was published before the call. An event that became a dead letter, or waits behind one, counts as
   * taken in: see `deadLetters`.
   *
   * @throws the reason of the signal, AppStoppedError `APP_STOPPED`, ArgumentInvalidError `ARGUMENT_INVALID`, PartitionUnknownError
   *   `PARTITION_UNKNOWN`
   */
  waitFor(what: CommandOutcome | readonly TopicPosition[], options?: { readonly signal?: AbortSignal }): Promise<void>
  /**
   * Builds the version that the program declares anew beside the live copy, from the earliest records that are there; reads are
   * served from the live copy until the new one takes its place. To repair a view, or to build a version again that was
   * dropped. Resolves when building has begun. After a crash it goes on where it was.
   *
   * @throws ViewBuildUnderWayError `VIEW_BUILD_UNDER_WAY`, ViewVersionDownError `VIEW_VERSION_DOWN`: a higher version is live,
   *   OptionsInvalidError `OPTIONS_INVALID`
   */
  rebuild(options?: RebuildOptions): Promise<void>
  /** How far the copies of the view are; swap, roll back, compare. */
  readonly copies: ViewCopies
}

/** How a copy of a view is built. */
export interface RebuildOptions {
  /** At most so many events a second. Default: as fast as it can. */
  readonly eventsPerSecond?: number
  /** When it takes the place of the live one. Default: as the view says. */
  readonly swap?: RebuildPolicy
}
