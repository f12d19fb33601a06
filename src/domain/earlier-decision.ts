import type { EventStore, StoredEvent } from '../engine/index.ts'
import { identityOf, type Message } from '../message/index.ts'
import type { CommandAccepted } from './command-outcome.ts'

/**
 * What a command had led to before it was forgotten, if an event of its decision stands in the store because of itself: events whose
 * ids the decider chooses are the same whenever the command is decided.
 *
 * @param decided What was decided now, of which the event `id` stands in one of the streams.
 * @returns `undefined`: somebody else had appended that event.
 */
export async function earlierDecision(
  events: EventStore,
  command: Message,
  decided: readonly Message[],
  streams: readonly string[],
  id: string,
): Promise<CommandAccepted | undefined> {
  const identities = new Set(decided.filter((event) => event.id === id).map(identityOf))
  const found: StoredEvent[] = []
  for (const stream of streams) found.push(...(await eventsCausedBy(events, stream, command, identities)))
  if (!found.some(({ message }) => identities.has(identityOf(message)))) return undefined
  found.sort((a, b) => a.position - b.position)
  const position = found.at(-1)?.position
  return { kind: 'accepted', events: found.map(({ message }) => message), position, published: [], repeated: true }
}

/** Those of one commit, which stand one after the other; the newest, if it was handled more than once. */
async function eventsCausedBy(
  events: EventStore,
  stream: string,
  command: Message,
  identities: ReadonlySet<string>,
): Promise<readonly StoredEvent[]> {
  const found: StoredEvent[] = []
  for await (const event of events.readStream(stream, { direction: 'backward' })) {
    const { message } = event
    if (message.causationid === command.id) found.unshift(event)
    // Of somebody else: what is looked for stands nowhere else.
    else if (found.length > 0 || identities.has(identityOf(message))) break
  }
  return found
}
