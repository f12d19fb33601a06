import { crc32 } from 'node:zlib'
import type { StateChange } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import { knownOptions } from './known-options.ts'
import { checkName, checkOptions, checkSignal, checkText } from './write-checks.ts'

/** Changed keys that a slow watcher has not seen yet; beyond this many it compares everything that it watches. */
const pendingKeysMax = 10_000

/** The state that is watched, as it stands now. */
export interface WatchedState {
  /** The value as JSON. */
  read(namespace: string, key: string): { readonly revision: number; readonly value: string } | undefined
  /** Keys and revisions of one key, or of all with a prefix. */
  list(
    namespace: string,
    key: string | undefined,
    prefix: string,
  ): readonly { readonly key: string; readonly revision: number }[]
  /** Resolves when `subscribe`'s waiter is called, when {@link missedChanges} rises, or when the signal aborts. */
  sleep(subscribe: (waiter: () => void) => () => void, signal: AbortSignal): Promise<void>
  /** Rises with each change that {@link StateWatchers.notify} is not told of. Absent: it is told of all. */
  missedChanges?(): number
  /** @throws when the engine is closed or failed */
  refuseIfDone(): void
}

/** Which keys a watcher wants to hear of. */
export interface WatchOptions {
  readonly key?: string
  readonly prefix?: string
  readonly signal: AbortSignal
}

/** A value as a watcher saw it; `checksum` undefined: it stood there before the watcher came. */
interface Seen {
  readonly revision: number
  readonly checksum: number | undefined
}

interface Watcher {
  readonly namespace: string
  readonly key: string | undefined
  readonly prefix: string
  /** Every key that it watches and that exists, as it saw it last: a clear tells no names. */
  readonly seen: Map<string, Seen>
  /** Keys that changed since the watcher last looked. */
  readonly pending: Set<string>
  /** Changes came whose keys it was not told. */
  isStale: boolean
  wake: (() => void) | undefined
  readonly signal: AbortSignal
  readonly leave: () => void
}

/** Who watches a namespace: found by the key that a commit sets, as there may be many who wait for one key each. */
interface Watched {
  readonly byKey: Map<string, Set<Watcher>>
  readonly ofPrefix: Set<Watcher>
}

/** Those who watch keyed state. A slow one sees the latest value of each key, and costs no more than the keys it watches. */
export class StateWatchers {
  readonly #state: WatchedState
  readonly #watchers = new Map<string, Watched>()

  constructor(state: WatchedState) {
    this.#state = state
  }

  /** @param isFromNothing What stands there already is told too. */
  watch(namespace: string, options: WatchOptions, isFromNothing = false): AsyncGenerator<StateChange> {
    this.#state.refuseIfDone()
    checkName('namespace', namespace)
    checkSignal(options?.signal)
    checkOptions('options', options, knownOptions.watch)
    const { key, prefix = '', signal } = options
    if (key !== undefined) checkName('key', key)
    checkText('prefix', prefix)
    const rows = isFromNothing ? [] : this.#state.list(namespace, key, prefix)
    const watcher: Watcher = {
      namespace,
      key,
      prefix,
      seen: new Map(rows.map((row) => [row.key, { revision: row.revision, checksum: undefined }])),
      pending: new Set(),
      isStale: isFromNothing,
      wake: undefined,
      signal,
      leave: () => this.#leave(watcher),
    }
    if (!signal.aborted) {
      // From now on, not from the first step on: changes count from the call.
      this.#peersOf(watcher).add(watcher)
      signal.addEventListener('abort', watcher.leave, { once: true })
    }
    return this.#follow(watcher)
  }

  /** Tells watchers what a commit changed; without a key: a whole namespace. */
  notify(changes: readonly { readonly namespace: string; readonly key?: string }[]): void {
    if (this.#watchers.size === 0) return
    for (const { namespace, key } of changes) {
      const watched = this.#watchers.get(namespace)
      if (watched === undefined) continue
      for (const watcher of watched.ofPrefix) {
        if (key === undefined || key.startsWith(watcher.prefix)) tell(watcher, key)
      }
      if (key !== undefined) for (const watcher of watched.byKey.get(key) ?? []) tell(watcher, key)
      else for (const peers of watched.byKey.values()) for (const watcher of peers) tell(watcher, undefined)
    }
  }

  /** Those who watch the same key, or any prefix, in the same namespace. */
  #peersOf({ namespace, key }: Watcher): Set<Watcher> {
    let watched = this.#watchers.get(namespace)
    if (watched === undefined) {
      watched = { byKey: new Map(), ofPrefix: new Set() }
      this.#watchers.set(namespace, watched)
    }
    if (key === undefined) return watched.ofPrefix
    const peers = watched.byKey.get(key) ?? new Set()
    watched.byKey.set(key, peers)
    return peers
  }

  /** The engine closed or failed: they find out by themselves. */
  wakeAll(): void {
    for (const { byKey, ofPrefix } of this.#watchers.values()) {
      for (const peers of [ofPrefix, ...byKey.values()]) for (const { wake } of peers) wake?.()
    }
  }

  async *#follow(watcher: Watcher): AsyncGenerator<StateChange> {
    const { signal } = watcher
    let missed = this.#state.missedChanges?.()
    try {
      while (!signal.aborted) {
        const missedNow = this.#state.missedChanges?.()
        if (missedNow !== missed) {
          missed = missedNow
          watcher.isStale = true
        }
        for (const key of this.#changedKeys(watcher)) {
          if (signal.aborted) return
          const change = this.#look(watcher, key)
          if (change !== undefined) yield change
        }
        const isNew = watcher.pending.size > 0 || watcher.isStale || this.#state.missedChanges?.() !== missed
        if (!isNew) await this.#sleep(watcher)
      }
    } finally {
      this.#leave(watcher)
    }
  }

  /** Keys to look at: those that the watcher was told, and, when it was not told all, those that differ from what it saw. */
  #changedKeys(watcher: Watcher): ReadonlySet<string> {
    const changed = new Set(watcher.pending)
    watcher.pending.clear()
    if (!watcher.isStale) return changed
    this.#state.refuseIfDone()
    watcher.isStale = false
    const gone = new Set(watcher.seen.keys())
    for (const { key, revision } of this.#state.list(watcher.namespace, watcher.key, watcher.prefix)) {
      gone.delete(key)
      if (watcher.seen.get(key)?.revision !== revision) changed.add(key)
    }
    for (const key of gone) changed.add(key)
    return changed
  }

  /** What a watcher is to be told of a key; undefined when it has seen just that. */
  #look(watcher: Watcher, key: string): StateChange | undefined {
    this.#state.refuseIfDone()
    const entry = this.#state.read(watcher.namespace, key)
    const seen = watcher.seen.get(key)
    if (entry === undefined) return watcher.seen.delete(key) ? { key, value: undefined, revision: 0 } : undefined
    const now = { revision: entry.revision, checksum: crc32(entry.value) }
    if (seen?.revision === now.revision && seen.checksum === now.checksum) return undefined
    watcher.seen.set(key, now)
    return { key, value: JSON.parse(entry.value) as Json, revision: now.revision }
  }

  async #sleep(watcher: Watcher): Promise<void> {
    const { signal } = watcher
    const subscribe = (waiter: () => void): (() => void) => {
      watcher.wake = waiter
      return () => {
        watcher.wake = undefined
      }
    }
    try {
      await this.#state.sleep(subscribe, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
    if (!signal.aborted) this.#state.refuseIfDone()
  }

  #leave(watcher: Watcher): void {
    watcher.signal.removeEventListener('abort', watcher.leave)
    const { namespace, key } = watcher
    const watched = this.#watchers.get(namespace)
    if (watched === undefined) return
    const peers = key === undefined ? watched.ofPrefix : watched.byKey.get(key)
    peers?.delete(watcher)
    if (key !== undefined && peers?.size === 0) watched.byKey.delete(key)
    if (watched.ofPrefix.size === 0 && watched.byKey.size === 0) this.#watchers.delete(namespace)
  }
}

/** `key` undefined: it cannot be said what has changed. */
function tell(watcher: Watcher, key: string | undefined): void {
  if (key === undefined || watcher.pending.size >= pendingKeysMax) watcher.isStale = true
  else watcher.pending.add(key)
  watcher.wake?.()
}
