import type { Engine } from '../engine/index.ts'

/** Takes up requests; `ids` undefined: there are many, so it has to look for them. */
export type RequestListener = (ids: readonly string[] | undefined) => Promise<void>

/** Who takes up requests for dead letters in this process, by engine and app: its starts that run. */
const listenersByEngine = new WeakMap<Engine, Map<string, Set<RequestListener>>>()

/** Calls the listener for each request that is made in this process on this engine; the function returned ends that. */
export function onRequests(engine: Engine, app: string, listener: RequestListener): () => void {
  let byApp = listenersByEngine.get(engine)
  if (byApp === undefined) {
    byApp = new Map()
    listenersByEngine.set(engine, byApp)
  }
  const listeners = byApp.get(app) ?? new Set()
  byApp.set(app, listeners.add(listener))
  return () => {
    listeners.delete(listener)
  }
}

/** Tells of requests that are durable. Resolves when all that run have taken them up: so `idle()` after it waits for them. */
export async function tellRequests(engine: Engine, app: string, ids: readonly string[] | undefined): Promise<void> {
  const listeners = listenersByEngine.get(engine)?.get(app) ?? []
  await Promise.all([...listeners].map((listener) => listener(ids)))
}
