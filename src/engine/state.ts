import type { Json } from '../kernel/index.ts'
import type { Claim } from './groups.ts'

/** One keyed value. */
export interface StateEntry {
  readonly key: string
  readonly value: Json
  /** 1 when the key was first set, one more with each set. A deleted key starts again at 1. */
  readonly revision: number
}

/** Which keys: bounds are inclusive at `from`, exclusive at `to`; keys are ordered by their UTF-8 bytes. */
export interface StateRange {
  readonly prefix?: string
  readonly from?: string
  readonly to?: string
  /** Only keys after this one (before it, when `reverse`): for paging. */
  readonly after?: string
  readonly reverse?: boolean
  /** Default 100, at most 10,000. */
  readonly limit?: number
}

/** A change of state as its watchers see it; `value` undefined: the key was deleted. */
export interface StateChange {
  readonly key: string
  readonly value: Json | undefined
  readonly revision: number
}

/**
 * Whose state is meant, where an engine lets state live with its owner (see `Capabilities.ownedState`): that of a claimed
 * partition, read by its owner as it stands; or that of all partitions of a group, read by anybody and, beside the owner, a
 * moment late. Other engines have one state for all, and pass over it.
 */
export type StateOwner = Claim | { readonly group: string }

/** Keyed state in namespaces. It is written by `Engine.commit` only. */
export interface StateStore {
  get(namespace: string, key: string, owner?: StateOwner): Promise<StateEntry | undefined>
  getMany(namespace: string, keys: readonly string[], owner?: StateOwner): Promise<readonly (StateEntry | undefined)[]>
  range(namespace: string, range?: StateRange, owner?: StateOwner): Promise<readonly StateEntry[]>
  count(namespace: string, owner?: StateOwner): Promise<number>
  /** Namespaces that hold at least one key, in name order. */
  namespaces(prefix?: string, owner?: StateOwner): Promise<readonly string[]>
  /**
   * Changes of one key, or of all keys with a prefix, committed after the call, until `signal` aborts. A watcher that is
   * slow sees the latest value of each key, not every one in between.
   */
  watch(
    namespace: string,
    options: {
      readonly key?: string
      readonly prefix?: string
      readonly owner?: StateOwner
      readonly signal: AbortSignal
    },
  ): AsyncIterable<StateChange>
}
