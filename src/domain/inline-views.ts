import type { StateStore, StateWrite } from '../engine/index.ts'
import { frozenJson, type Json } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import { InlineViewForgetsError } from './errors.ts'
import type { View } from './view.ts'

/** Changes of inline views for one commit. */
export interface InlineChange {
  readonly writes: readonly StateWrite[]
  /** The commit was not made: what was assumed of it is forgotten. */
  undo(): void
}

interface CachedValue {
  value: Json | undefined
  /** Revision once all that was sent is committed. */
  revision: number
}

/** An event and the key of a view that it changes. */
interface Keyed {
  readonly view: View
  readonly namespace: string
  readonly event: Message
  readonly key: string
}

type Values = Map<string, CachedValue>

/** Values that are kept, of all views together; the one that was loaded first goes first. */
const cachedMax = 20_000

/**
 * Keeps views up to date in the commits of the events themselves.
 *
 * Commits are applied in the order in which they are sent, so the next one may build on a value that is not durable yet: it
 * expects the revision that the one before leaves, and is refused, and decided anew, if that one was. Keys are never forgotten,
 * since the revisions of one that is made anew begin again, and a process that still knows the old value could not tell.
 */
export class InlineViews {
  readonly #store: StateStore
  readonly #views: readonly { readonly view: View; readonly namespace: string; readonly types: ReadonlySet<string> }[]
  readonly #cache: Values = new Map()

  constructor(store: StateStore, views: readonly { readonly view: View; readonly namespace: string }[]) {
    this.#store = store
    this.#views = views.map((one) => ({ ...one, types: new Set(one.view.handler.events.map(({ type }) => type)) }))
  }

  /** What events of one commit change. The commit must be sent as soon as this resolves. */
  async change(events: readonly Message[]): Promise<InlineChange | undefined> {
    const keyed = this.#keyed(events)
    if (keyed.length === 0) return undefined
    // While one value is loaded, another may be forgotten for a refused commit.
    while (keyed.some((one) => !this.#cache.has(placeOf(one)))) await this.#load(keyed, this.#cache)
    const undo = (): void => {
      for (const one of keyed) this.#cache.delete(placeOf(one))
    }
    let writes: readonly StateWrite[]
    try {
      writes = applied(keyed, this.#cache)
    } catch (error) {
      // Some of the values were changed already.
      undo()
      throw error
    }
    for (const place of this.#cache.keys()) {
      if (this.#cache.size <= cachedMax) break
      this.#cache.delete(place)
    }
    return { writes, undo }
  }

  /** What events change, by what is durable now: for a commit that is sent some time later. */
  async changeLater(events: readonly Message[]): Promise<readonly StateWrite[]> {
    const keyed = this.#keyed(events)
    if (keyed.length === 0) return []
    const values: Values = new Map()
    await this.#load(keyed, values)
    return applied(keyed, values)
  }

  #keyed(events: readonly Message[]): readonly Keyed[] {
    return this.#views.flatMap(({ view, namespace, types }) =>
      events.flatMap((given) => {
        if (!types.has(given.type)) return []
        const event = view.read(given)
        const key = view.keyOf(event)
        return key === undefined ? [] : [{ view, namespace, event, key }]
      }),
    )
  }

  async #load(keyed: readonly Keyed[], into: Values): Promise<void> {
    for (const one of keyed) {
      const place = placeOf(one)
      if (into.has(place)) continue
      const entry = await this.#store.get(one.namespace, one.key)
      // Meanwhile somebody else may have put a newer value there.
      if (!into.has(place)) into.set(place, { value: entry?.value, revision: entry?.revision ?? 0 })
    }
  }
}

function placeOf({ namespace, key }: Keyed): string {
  return `${namespace} ${key}`
}

function applied(keyed: readonly Keyed[], values: Values): readonly StateWrite[] {
  const writes = new Map<string, Extract<StateWrite, { kind: 'set' }>>()
  for (const one of keyed) {
    const { view, namespace, event, key } = one
    const place = placeOf(one)
    const cached = values.get(place) as CachedValue
    const expectedRevision = writes.get(place)?.expectedRevision ?? cached.revision
    const next = view.apply(cached.value === undefined ? view.initial : cached.value, event)
    if (next === undefined) throw new InlineViewForgetsError(view.name, key)
    cached.value = frozenJson(next, 'state') as Json
    cached.revision = expectedRevision + 1
    writes.set(place, { kind: 'set', namespace, key, value: cached.value, expectedRevision })
  }
  return [...writes.values()]
}
