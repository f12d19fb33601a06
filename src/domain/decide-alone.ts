import type { Message } from '../message/index.ts'
import type { Boundary } from './boundary.ts'
import { applied, matches } from './boundary-reading.ts'
import { checkedDecision, evolved, settledState } from './decide.ts'
import type { Decider } from './decider.ts'
import { EventTypes } from './desk-setup.ts'
import type { Rejection } from './rejection.ts'

/**
 * What a decider or boundary decides on a command after these events, and nothing else: for specifications.
 *
 * Events of a boundary count by the tags of their definitions.
 *
 * @throws DecisionInvalidError `DECISION_INVALID`, StreamEventUnknownError `STREAM_EVENT_UNKNOWN`, and what its functions throw
 */
export function decideCommand(
  decider: Decider | Boundary,
  events: readonly Message[],
  command: Message,
): readonly Message[] | Rejection {
  const types = new EventTypes(decider.events)
  if (decider.kind === 'decider') {
    const state = stateAfter(decider, events, types)
    return checkedDecision(decider.decide(command, state), decider.name, command, types)
  }
  const values: Record<string, unknown> = {}
  for (const [name, projection] of Object.entries(decider.reads(command))) {
    let value = projection.initial
    for (const event of events) {
      const definition = projection.events.find(({ type }) => type === event.type)
      const tags = definition?.tagsOf(definition.read(event).data) ?? []
      if (!matches(projection.item, event, tags)) continue
      value = applied(projection, projection.onlyLast ? projection.initial : value, event)
    }
    values[name] = settledState(value)
  }
  return checkedDecision(decider.decide(command, values), decider.name, command, types)
}

function stateAfter(decider: Decider, events: readonly Message[], types: EventTypes): unknown {
  let state = decider.initialState
  for (const [index, event] of events.entries()) {
    const place = { handler: decider.name, stream: 'given', version: index + 1 }
    state = settledState(evolved(decider, types, state, event, place))
  }
  return state
}
