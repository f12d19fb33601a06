import type { CommandOutcome, ViewChange, ViewEntry, ViewReader } from '../domain/index.ts'
import type { Engine, StateEntry, StateOwner, StateRange, TopicPosition } from '../engine/index.ts'

import { placesOf } from './caught-up.ts'

const pageSize = 1000

/** Reads a view from the state store. */
export class LiveView<State> implements ViewReader<State> {
  readonly #engine: Engine
  readonly #namespace: string
  readonly #owner: StateOwner | undefined
  readonly #rebuild: () => Promise<void>
  readonly #caughtUp: (places: readonly TopicPosition[], signal?: AbortSignal) => Promise<void>

  constructor(
    engine: Engine,
    namespace: string,
    parts: {
      /** Whose state it is, where state lives with its owner. */
      readonly owner: StateOwner | undefined
      readonly rebuild: () => Promise<void>
      /** Waits until the view has taken in these places; none: all that was published. */
      readonly caughtUp: (places: readonly TopicPosition[], signal?: AbortSignal) => Promise<void>
    },
  ) {
    this.#engine = engine
    this.#namespace = namespace
    this.#owner = parts.owner
    this.#rebuild = parts.rebuild
    this.#caughtUp = parts.caughtUp
  }

  async get(key: string): Promise<State | undefined> {
    const entry = await this.#engine.state.get(this.#namespace, key, this.#owner)
    return entry?.value as State | undefined
  }

  async range(range?: StateRange): Promise<readonly ViewEntry<State>[]> {
    return (await this.#engine.state.range(this.#namespace, range, this.#owner)).map(entryOf<State>)
  }

  async *list(
    range: Pick<StateRange, 'prefix' | 'from' | 'to' | 'reverse'> = {},
  ): AsyncGenerator<ViewEntry<State>, void, void> {
    let after: string | undefined
    for (;;) {
      const next = { ...range, limit: pageSize, ...(after !== undefined && { after }) }
      const page = await this.#engine.state.range(this.#namespace, next, this.#owner)
      yield* page.map(entryOf<State>)
      if (page.length < pageSize) return
      after = page.at(-1)?.key
    }
  }

  count(): Promise<number> {
    return this.#engine.state.count(this.#namespace, this.#owner)
  }

  async *watch(options: {
    readonly key?: string
    readonly prefix?: string
    readonly signal: AbortSignal
  }): AsyncGenerator<ViewChange<State>, void, void> {
    const watched = this.#owner === undefined ? options : { ...options, owner: this.#owner }
    for await (const change of this.#engine.state.watch(this.#namespace, watched)) {
      yield { key: change.key, value: change.value as State | undefined }
    }
  }

  async waitFor(
    what: CommandOutcome | readonly TopicPosition[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const places = placesOf(what)
    if (places !== undefined) await this.#caughtUp(places, options.signal)
  }

  rebuild(): Promise<void> {
    return this.#rebuild()
  }
}

function entryOf<State>(entry: StateEntry): ViewEntry<State> {
  return { key: entry.key, value: entry.value as State }
}
