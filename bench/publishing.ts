import type { Engine } from '../src/engine/index.ts'
import type { Message } from '../src/message/index.ts'

/** Topic of the events that are measured. */
export const ordersTopic = 'orders'

/** Publishes so that a number of calls is always waiting for its sync; each takes the next list of messages. */
export async function publishInFlight(
  engine: Engine,
  options: InFlightOptions,
  next: () => readonly Message[],
): Promise<void> {
  await inFlight(options, () => engine.commit({ publish: [{ topic: ordersTopic, messages: next() }] }))
}

/** How many calls to make, and how many of them at once. */
export interface InFlightOptions {
  readonly commits: number
  readonly inFlight: number
  /** Takes how long each call took. */
  readonly latenciesMs?: number[]
  readonly groups?: AnswerGroups
}

/** Makes calls so that a number of them is always waiting. */
export async function inFlight(options: InFlightOptions, call: (index: number) => Promise<unknown>): Promise<void> {
  const { commits, latenciesMs, groups } = options
  let issued = 0
  const caller = async (): Promise<void> => {
    while (issued < commits) {
      const index = issued++
      const startMs = performance.now()
      await call(index)
      latenciesMs?.push(performance.now() - startMs)
      groups?.answered()
    }
  }
  await Promise.all(Array.from({ length: options.inFlight }, caller))
}

/** Counts the groups in which calls were answered: what is answered in one go was synced in one go. */
export class AnswerGroups {
  answerCount = 0
  groupCount = 0
  #isOpen = false

  answered(): void {
    this.answerCount++
    if (this.#isOpen) return
    this.#isOpen = true
    this.groupCount++
    // It runs when the promise jobs of this answer are done, before the next answer is looked at.
    process.nextTick(() => {
      this.#isOpen = false
    })
  }
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
