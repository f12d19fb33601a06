import type { CommitOutcome, Engine, StateStore, StateWrite, WriteBatch } from '../engine/index.ts'
import { frozenJson, type Json } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import type { CommitWithin } from '../runtime/index.ts'
import { InlineViewForgetsError } from './errors.ts'
import { Gates } from './gates.ts'
import type { View } from './view.ts'

interface StoredValue {
  readonly value: Json | undefined
  /** 0: there is none. */
  readonly revision: number
}

/** An event and the key of a view that it changes. */
interface Keyed {
  readonly view: View
  readonly namespace: string
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
   * @throws InlineViewForgetsError `INLINE_VIEW_FORGETS`, and what the functions of the views and the commit throw
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
 * Keys are never forgotten, since the revisions of one that is made anew begin again, and a process that still knows the old value
 * could not tell.
 */
export class InlineViews {
  readonly #store: StateStore
  readonly #views: readonly { readonly view: View; readonly namespace: string; readonly types: ReadonlySet<string> }[]
  readonly #shared: Shared

  constructor(store: StateStore, views: readonly { readonly view: View; readonly namespace: string }[]) {
    this.#store = store
    this.#views = views.map((one) => ({ ...one, types: new Set(one.view.handler.events.map(({ type }) => type)) }))
    let shared = sharedByStore.get(store)
    if (shared === undefined) {
      shared = { cache: new Map(), gates: new Gates() }
      sharedByStore.set(store, shared)
    }
    this.#shared = shared
  }

  async commit(events: readonly Message[], commit: Parameters<CommitWithin>[0]): Promise<CommitOutcome> {
    const keyed = this.#keyed(events)
    if (keyed.length === 0) return commit([])
    const { cache, gates } = this.#shared
    const places = keyed.map(({ place }) => place)
    return gates.run(places, async () => {
      const values = this.#known(keyed) ?? (await this.#loaded(keyed))
      const writes = applied(keyed, values)
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
    for (const { view, namespace, types } of this.#views) {
      for (const given of events) {
        if (!types.has(given.type)) continue
        const event = view.read(given)
        const key = view.keyOf(event)
        if (key !== undefined) keyed.push({ view, namespace, event, key, place: `${namespace} ${key}` })
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
    for (const { namespace, key, place } of keyed) {
      if (values.has(place)) continue
      const { value, revision = 0 } = (await this.#store.get(namespace, key)) ?? {}
      values.set(place, { value, revision })
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

/** What is to be written; `values` are then what stands there once it is. */
function applied(keyed: readonly Keyed[], values: Values): readonly StateWrite[] {
  const writes = new Map<string, Extract<StateWrite, { kind: 'set' }>>()
  for (const one of keyed) {
    const { view, namespace, event, key, place } = one
    const current = values.get(place) as StoredValue
    const expectedRevision = writes.get(place)?.expectedRevision ?? current.revision
    const next = view.apply(current.value === undefined ? view.initial : current.value, event)
    if (next === undefined) throw new InlineViewForgetsError(view.name, key)
    const value = frozenJson(next, 'state') as Json
    values.set(place, { value, revision: expectedRevision + 1 })
    writes.set(place, { kind: 'set', namespace, key, value, expectedRevision })
  }
  return [...writes.values()]
}
