import type { Claim, StateEntry, StateStore } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'

/** State of one key as the next message sees it, committed or not. */
export interface CachedState {
  readonly key: string
  /** `undefined`: the key has no state. */
  value: Json | undefined
  /** Revision once all that is pending is committed; 0 without state. */
  revision: number
  /** How many commits that change it are being collected or in flight. */
  pendingCount: number
  /** The write of the batch that is being collected, if it changes this key. */
  openWrite: PendingWrite | undefined
  /** Was used since the cache last looked for what may go. */
  used: boolean
}

/** A state write that is not sent yet: the last value of its key wins, the first revision is what is expected. */
export interface PendingWrite {
  kind: 'set' | 'delete'
  readonly namespace: string
  readonly key: string
  value: Json | undefined
  readonly expectedRevision: number
  readonly owner: Claim
}

/**
 * States of a handler by key: read through, bounded, with the values that are not committed yet, so that messages of one
 * key need not wait for each other's commit.
 *
 * It holds at most 20,000 keys, or fewer where values are large (about 16 MiB, estimated from every 16th value that is put
 * in). What was not used lately goes first (second chance); keys with pending changes stay, which the bounds on work in
 * flight limit.
 */
export class StateCache {
  readonly #store: StateStore
  readonly #namespace: string
  readonly #isPerPartition: boolean
  readonly #entries = new Map<string, CachedState>()
  /** Rises when what is being read may be old by the time it is here. */
  #generation = 0
  #sampleCount = 0
  #sampledCharacters = 0
  #capacity = entriesMax

  /** @param isPerPartition A key that comes from two partitions has a state on each. */
  constructor(store: StateStore, namespace: string, isPerPartition: boolean) {
    this.#store = store
    this.#namespace = namespace
    this.#isPerPartition = isPerPartition
  }

  get namespace(): string {
    return this.#namespace
  }

  /** How many keys it holds at most, by the size of their values. */
  get capacity(): number {
    return this.#capacity
  }

  get size(): number {
    return this.#entries.size
  }

  has(key: string, claim: Claim): boolean {
    return this.#entries.has(this.#placeOf(key, claim))
  }

  get(key: string, claim: Claim): CachedState | undefined {
    const entry = this.#entries.get(this.#placeOf(key, claim))
    if (entry !== undefined) entry.used = true
    return entry
  }

  /** Reads those of the keys that are not here yet, all in one go. */
  async load(keys: readonly string[], claim: Claim): Promise<void> {
    const began = this.#generation
    const found = await this.#store.getMany(this.#namespace, keys, claim)
    // Somebody else may have changed it since it was read.
    if (began !== this.#generation) return
    for (let index = 0; index < keys.length; index++) this.#put(keys[index] as string, claim, found[index])
  }

  /** Reads a key again, whatever is here. Only for a key without pending changes. */
  async reload(key: string, claim: Claim): Promise<void> {
    const place = this.#placeOf(key, claim)
    const before = this.#entries.get(place)
    const found = await this.#store.get(this.#namespace, key, claim)
    // Whoever put another one here knows better.
    if (this.#entries.get(place) !== before) return
    this.#entries.delete(place)
    this.#put(key, claim, found)
  }

  /** Puts a key back to what is stored, in place: somebody may be working with it. Only without pending changes. */
  async restore(key: string, claim: Claim): Promise<void> {
    const place = this.#placeOf(key, claim)
    const entry = this.#entries.get(place)
    const found = await this.#store.get(this.#namespace, key, claim)
    if (entry === undefined || this.#entries.get(place) !== entry) return
    entry.value = found?.value
    entry.revision = found?.revision ?? 0
  }

  /** Forgets everything: after a rewind nothing that is here can be trusted. */
  clear(): void {
    this.#generation++
    this.#entries.clear()
  }

  /** Forgets what has no pending changes: another member may change it now. */
  forgetSettled(): void {
    this.#generation++
    for (const [key, entry] of this.#entries) if (entry.pendingCount === 0) this.#entries.delete(key)
  }

  /** Makes room. Called between messages, so that no entry that is being worked with goes. */
  trim(): void {
    if (this.#entries.size <= this.#capacity) return
    // What is put back stands behind, so each entry comes up at most twice.
    let looksLeft = this.#entries.size * 2
    for (const [key, entry] of this.#entries) {
      if (looksLeft-- === 0 || this.#entries.size <= this.#capacity * 0.9) break
      this.#entries.delete(key)
      if (!entry.used && entry.pendingCount === 0) continue
      entry.used = false
      this.#entries.set(key, entry)
    }
  }

  /** What was loaded while somebody else put a newer value here must not replace it. */
  #put(key: string, claim: Claim, found: StateEntry | undefined): void {
    const place = this.#placeOf(key, claim)
    if (this.#entries.has(place)) return
    this.#sample(found?.value)
    this.#entries.set(place, {
      key,
      value: found?.value,
      revision: found?.revision ?? 0,
      pendingCount: 0,
      openWrite: undefined,
      used: true,
    })
  }

  #placeOf(key: string, { partition }: Claim): string {
    return this.#isPerPartition ? `${partition} ${key}` : key
  }

  #sample(value: Json | undefined): void {
    if (value === undefined || ++this.#sampleCount % sampleEvery !== 0) return
    this.#sampledCharacters += JSON.stringify(value).length
    const meanCharacters = (this.#sampledCharacters * sampleEvery) / this.#sampleCount
    this.#capacity = Math.max(entriesMin, Math.min(entriesMax, Math.floor(charactersMax / (meanCharacters + 200))))
  }
}

const entriesMax = 20_000
const entriesMin = 256
const charactersMax = 8 * 1024 * 1024
const sampleEvery = 16
