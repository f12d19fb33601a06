import type { Engine } from '../engine/index.ts'
import type { Decider } from './decider.ts'
import { isDecidedIn } from './event-origin.ts'
import type { View } from './view.ts'

/**
 * Types of the events that close books of streams which a view is made of, and that it does not take itself: what such books removed
 * is nowhere for a copy that is begun later.
 */
export function carriersUnseen(view: View, deciders: readonly Pick<Decider, 'events' | 'carriesForward'>[]): string[] {
  const taken = new Set(view.handler.events.map(({ type }) => type))
  const carriers = deciders
    .filter(({ events }) => events.some(({ type }) => taken.has(type)))
    .flatMap(({ carriesForward }) => (carriesForward === undefined || taken.has(carriesForward) ? [] : carriesForward))
  return [...new Set(carriers)]
}

/** A stream whose books were closed by an event of one of some types, with events removed before it; `undefined`: there is none. */
export async function streamOfClosedBooks(
  { events }: Engine,
  app: string,
  carriers: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  if (carriers.length === 0) return undefined
  for await (const event of events.readAll({ query: { items: [{ types: carriers }] }, signal })) {
    // As the first of its stream it carries on nothing.
    if (event.version === 1 || !isDecidedIn(app, event)) continue
    const { truncatedBefore = 1 } = (await events.describeStream(event.stream)) ?? {}
    if (truncatedBefore > 1) return event.stream
  }
  signal.throwIfAborted()
  return undefined
}
