import assert from 'node:assert/strict'
import type { EventQuery, ExpectedVersion } from '../events.ts'
import type { Appended, AppendWrite } from '../write-batch.ts'

/** An event as the model keeps it. */
export interface ModelEvent {
  readonly stream: string
  readonly version: number
  readonly id: string
  readonly type: string
  tags: readonly string[]
  /** Rises over the whole store, as positions do; the model leaves no gaps. */
  readonly ordinal: number
}

/** A stream as the model keeps it. */
export interface ModelStream {
  version: number
  truncatedBefore: number
  deletedAt: number
  tombstoned: boolean
}

/** The event store of the model. */
export interface ModelEvents {
  readonly streams: Map<string, ModelStream>
  events: ModelEvent[]
  ordinal: number
  /** The engine's position of the last event of each append, by the model's ordinal. */
  readonly positions: Map<number, number>
}

export function newModelEvents(): ModelEvents {
  return { streams: new Map(), events: [], ordinal: 0, positions: new Map() }
}

/** Whether an event matches a query (dcb.events): one item, all tags, any type. */
export function matches(event: Pick<ModelEvent, 'type' | 'tags'>, query: EventQuery): boolean {
  if (query.items.length === 0) return true
  return query.items.some(
    ({ types = [], tags = [] }) =>
      (types.length === 0 || types.includes(event.type)) && tags.every((tag) => event.tags.includes(tag)),
  )
}

function isExpected(stream: ModelStream | undefined, expected: ExpectedVersion): boolean {
  if (expected === 'any') return true
  const version = stream?.version ?? 0
  if (expected === 'none') return version === 0
  return expected === 'exists' ? version > 0 : version === expected
}

/**
 * Appends to the model what the engine was asked to append, if it may be appended, and holds the answer against it.
 *
 * @param ordinalBefore The last event before the commit: conditions look at what stood there, not at what the commit
 *   itself appends, so that events for several streams can be appended under one condition.
 */
export function appendTo(
  data: ModelEvents,
  write: AppendWrite,
  answer: Appended | undefined,
  ordinalBefore: number,
  faults: Set<string>,
): 'appended' | 'repeated' | 'refused' {
  const stream = data.streams.get(write.stream)
  if (stream?.tombstoned === true) {
    faults.add('stream-deleted')
    return 'refused'
  }
  const standing = write.events.map(({ message }) => data.events.find(({ id }) => id === message.id))
  const first = standing[0]
  if (first !== undefined && isRun(standing, write.stream)) {
    const last = standing.at(-1) as ModelEvent
    if (answer !== undefined) {
      const { lastPosition, ...rest } = answer
      const expected = { stream: write.stream, firstVersion: first.version, lastVersion: last.version, duplicate: true }
      assert.deepEqual(rest, expected, 'a repetition was answered otherwise than the first time')
      assert.equal(lastPosition, data.positions.get(last.ordinal))
    }
    return 'repeated'
  }
  const before = faults.size
  if (standing.some((event) => event !== undefined)) faults.add('event-id')
  if (!isExpected(stream, write.expected ?? 'any')) faults.add('stream-version')
  const { condition } = write
  if (condition !== undefined) {
    const counts = ({ ordinal }: ModelEvent): boolean =>
      ordinal <= ordinalBefore && (positionOf(data, ordinal) ?? Number.POSITIVE_INFINITY) > condition.after
    if (data.events.some((event) => counts(event) && matches(event, condition.query))) faults.add('condition')
  }
  if (faults.size > before) return 'refused'
  put(data, write, stream, answer)
  return 'appended'
}

/** Whether these events stand one after the other in this stream. */
function isRun(events: readonly (ModelEvent | undefined)[], stream: string): boolean {
  const firstVersion = events[0]?.version ?? 0
  return events.every((event, index) => event?.stream === stream && event.version === firstVersion + index)
}

/**
 * The engine's position of an event, or a bound of it that is good enough to compare with the last position of an
 * append: that of its own append.
 */
function positionOf(data: ModelEvents, ordinal: number): number | undefined {
  for (let candidate = ordinal; candidate <= data.ordinal; candidate++) {
    const position = data.positions.get(candidate)
    if (position !== undefined) return position
  }
  return undefined
}

function put(
  data: ModelEvents,
  write: AppendWrite,
  known: ModelStream | undefined,
  answer: Appended | undefined,
): void {
  const stream = known ?? { version: 0, truncatedBefore: 1, deletedAt: 0, tombstoned: false }
  data.streams.set(write.stream, stream)
  const firstVersion = stream.version + 1
  for (const { message, tags = [] } of write.events) {
    stream.version++
    data.ordinal++
    const { id, type } = message
    data.events.push({ stream: write.stream, version: stream.version, id, type, tags, ordinal: data.ordinal })
  }
  if (answer === undefined) return
  const { lastPosition, ...rest } = answer
  const expected = { stream: write.stream, firstVersion, lastVersion: stream.version, duplicate: false }
  assert.deepEqual(rest, expected, 'an append was answered wrongly')
  for (const position of data.positions.values()) assert.ok(position < lastPosition, 'positions went back')
  data.positions.set(data.ordinal, lastPosition)
}
