import type { Engine } from '../src/engine/index.ts'
import type { Message } from '../src/message/index.ts'

/** Topic of the events that are measured. */
export const ordersTopic = 'orders'

/** Publishes so that a number of calls is always waiting for its sync; each takes the next list of messages. */
export async function publishInFlight(
  engine: Engine,
  options: { readonly commits: number; readonly inFlight: number; readonly latenciesMs?: number[] },
  next: () => readonly Message[],
): Promise<void> {
  await inFlight(options, () => engine.commit({ publish: [{ topic: ordersTopic, messages: next() }] }))
}

/** Makes calls so that a number of them is always waiting. */
export async function inFlight(
  options: { readonly commits: number; readonly inFlight: number; readonly latenciesMs?: number[] },
  call: (index: number) => Promise<unknown>,
): Promise<void> {
  const { commits, latenciesMs } = options
  let issued = 0
  const caller = async (): Promise<void> => {
    while (issued < commits) {
      const index = issued++
      const startMs = performance.now()
      await call(index)
      latenciesMs?.push(performance.now() - startMs)
    }
  }
  await Promise.all(Array.from({ length: options.inFlight }, caller))
}

/** Goes round and round over a list. */
export function inTurn<Item>(items: readonly Item[]): () => Item {
  let index = 0
  return () => items[index++ % items.length] as Item
}

/** Cuts a list into pieces of one size. */
export function piecesOf<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.floor(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size))
}
