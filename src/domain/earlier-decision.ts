import type { Conflict, EventStore, StoredEvent } from '../engine/index.ts'
import { identityOf, type Message } from '../message/index.ts'
import type { CommandAccepted } from './command-outcome.ts'
import type { DeskSetup } from './desk-setup.ts'
import { EventIdTakenError } from './errors.ts'

/** An event stands in the store already under the id that a decision gave it. */
export type EventIdConflict = Extract<Conflict, { readonly kind: 'event-id' }>

/**
 * What a command had led to before it was forgotten, if an event of its decision stands in the store because of itself: events whose
 * ids the decider chooses are the same whenever the command is decided.
 *
 * @param decision What was decided now, and refused by `conflict`.
 * @throws EventIdTakenError `EVENT_ID_TAKEN`: somebody else had appended that event.
 */
export async function earlierDecision(
  { engine, group }: Pick<DeskSetup, 'engine' | 'group'>,
  command: Message,
  decision: { readonly events: readonly Message[]; readonly streams: readonly string[] },
  { stream: refused, id }: EventIdConflict,
): Promise<CommandAccepted> {
  const identities = new Set(decision.events.filter((event) => event.id === id).map(identityOf))
  const found: StoredEvent[] = []
  for (const stream of decision.streams) {
    found.push(...(await eventsCausedBy(engine.events, stream, command, identities)))
  }
  if (!found.some(({ message }) => identities.has(identityOf(message)))) throw new EventIdTakenError(group, refused, id)
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
