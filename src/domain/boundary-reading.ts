import type { EventQuery, EventQueryItem, EventStore } from '../engine/index.ts'
import { frozenJson } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import type { Projections } from './boundary.ts'
import type { Projection } from './projection.ts'

/** What a decision was based on: the values, and the condition under which they still hold. */
export interface BoundaryReading {
  readonly values: Readonly<Record<string, unknown>>
  readonly condition: { readonly query: EventQuery; readonly after: number }
}

/**
 * Reads what projections match, and infers the append condition from it: no event that any of them matches came after what
 * was read (dcb.events, specification, append condition).
 *
 * @param atPosition Only events up to this position. Default: all.
 */
export async function readBoundary(
  events: EventStore,
  projections: Projections,
  atPosition: number = Number.POSITIVE_INFINITY,
): Promise<BoundaryReading> {
  const named = Object.entries(projections)
  const values: Record<string, unknown> = {}
  for (const [name, { initial }] of named) values[name] = initial
  const whole = named.filter(([, projection]) => !projection.onlyLast)
  const last = named.filter(([, projection]) => projection.onlyLast)
  // Reads of their own see different moments: what all of them have seen is what stood there before the first.
  let after = last.length === 0 ? 0 : await events.lastPosition()
  if (whole.length > 0) {
    const query = { items: itemsOf(whole) }
    for await (const { message, tags, position } of events.readAll({ query })) {
      if (position > atPosition) break
      for (const [name, projection] of whole) {
        if (matches(projection.item, message, tags)) values[name] = applied(projection, values[name], message)
      }
      if (last.length === 0) after = position
    }
  }
  for (const [name, projection] of last) {
    const query = { items: [projection.item] }
    const from = Number.isFinite(atPosition) ? { fromPosition: atPosition } : {}
    for await (const { message } of events.readAll({ query, direction: 'backward', limit: 1, ...from })) {
      values[name] = applied(projection, projection.initial, message)
    }
  }
  for (const [name] of named) values[name] = frozenJson(values[name], name)
  return { values, condition: { query: { items: itemsOf(named) }, after } }
}

/** Whether an event is one that an item of a query means (dcb.events, specification, query item). */
export function matches({ types, tags: wanted }: EventQueryItem, message: Message, tags: readonly string[]): boolean {
  if (types !== undefined && types.length > 0 && !types.includes(message.type)) return false
  return wanted === undefined || wanted.every((tag) => tags.includes(tag))
}

/** The value after an event, of whatever version of its definition. */
export function applied(projection: Projection, value: unknown, message: Message): unknown {
  const definition = projection.events.find(({ type }) => type === message.type)
  return projection.apply(value, definition?.read(message) ?? message)
}

function itemsOf(named: readonly (readonly [string, Projection])[]): readonly EventQueryItem[] {
  return named.map(([, { item }]) => item)
}
