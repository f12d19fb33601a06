import { frozenJson } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import type { Decider } from './decider.ts'
import type { EventTypes } from './desk-setup.ts'
import { DecisionInvalidError, StreamEventUnknownError } from './errors.ts'
import { isRejection, type Rejection } from './rejection.ts'

const nothing: readonly never[] = Object.freeze([])

/**
 * A decision as a list of events, or a rejection.
 *
 * @throws DecisionInvalidError `DECISION_INVALID`
 */
export function checkedDecision(
  decision: unknown,
  handler: string,
  command: Message,
  types: EventTypes,
): readonly Message[] | Rejection {
  if (decision === undefined || decision === null) return nothing
  if (isRejection(decision)) return decision
  const events = Array.isArray(decision) ? (decision as readonly unknown[]) : [decision]
  for (const event of events) {
    const message = event as Partial<Message> | null | undefined
    const isMessage = typeof message === 'object' && message !== null && message.specversion === '1.0'
    if (!isMessage || types.of(message as Message) === undefined) {
      const given = isMessage ? String(message.type) : describe(event)
      const reason = isMessage ? `${given} is not among its events` : `${given} is no event`
      throw new DecisionInvalidError(handler, command.type, reason)
    }
  }
  return events as readonly Message[]
}

/**
 * The state after an event of whatever version of its definition.
 *
 * @throws StreamEventUnknownError `STREAM_EVENT_UNKNOWN`, and what reading an event of an old version throws
 */
export function evolved(
  decider: Decider,
  types: EventTypes,
  state: unknown,
  event: Message,
  place: { readonly handler: string; readonly stream: string; readonly version: number },
): unknown {
  const definition = types.of(event)
  if (definition === undefined)
    throw new StreamEventUnknownError(place.handler, place.stream, place.version, event.type)
  const current = definition.version === event.dataversion ? event : definition.read(event)
  return decider.evolve(state, current)
}

/** A state as it is kept: frozen through and through, and JSON. @throws JsonInvalidError `JSON_INVALID` */
export function settledState(state: unknown): unknown {
  return frozenJson(state, 'state')
}

function describe(value: unknown): string {
  if (value instanceof Promise) return 'a promise'
  return typeof value === 'object' && value !== null
    ? `an object with ${Object.keys(value).slice(0, 5).join(', ') || 'nothing in it'}`
    : String(value)
}
