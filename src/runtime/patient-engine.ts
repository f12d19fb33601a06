import type { Engine } from '../engine/index.ts'
import { isThenable } from '../kernel/index.ts'
import type { Patience } from './patience.ts'

/**
 * An engine that answers once it can: what it cannot do for a reason that passes is waited for. For those whom nobody has called and
 * who would not know what else to do. Iterations and listeners are the engine's own.
 */
export function patientEngine(engine: Engine, patience: Patience): Engine {
  const { topics, groups, events, state, timers } = engine
  const parts = Object.entries({ topics, groups, events, state, timers }).map(
    ([name, part]) => [name, patientPart<object>(part, patience)] as const,
  )
  return patientPart(engine, patience, new Map(parts))
}

/** @param parts What some of its properties are to be replaced with, by their names. */
function patientPart<Part extends object>(
  part: Part,
  patience: Patience,
  parts?: ReadonlyMap<string | symbol, object>,
): Part {
  return new Proxy(part, {
    get: (target, name) => {
      const value: unknown = parts?.get(name) ?? Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...given: unknown[]): unknown => {
        const answer: unknown = Reflect.apply(value, target, given)
        if (!isThenable(answer)) return answer
        const again = async (): Promise<unknown> => Reflect.apply(value, target, given) as unknown
        // What is answered, as nearly all is, costs no further turn of the event loop.
        return answer.then(undefined, (error: unknown) => patience.after(error, again, signalIn(given)))
      }
    },
  })
}

/** The signal with which somebody calls off what was asked. */
function signalIn(given: readonly unknown[]): AbortSignal | undefined {
  for (const one of given) {
    const { signal } = (one ?? {}) as { readonly signal?: unknown }
    if (signal instanceof AbortSignal) return signal
  }
  return undefined
}
