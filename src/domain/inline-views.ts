import type { CommitOutcome, Engine, StateStore, StateWrite, WriteBatch } from '../engine/index.ts'
import { frozenJson, type Json } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import type { CommitWithin } from '../runtime/index.ts'
import { Gates } from './gates.ts'
import { forgottenNamespace } from './inline-notes.ts'
import type { View } from './view.ts'

interface StoredValue {
  readonly value: Json | undefined
  /** 0: there is none. */
  readonly revision: number
  /** How often the key was forgotten, where that is minded. */
  readonly forgottenCount: number
}

/** A copy that commits write. */
export interface WrittenCopy {
  readonly view: View
  readonly namespace: string
  /** Whether it is minded how often its keys were forgotten. */
  readonly forgets: boolean
}

/** An event and the key of a view that it changes. */
interface Keyed {
  readonly copy: WrittenCopy
  readonly event: Message
  readonly key: string
  /** Namespace and key in one. */
  readonly place: string
}

type Values = Map<string, StoredValue>

/** Values of all inline views on one state store, as they were last seen there, and who is changing them. */
interface Shared {
  readonly cache: Values
  readonly gates: Gates
}

/** All starts of apps in this process share it. */
const sharedByStore = new WeakMap<StateStore, Shared>()

/** Values that are kept, of all views together; the one that was changed longest ago goes first. */
const cachedMax = 20_000

/** Who keeps inline views in the commits of events. */
export interface InlineWriter {
  /**
   * Commits events together with what they change.
   *
   * @throws what the functions of the views and the commit throw
   */
  commit(events: readonly Message[], commit: Parameters<CommitWithin>[0]): Promise<CommitOutcome>
  /** Throws what `commit` would throw for these events, as far as that can be told before. */
  rehearse(events: readonly Message[]): Promise<void>
  /**
   * Waits until no copy needs events of these types any more to catch up, as far as the store goes at the call: some of them, of a
   * stream, are to be removed.
   *
   * @returns What is to be written together with that removal, about copies that nobody waits for.
   * @throws BooksNeededError `BOOKS_NEEDED`: a copy did not catch up in time, or cannot.
   */
  takenIn(stream: string, types: readonly string[]): Promise<readonly StateWrite[]>
}

/**
 * Keeps views up to date in the commits of the events themselves.
 *
 * A key is changed by one commit at a time: the next one builds on it when it is known whether that commit was made. A value that
 * is not durable yet would not do: if its commit is refused and somebody in another process has changed the key instead, the
 * revision is the one that the next commit expects, and the value is not. Commits that have no key in common share syncs as ever.
 *
 * The revisions of a key that was forgotten and made anew begin again, and a process that still knows the old value could not tell. So it
 * is counted how often a key was forgotten, and a commit that changes it expects that, too: of copies that have ever forgotten a
 * key, as it is one more thing to look up.
 */
export class InlineViews {
  readonly #store: StateStore
  readonly #copies: readonly { readonly copy: WrittenCopy; readonly types: ReadonlySet<string> }[]
  readonly #shared: Shared

  constructor(store: StateStore, copies: readonly WrittenCopy[]) {
    this.#store = store
    this.#copies = copies.map((copy) => ({ copy, types: new Set(copy.view.handler.events.map(({ type }) => type)) }))
    let shared = sharedByStore.get(store)
    if (shared === undefined) {
      shared = { cache: new Map(), gates: new Gates() }
      sharedByStore.set(store, shared)
    }
    this.#shared = shared
  }

  /** Commits, unless a copy would forget a key for the first time: then it answers which do, and nothing is committed. */
  async commit(
    events: readonly Message[],
    commit: Parameters<CommitWithin>[0],
  ): Promise<CommitOutcome | { readonly forgetting: readonly string[] }> {
    const keyed = this.#keyed(events)
    if (keyed.length === 0) return commit([])
    const { cache, gates } = this.#shared
    const places = keyed.map(({ place }) => place)
    return gates.run(places, async () => {
      const values = this.#known(keyed) ?? (await this.#loaded(keyed))
      const { writes, forgetting } = applied(keyed, values)
      if (forgetting.length > 0) return { forgetting }
      // Until it is known what became of the commit, nobody knows the value.
      for (const place of places) cache.delete(place)
      const outcome = await commit(writes)
      if (!outcome.ok) return outcome
      for (const [place, value] of values) cache.set(place, value)
      for (const place of cache.keys()) {
        if (cache.size <= cachedMax) break
        cache.delete(place)
      }
      return outcome
    })
  }

  async rehearse(events: readonly Message[]): Promise<void> {
    const keyed = this.#keyed(events)
    applied(keyed, await this.#loaded(keyed))
  }

  #keyed(events: readonly Message[]): readonly Keyed[] {
    const keyed: Keyed[] = []
    for (const { copy, types } of this.#copies) {
      const { view, namespace } = copy
      for (const given of events) {
        if (!types.has(given.type)) continue
        const event = view.read(given)
        for (const key of view.keysOf(event)) keyed.push({ copy, event, key, place: `${namespace} ${key}` })
      }
    }
    return keyed
  }

  /** `undefined`: they are not all in the cache. */
  #known(keyed: readonly Keyed[]): Values | undefined {
    const values: Values = new Map()
    for (const { place } of keyed) {
      const known = this.#shared.cache.get(place)
      if (known === undefined) return undefined
      values.set(place, known)
    }
    return values
  }

  async #loaded(keyed: readonly Keyed[]): Promise<Values> {
    const values: Values = new Map()
    for (const { copy, key, place } of keyed) {
      if (values.has(place)) continue
      const { namespace, forgets } = copy
      // First: who forgets the key between the two is found out by the commit.
      const forgotten = forgets ? await this.#store.get(forgottenNamespace(namespace), key) : undefined
      const { value, revision = 0 } = (await this.#store.get(namespace, key)) ?? {}
      values.set(place, { value, revision, forgottenCount: forgotten?.revision ?? 0 })
    }
    return values
  }
}

/** Commits a batch that appends events, together with what they change in inline views. */
export function commitWithViews(
  engine: Engine,
  views: InlineWriter,
  batch: WriteBatch,
  events: readonly Message[],
): Promise<CommitOutcome> {
  if (events.length === 0) return engine.commit(batch)
  return views.commit(events, (writes) => engine.commit({ ...batch, state: [...(batch.state ?? []), ...writes] }))
}

/** What is to be written, `values` are then what stands there once it is; and the copies that would forget a key for the first time. */
function applied(
  keyed: readonly Keyed[],
  values: Values,
): { readonly writes: readonly StateWrite[]; readonly forgetting: readonly string[] } {
  const changed = new Map<string, { readonly one: Keyed; readonly before: StoredValue }>()
  for (const one of keyed) {
    const { copy, event, key, place } = one
    const current = values.get(place) as StoredValue
    if (!changed.has(place)) changed.set(place, { one, before: current })
    const { view } = copy
    const next = view.apply(current.value === undefined ? view.initial : current.value, event, key)
    values.set(place, { ...current, value: next === undefined ? undefined : (frozenJson(next, 'state') as Json) })
  }
  const writes: StateWrite[] = []
  const forgetting = new Set<string>()
  for (const [place, { one, before }] of changed) {
    const { value } = values.get(place) as StoredValue
    const { namespace, forgets } = one.copy
    const { revision: expectedRevision } = before
    const isForgotten = value === undefined && expectedRevision > 0
    if (isForgotten && !forgets) forgetting.add(namespace)
    writes.push(
      value === undefined
        ? { kind: 'delete', namespace, key: one.key, expectedRevision }
        : { kind: 'set', namespace, key: one.key, value, expectedRevision },
    )
    if (forgets) writes.push(countWrite(one, before.forgottenCount, isForgotten))
    const isCounted = isForgotten || before.forgottenCount > 0
    values.set(place, {
      value,
      revision: value === undefined ? 0 : expectedRevision + 1,
      forgottenCount: before.forgottenCount + (forgets && isCounted ? 1 : 0),
    })
  }
  return { writes, forgetting: [...forgetting] }
}

/** Holds a commit to how often a key was forgotten. What never was has no entry, and gets none. */
function countWrite({ copy, key }: Keyed, expectedRevision: number, isForgotten: boolean): StateWrite {
  const place = { namespace: forgottenNamespace(copy.namespace), key, expectedRevision }
  const isCounted = isForgotten || expectedRevision > 0
  return isCounted ? { kind: 'set', value: null, ...place } : { kind: 'delete', ...place }
}
