import type { Engine } from '../engine/index.ts'
import type { Subscription } from '../runtime/index.ts'

/** The subscriptions of one start of an app, by group. */
type Subscriptions = ReadonlyMap<string, Subscription>

/** All starts that run in this process, by engine and name of the app. */
const startsByEngine = new WeakMap<Engine, Map<string, Set<Subscriptions>>>()

/** Adds those of one start; the function returned takes them away. */
export function enlist(engine: Engine, app: string, subscriptions: Subscriptions): () => void {
  let byApp = startsByEngine.get(engine)
  if (byApp === undefined) {
    byApp = new Map()
    startsByEngine.set(engine, byApp)
  }
  const starts = byApp.get(app) ?? new Set()
  byApp.set(app, starts.add(subscriptions))
  return () => {
    starts.delete(subscriptions)
  }
}

/** The subscriptions of all starts of an app that run on an engine in this process. */
export function subscriptionsOf(engine: Engine, app: string): readonly Subscription[] {
  return [...(startsByEngine.get(engine)?.get(app) ?? [])].flatMap((one) => [...one.values()])
}
