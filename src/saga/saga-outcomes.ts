import type { Engine } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import type { SagaOutcome } from './instance.ts'

type Listener = (outcome: SagaOutcome<Json>) => void

/** Who waits in this process for outcomes of the instances of a saga, by key. */
export class SagaOutcomes {
  readonly #listeners = new Map<string, Set<Listener>>()

  /** Hears of outcomes of an instance that members in this process make durable; the function returned ends that. */
  listen(key: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(key) ?? new Set()
    this.#listeners.set(key, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#listeners.get(key) === listeners) this.#listeners.delete(key)
    }
  }

  /** An outcome is durable. */
  tell(key: string, outcome: SagaOutcome<Json>): void {
    // Who asks may change what it gets, as if it had been read.
    for (const listener of this.#listeners.get(key) ?? []) listener(JSON.parse(JSON.stringify(outcome)))
  }
}

const outcomesByEngine = new WeakMap<Engine, Map<string, SagaOutcomes>>()

/** Those of all starts of an app that run on an engine in this process, by the namespace of the saga. */
export function outcomesOf(engine: Engine, namespace: string): SagaOutcomes {
  let byNamespace = outcomesByEngine.get(engine)
  if (byNamespace === undefined) {
    byNamespace = new Map()
    outcomesByEngine.set(engine, byNamespace)
  }
  let outcomes = byNamespace.get(namespace)
  if (outcomes === undefined) {
    outcomes = new SagaOutcomes()
    byNamespace.set(namespace, outcomes)
  }
  return outcomes
}
