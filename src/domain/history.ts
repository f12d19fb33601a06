import { checkEngine } from '../committing/index.ts'
import type { Engine, EventQuery, EventStore, StoredEvent, Topics } from '../engine/index.ts'
import {
  type Difference,
  differences,
  frozenJson,
  type Json,
  OptionsInvalidError,
  pointCount,
  timePointMs,
} from '../kernel/index.ts'
import { type AnyDefinition, causeTypeOf, type Message } from '../message/index.ts'
import { topicsOf } from '../runtime/index.ts'
import type { ProjectedOf, Projections } from './boundary.ts'
import { readBoundary } from './boundary-reading.ts'
import type { Decider } from './decider.ts'
import { EventTypes } from './desk-setup.ts'
import { HistoryIncompleteError, StreamBeginningGoneError, ViewHistoryMissingError } from './errors.ts'
import { foldStream } from './stream-fold.ts'
import { checkIsView, type View } from './view.ts'

/** A point in the history of one stream. A time is RFC 3339 or milliseconds since 1970, and includes what was appended in it. */
export type StreamPoint = { readonly version: number } | StorePoint

/** A point in the history of the whole event store. */
export type StorePoint = { readonly position: number } | { readonly time: string | number }

/**
 * What to do where events of the store are gone, be it that streams were deleted or that their books were closed: `refuse` (default), or
 * `pass-over` them and make the state of those that are left.
 */
export type GoneEvents = 'refuse' | 'pass-over'

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
  readonly events: readonly StoredEvent[]
}

/** An event with what it goes back to. */
export interface Reason {
  readonly event: StoredEvent
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
   * One key of a view at a point, made anew of the events in the store: of views over events of deciders. It reads all events of
   * its types up to there, whether they were published or not; of a type of which some were appended, those that were only published are
   * not among them.
   *
   * @throws HistoryIncompleteError `HISTORY_INCOMPLETE`: events of a stream were deleted, or its books were closed;
   *   ViewHistoryMissingError `VIEW_HISTORY_MISSING`: events of one of its types were published and never appended
   */
  view<State>(
    view: View<State>,
    key: string,
    at?: StorePoint,
    options?: { readonly gone?: GoneEvents },
  ): Promise<State | undefined>
  /**
   * What changed under one key of a view between two points, and by which events. `to` is now by default.
   *
   * @throws HistoryIncompleteError `HISTORY_INCOMPLETE`, ViewHistoryMissingError `VIEW_HISTORY_MISSING`
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
   * @throws HistoryIncompleteError `HISTORY_INCOMPLETE`
   */
  whyView(
    view: View,
    key: string,
    at?: StorePoint,
    options?: { readonly gone?: GoneEvents; readonly scanMax?: number },
  ): Promise<readonly Reason[]>
  /**
   * Why a stream is as it is at a point: its events, with the command that each goes back to and what else happened in the same
   * flow before.
   *
   * @param options.scanMax So many events of the store are looked through for flows, back from the last event. Default 10,000.
   */
  why(stream: string, at?: StreamPoint, options?: { readonly scanMax?: number }): Promise<readonly Reason[]>
}

const scanMaxDefault = 10_000
const streamPageSize = 1000

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
  const { events, topics } = engine
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
      await refuseIfIncomplete(events, 'projections', options?.gone)
      const { values } = await readBoundary(events, read, await lastPositionOf(events, at))
      return values as never
    },
    view: async (view, key, at, options) => {
      await refuseIfUntold({ events, topics }, view, options?.gone)
      return (await viewAt(events, view, key, at)).state as never
    },
    viewDifference: async (view, key, fromPoint, toPoint, options) => {
      await refuseIfUntold({ events, topics }, view, options?.gone)
      const from = await viewAt(events, view, key, fromPoint)
      const to = await viewAt(events, view, key, toPoint)
      const [low, high] = from.counted.length <= to.counted.length ? [from, to] : [to, from]
      const changes = differences(from.state as Json | undefined, to.state as Json | undefined)
      const between = high.counted.slice(low.counted.length)
      return { from: from.state as never, to: to.state as never, changes, events: between }
    },
    whyView: async (view, key, at, options) => {
      await refuseIfUntold({ events, topics }, view, options?.gone)
      const { counted } = await viewAt(events, view, key, at)
      return reasonsOf(events, counted, options?.scanMax ?? scanMaxDefault)
    },
    why: async (stream, at, options) =>
      reasonsOf(events, await eventsOf(events, stream, at), options?.scanMax ?? scanMaxDefault),
  })
}

async function stateAt(
  events: EventStore,
  decider: Decider,
  stream: string,
  at: StreamPoint | undefined,
): Promise<StateAt<unknown>> {
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

/**
 * Nobody knows what was in events that are gone: whatever is made of all events of the store would be wrong in silence.
 *
 * @throws HistoryIncompleteError `HISTORY_INCOMPLETE`
 */
async function refuseIfIncomplete(events: EventStore, what: string, gone: GoneEvents | undefined): Promise<void> {
  if (gone === 'pass-over') return
  if (gone !== undefined && gone !== 'refuse') {
    const problem = `is ${JSON.stringify(gone)}, not refuse or pass-over`
    throw new OptionsInvalidError('history', [{ option: 'gone', problem }])
  }
  let after: string | undefined
  for (;;) {
    const page = await events.listStreams({ limit: streamPageSize, ...(after !== undefined && { after }) })
    const found = page.find(
      ({ truncatedBefore, deletedAt, tombstoned }) => truncatedBefore > 1 || deletedAt > 0 || tombstoned,
    )
    if (found !== undefined) throw new HistoryIncompleteError(what, found.stream)
    after = page.at(-1)?.stream
    if (page.length < streamPageSize) return
  }
}

/** @throws HistoryIncompleteError `HISTORY_INCOMPLETE`, ViewHistoryMissingError `VIEW_HISTORY_MISSING` */
async function refuseIfUntold(
  { events, topics }: Pick<Engine, 'events' | 'topics'>,
  view: View,
  gone: GoneEvents | undefined,
): Promise<void> {
  checkIsView(view)
  await refuseIfIncomplete(events, `view ${view.name}`, gone)
  if (gone === 'pass-over') return
  const untold: AnyDefinition[] = []
  for (const definition of view.handler.events) if (!(await isStored(events, definition.type))) untold.push(definition)
  for (const topic of topicsOf(untold)) {
    const type = await typePublished(topics, topic, new Set(untold.map(({ type }) => type)))
    if (type !== undefined) throw new ViewHistoryMissingError(view.name, topic, type)
  }
}

async function isStored(events: EventStore, type: string): Promise<boolean> {
  for await (const _event of events.readAll({ query: { items: [{ types: [type] }] }, limit: 1 })) return true
  return false
}

/** The first of these types that a topic holds. */
async function typePublished(topics: Topics, topic: string, types: ReadonlySet<string>): Promise<string | undefined> {
  const { partitions = [] } = (await topics.describe(topic)) ?? {}
  for (const { partition, earliest, latest } of partitions) {
    for (let offset = earliest; offset < latest; ) {
      const { records, nextOffset } = await topics.read({ topic, partition, offset })
      for (const record of records) {
        if (record.kind === 'message' && types.has(record.message.type)) return record.message.type
      }
      offset = nextOffset
    }
  }
  return undefined
}

function queryOf(view: View): EventQuery {
  return { items: [{ types: view.handler.events.map(({ type }) => type) }] }
}

/** What a view keeps under a key, and the events that it is made of. */
async function viewAt(
  events: EventStore,
  view: View,
  key: string,
  at: StorePoint | undefined,
): Promise<{ readonly state: unknown; readonly counted: readonly StoredEvent[] }> {
  const isIncluded = pointTest(at)
  const query = queryOf(view)
  let state: unknown
  const counted: StoredEvent[] = []
  for await (const event of events.readAll({ query })) {
    if (!isIncluded(event)) break
    const message = view.read(event.message)
    if (!view.keysOf(message).includes(key)) continue
    state = view.apply(state === undefined ? view.initial : state, message, key)
    counted.push(event)
  }
  return { state: state === undefined ? undefined : frozenJson(state, 'state'), counted }
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
async function reasonsOf(events: EventStore, own: readonly StoredEvent[], scanMax: number): Promise<readonly Reason[]> {
  const flows = new Map<string, StoredEvent[]>()
  for (const { message } of own) if (message.correlationid !== undefined) flows.set(message.correlationid, [])
  const last = own.at(-1)
  if (last !== undefined && flows.size > 0) {
    const back = { direction: 'backward', fromPosition: last.position, limit: scanMax } as const
    for await (const event of events.readAll(back)) flows.get(flowOf(event.message))?.unshift(event)
  }
  return own.map((event) => ({
    event,
    cause: { id: event.message.causationid, type: causeTypeOf(event.message) },
    correlationid: event.message.correlationid,
    flow: (flows.get(event.message.correlationid ?? '') ?? []).filter(({ position }) => position < event.position),
  }))
}

/** The first message of a flow names no other. */
function flowOf(message: Message): string {
  return message.correlationid ?? message.id
}

/** @throws OptionsInvalidError `OPTIONS_INVALID` */
function checkPoint(at: StreamPoint): void {
  if (typeof at === 'object' && at !== null && ('version' in at || 'position' in at || 'time' in at)) return
  const problem = `is ${JSON.stringify(at)}, not an object with a version, a position or a time`
  throw new OptionsInvalidError('history', [{ option: 'at', problem }])
}

/** Whether an event belongs to the past of a point. */
function pointTest(at: StreamPoint | undefined): (event: StoredEvent) => boolean {
  if (at === undefined) return () => true
  checkPoint(at)
  if ('version' in at) {
    const last = pointCount('version', at.version)
    return ({ version }) => version <= last
  }
  if ('position' in at) {
    const last = pointCount('position', at.position)
    return ({ position }) => position <= last
  }
  const timeMs = timePointMs(at.time)
  return ({ timestampMs }) => timestampMs <= timeMs
}

/** The last position that belongs to the past of a point. Times never fall as positions rise. */
async function lastPositionOf(events: EventStore, at: StorePoint | undefined): Promise<number> {
  if (at === undefined) return Number.POSITIVE_INFINITY
  checkPoint(at)
  if ('position' in at) return pointCount('position', at.position)
  for await (const event of events.readAll({ direction: 'backward', fromTimeMs: timePointMs(at.time), limit: 1 })) {
    return event.position
  }
  return 0
}
