import type { Engine, StateEntry, StateRange } from '../engine/index.ts'
import type { ViewChange, ViewEntry, ViewReader } from './running-app.ts'

const pageSize = 1000

/** Reads a view from the state store. */
export class LiveView<State> implements ViewReader<State> {
  readonly #engine: Engine
  readonly #namespace: string
  readonly #rebuild: () => Promise<void>

  constructor(engine: Engine, namespace: string, rebuild: () => Promise<void>) {
    this.#engine = engine
    this.#namespace = namespace
    this.#rebuild = rebuild
  }

  async get(key: string): Promise<State | undefined> {
    const entry = await this.#engine.state.get(this.#namespace, key)
    return entry?.value as State | undefined
  }

  async range(range?: StateRange): Promise<readonly ViewEntry<State>[]> {
    return (await this.#engine.state.range(this.#namespace, range)).map(entryOf<State>)
  }

  async *list(
    range: Pick<StateRange, 'prefix' | 'from' | 'to' | 'reverse'> = {},
  ): AsyncGenerator<ViewEntry<State>, void, void> {
    let after: string | undefined
    for (;;) {
      const page = await this.#engine.state.range(this.#namespace, {
        ...range,
        limit: pageSize,
        ...(after !== undefined && { after }),
      })
      yield* page.map(entryOf<State>)
      if (page.length < pageSize) return
      after = page.at(-1)?.key
    }
  }

  count(): Promise<number> {
    return this.#engine.state.count(this.#namespace)
  }

  async *watch(options: {
    readonly key?: string
    readonly prefix?: string
    readonly signal: AbortSignal
  }): AsyncGenerator<ViewChange<State>, void, void> {
    for await (const change of this.#engine.state.watch(this.#namespace, options)) {
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
