import type { Engine, StateEntry, StateOwner, StateRange } from '../engine/index.ts'
import type { ViewChange, ViewEntry, ViewReader } from './running-app.ts'

const pageSize = 1000

/** Reads a view from the state store. */
export class LiveView<State> implements ViewReader<State> {
  readonly #engine: Engine
  readonly #namespace: string
  readonly #owner: StateOwner
  readonly #rebuild: () => Promise<void>

  /** @param owner Whose state it is, where state lives with its owner. */
  constructor(engine: Engine, namespace: string, owner: StateOwner, rebuild: () => Promise<void>) {
    this.#engine = engine
    this.#namespace = namespace
    this.#owner = owner
    this.#rebuild = rebuild
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
    for await (const change of this.#engine.state.watch(this.#namespace, { ...options, owner: this.#owner })) {
      yield { key: change.key, value: change.value as State | undefined }
    }
  }

  rebuild(): Promise<void> {
    return this.#rebuild()
  }
}

function entryOf<State>(entry: StateEntry): ViewEntry<State> {
  return { key: entry.key, value: entry.value as State }
}
