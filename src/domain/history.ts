import { checkEngine } from '../committing/index.ts'
import { ArgumentInvalidError, type Engine, type EventStore, type StoredEvent } from '../engine/index.ts'
import { type Difference, differences, type Json } from '../kernel/index.ts'
import { causeTypeOf, type Message } from '../message/index.ts'
import type { ProjectedOf, Projections } from './boundary.ts'
import { readBoundary } from './boundary-reading.ts'
import type { Decider } from './decider.ts'
import { EventTypes } from './desk-setup.ts'
import { StreamBeginningGoneError } from './errors.ts'
import { type GoneEvents, refuseIfStreamsGone } from './gone-events.ts'
import { lastPositionOf, pointTest, type StorePoint, type StreamPoint } from './history-point.ts'
import type { Projection } from './projection.ts'
import { foldStream } from './stream-fold.ts'
import type { View } from './view.ts'
import { type ViewEvent, type ViewKeyAt, viewAt } from './view-past.ts'

/** A state with where it stood. */
export interface StateAt<State> {
  readonly state: State
  /** Version of the last event in it; 0: none. */
  readonly version: number
  /** Position and time of that event; `undefined`: there is none. */
  readonly position: number | undefined
  readonly timeMs: number | undefined
}

/** What changed between two points. */
export interface StateDifference<State> {
  readonly from: StateAt<State>
  readonly to: StateAt<State>
  readonly changes: readonly Difference[]
  /** What happened in between. */
  readonly events: readonly StoredEvent[]
}

/** What changed under a key of a view between two points; a side is `undefined` where nothing counted under it. */
export interface ViewKeyDifference<State> {
  readonly from: State | undefined
  readonly to: State | undefined
  readonly changes: readonly Difference[]
  /** What happened in between. */
  readonly events: readonly ViewEvent[]
}

/** An event with what it goes back to. */
export interface Reason<Event extends ViewEvent = StoredEvent> {
  readonly event: Event
  /** What was handled when it was made: a command, by its id and, where it is known, its type. */
  readonly cause: { readonly id: string | undefined; readonly type: string | undefined }
  /** Id of the message that started it all. */
  readonly correlationid: string | undefined
  /** Earlier events of the same flow, in any stream, oldest first. */
  readonly flow: readonly StoredEvent[]
}

/** Reads the past of an event store. Made by {@link history}. */
export interface History {
  /**
   * State of a stream at a point. Default: now.
   *
   * @throws StreamBeginningGoneError `STREAM_BEGINNING_GONE`: the books were closed after that point
   */
  state<State>(decider: Decider<Message, Message, State>, stream: string, at?: StreamPoint): Promise<StateAt<State>>
  /** What changed in a stream between two points, and by which events. */
  difference<State>(
    decider: Decider<Message, Message, State>,
    stream: string,
    from: StreamPoint,
    to?: StreamPoint,
  ): Promise<StateDifference<State>>
  /**
   * What projections by tags say at a point.
   *
   * @throws HistoryIncompleteError `HISTORY_INCOMPLETE`: events of a stream were deleted, or its books were closed
   */
  projections<Read extends Projections>(
    read: Read,
    at?: StorePoint,
    options?: { readonly gone?: GoneEvents },
  ): Promise<ProjectedOf<Read>>
  /**
   * One key of a view at a point, made anew of what the view follows. Of an inline view that is the event store. Of any other one it
   * is the topics of its events, all of which are read: up to a time, with what was published by then, or up to a position of the event
   * store, with the events that stand there. The order is that of each partition; what stands in several is merged by its times.
   *
   * @throws HistoryIncompleteError `HISTORY_INCOMPLETE`: of an inline view, events of a stream were deleted, or its books were closed; of
   *   any other one, a topic compacts, or begins after its first record;
   *   ViewHistoryMissingError `VIEW_HISTORY_MISSING`: it is asked for at a position, and an event that counts has none
   */
  view<State>(
    view: View<State>,
    key: string,
    at?: StorePoint,
    options?: { readonly gone?: GoneEvents },
  ): Promise<State | undefined>
  /**
   * What changed under one key of a view between two points, and by which events: as they stand in their streams, or, where they
   * stand in none, on their topics. `to` is now by default.
   *
   * @throws HistoryIncompleteError `HISTORY_INCOMPLETE`, ViewHistoryMissingError `VIEW_HISTORY_MISSING`, as `view` does
   */
  viewDifference<State>(
    view: View<State>,
    key: string,
    from: StorePoint,
    to?: StorePoint,
    options?: { readonly gone?: GoneEvents },
  ): Promise<ViewKeyDifference<State>>
  /**
   * Why one key of a view is as it is at a point: the events that count under it, as {@link History.why} tells those of a stream.
   *
   * @throws HistoryIncompleteError `HISTORY_INCOMPLETE`, ViewHistoryMissingError `VIEW_HISTORY_MISSING`, as `view` does
   */
  whyView(
    view: View,
    key: string,
    at?: StorePoint,
    options?: { readonly gone?: GoneEvents; readonly scanMax?: number },
  ): Promise<readonly Reason<ViewEvent>[]>
  /**
   * Why a stream is as it is at a point: its events, with the command that each goes back to and what else happened in the same
   * flow before.
   *
   * @param options.scanMax So many events of the store are looked through for flows, back from the last event. Default 10,000.
   */
  why(stream: string, at?: StreamPoint, options?: { readonly scanMax?: number }): Promise<readonly Reason[]>
}

const scanMaxDefault = 10_000

/**
 * Reads the past: the state of any stream or view at a version, position or time, what changed in between, and why.
 *
 * @example
 * ```ts
 * const past = history(running.engine)
 * const { state } = await past.state(account, 'account-7', { time: '2026-03-01T00:00:00Z' })
 * for (const { path, before, after } of (await past.difference(account, 'account-7', { version: 3 })).changes) {
 *   console.log(path, before, after)
 * }
 * ```
 */
export function history(engine: Pick<Engine, 'events' | 'topics'>): History {
  checkEngine(engine)
  const { events } = engine
  const state: History['state'] = async (decider, stream, at) => {
    const found = await stateAt(events, decider, stream, at)
    return found as never
  }
  return Object.freeze<History>({
    state,
    difference: async (decider, stream, fromPoint, toPoint) => {
      const from = await state(decider, stream, fromPoint)
      const to = await state(decider, stream, toPoint)
      const changes = differences(from.state as Json, to.state as Json)
      const [low, high] = from.version <= to.version ? [from, to] : [to, from]
      const between: StoredEvent[] = []
      if (low.version < high.version) {
        const limit = high.version - low.version
        for await (const one of events.readStream(stream, { fromVersion: low.version + 1, limit })) between.push(one)
      }
      return { from, to, changes, events: between }
    },
    projections: async (read, at, options) => {
      checkProjections(read)
      await refuseIfStreamsGone(events, 'projections', options?.gone)
      const { values } = await readBoundary(events, read, await lastPositionOf(events, at))
      return values as never
    },
    view: async (view, key, at, options) => {
      const [found] = await viewAt(engine, view, key, [at], { gone: options?.gone, withEvents: false })
      return found?.state as never
    },
    viewDifference: async (view, key, fromPoint, toPoint, options) => {
      const points = [fromPoint, toPoint]
      const found = await viewAt(engine, view, key, points, { gone: options?.gone, withEvents: true })
      const [from, to] = found as [ViewKeyAt, ViewKeyAt]
      const [low, high] = from.counted.length <= to.counted.length ? [from, to] : [to, from]
      const changes = differences(from.state as Json | undefined, to.state as Json | undefined)
      const before = new Set(low.counted)
      const between = high.counted.filter((event) => !before.has(event))
      return { from: from.state as never, to: to.state as never, changes, events: between }
    },
    whyView: async (view, key, at, options) => {
      const [found] = await viewAt(engine, view, key, [at], { gone: options?.gone, withEvents: true })
      return reasonsOf(events, found?.counted ?? [], options?.scanMax ?? scanMaxDefault)
    },
    why: async (stream, at, options) =>
      reasonsOf(events, await eventsOf(events, stream, at), options?.scanMax ?? scanMaxDefault),
  })
}

function checkProjections(read: unknown): void {
  if (typeof read !== 'object' || read === null || Array.isArray(read)) {
    throw new ArgumentInvalidError('the projections', 'are no object with projections by name')
  }
  for (const [name, one] of Object.entries(read as Projections)) {
    if (typeof (one as Partial<Projection> | undefined)?.apply === 'function') continue
    throw new ArgumentInvalidError(`projections.${name}`, 'is none, as projection() makes it')
  }
}

async function stateAt(
  events: EventStore,
  decider: Decider,
  stream: string,
  at: StreamPoint | undefined,
): Promise<StateAt<unknown>> {
  if ((decider as Partial<Decider> | undefined)?.kind !== 'decider') {
    throw new ArgumentInvalidError('the decider', 'is none, as decider() makes it')
  }
  const isIncluded = pointTest(at)
  let last: StoredEvent | undefined
  const until = (event: StoredEvent): boolean => {
    if (!isIncluded(event)) return false
    last = event
    return true
  }
  const types = new EventTypes(decider.events)
  const begin = { state: decider.initialState, version: 0 }
  const folded = await foldStream({ events, decider, types, handler: decider.name, stream, from: begin, until })
  if (last === undefined) await refuseIfGone(events, decider.name, stream, at)
  return { ...folded, position: last?.position, timeMs: last?.timestampMs }
}

/** No event is left of the past of a point: that is nothing only if there never was one, or the deletion belongs to it. */
async function refuseIfGone(
  events: EventStore,
  handler: string,
  stream: string,
  at: StreamPoint | undefined,
): Promise<void> {
  const found = await events.describeStream(stream)
  if (found === undefined || Math.max(found.truncatedBefore - 1, found.deletedAt) === 0) return
  if (at === undefined && found.deletedAt === found.version) return
  if (at !== undefined && 'version' in at && (at.version === 0 || at.version >= found.version)) return
  throw new StreamBeginningGoneError(handler, stream, found.truncatedBefore)
}

async function eventsOf(
  events: EventStore,
  stream: string,
  at: StreamPoint | undefined,
): Promise<readonly StoredEvent[]> {
  const isIncluded = pointTest(at)
  const own: StoredEvent[] = []
  for await (const event of events.readStream(stream)) {
    if (!isIncluded(event)) break
    own.push(event)
  }
  return own
}

/** Events with what they go back to. */
async function reasonsOf<Event extends ViewEvent>(
  events: EventStore,
  own: readonly Event[],
  scanMax: number,
): Promise<readonly Reason<Event>[]> {
  const flows = new Map<string, StoredEvent[]>()
  for (const { message } of own) if (message.correlationid !== undefined) flows.set(message.correlationid, [])
  if (flows.size > 0) {
    const fromPosition = lastOf(own)
    const from = fromPosition === undefined ? {} : { fromPosition }
    const back = { direction: 'backward', ...from, limit: scanMax } as const
    for await (const event of events.readAll(back)) flows.get(flowOf(event.message))?.unshift(event)
  }
  return own.map((event) => ({
    event,
    cause: { id: event.message.causationid, type: causeTypeOf(event.message) },
    correlationid: event.message.correlationid,
    flow: (flows.get(event.message.correlationid ?? '') ?? []).filter((other) => isBefore(other, event)),
  }))
}

/** The highest position of events; `undefined`: one of them has none. */
function lastOf(own: readonly ViewEvent[]): number | undefined {
  const positions = own.map((event) => ('position' in event ? event.position : Number.POSITIVE_INFINITY))
  const last = positions.reduce((a, b) => Math.max(a, b), 0)
  return Number.isFinite(last) ? last : undefined
}

/** What stands in no stream comes after all that was stored by its time. */
function isBefore(stored: StoredEvent, event: ViewEvent): boolean {
  return 'position' in event ? stored.position < event.position : stored.timestampMs <= event.timestampMs
}

/** The first message of a flow names no other. */
function flowOf(message: Message): string {
  return message.correlationid ?? message.id
}
