import type { Engine, EventStore, StoredEvent, Topics } from '../engine/index.ts'
import { frozenJson, pointCount, timePointMs } from '../kernel/index.ts'
import { identityOf, type Message } from '../message/index.ts'
import { messageIn } from '../record/index.ts'
import { topicsOf } from '../runtime/index.ts'
import { ViewHistoryMissingError } from './errors.ts'
import { type GoneEvents, refuseIfRecordsGone, refuseIfStreamsGone } from './gone-events.ts'
import { checkPoint, pointTest, type StorePoint } from './history-point.ts'
import { checkIsView, type View } from './view.ts'

/** An event on a topic that stands in no stream: it was published and never appended, or its stream was deleted. */
export interface PublishedEvent {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** When it was published to the topic, in milliseconds since 1970. */
  readonly timestampMs: number
  readonly message: Message
}

/** An event that counts in a view. */
export type ViewEvent = StoredEvent | PublishedEvent

/** What a view keeps under a key at a point, and the events that it is made of. */
export interface ViewKeyAt {
  readonly state: unknown
  readonly counted: readonly ViewEvent[]
}

/** How the past of a view is read. */
export interface ViewPastOptions {
  readonly gone: GoneEvents | undefined
  /** Whether the events are told too, as they stand in their streams. */
  readonly withEvents: boolean
}

/** So much of each partition is read at a time, of all that a view follows side by side. */
const pageBytes = 64 * 1024

/**
 * What a view kept under a key at some points: made anew of what the view follows, in one go. An inline view follows the event store, any
 * other one its topics.
 *
 * @throws HistoryIncompleteError `HISTORY_INCOMPLETE`, ViewHistoryMissingError `VIEW_HISTORY_MISSING`, OptionsInvalidError
 *   `OPTIONS_INVALID`
 */
export async function viewAt(
  engine: Pick<Engine, 'events' | 'topics'>,
  view: View,
  key: string,
  points: readonly (StorePoint | undefined)[],
  options: ViewPastOptions,
): Promise<readonly ViewKeyAt[]> {
  checkIsView(view)
  for (const at of points) if (at !== undefined) checkPoint(at)
  const folds = points.map((): { state: unknown; counted: ViewEvent[] } => ({ state: undefined, counted: [] }))
  const found = view.inline
    ? ofStore(engine.events, view, key, points, options)
    : ofTopics(engine, view, key, points, options)
  for await (const { event, message, isIncluded } of found) {
    for (const [index, fold] of folds.entries()) {
      if (isIncluded[index] !== true) continue
      fold.state = view.apply(fold.state === undefined ? view.initial : fold.state, message, key)
      if (options.withEvents) fold.counted.push(event)
    }
  }
  return folds.map(({ state, counted }) => ({
    state: state === undefined ? undefined : frozenJson(state, 'state'),
    counted,
  }))
}

/** An event that counts under the key. */
interface Counted {
  readonly event: ViewEvent
  /** As its definition reads it now. */
  readonly message: Message
  /** Of each point, whether the event belongs to its past. */
  readonly isIncluded: readonly boolean[]
}

async function* ofStore(
  events: EventStore,
  view: View,
  key: string,
  points: readonly (StorePoint | undefined)[],
  { gone }: ViewPastOptions,
): AsyncGenerator<Counted, void, void> {
  const tests = points.map(pointTest)
  await refuseIfStreamsGone(events, `view ${view.name}`, gone)
  for await (const event of storedOf(events, view)) {
    const isIncluded = tests.map((test) => test(event))
    if (!isIncluded.includes(true)) return
    const message = view.read(event.message)
    if (view.keysOf(message).includes(key)) yield { event, message, isIncluded }
  }
}

async function* ofTopics(
  { events, topics }: Pick<Engine, 'events' | 'topics'>,
  view: View,
  key: string,
  points: readonly (StorePoint | undefined)[],
  { gone, withEvents }: ViewPastOptions,
): AsyncGenerator<Counted, void, void> {
  const types = new Set(view.handler.events.map(({ type }) => type))
  const names = topicsOf(view.handler.events)
  const tests = points.map((at) => recordTest(view, at, gone))
  await refuseIfRecordsGone(topics, `view ${view.name}`, names, gone)
  const published = inTheirOrder(topics, names)
  const isStoreAsked = withEvents || points.some((at) => at !== undefined && 'position' in at)
  const stored = isStoreAsked ? await storedUnder(events, view, key) : new Map<string, StoredEvent>()
  for await (const record of published) {
    if (!types.has(record.message.type)) continue
    const message = view.read(record.message)
    if (!view.keysOf(message).includes(key)) continue
    const appended = stored.get(identityOf(record.message))
    yield { event: appended ?? record, message, isIncluded: tests.map((test) => test(record, appended)) }
  }
}

/** Whether what stands on a topic belongs to the past of a point. */
function recordTest(
  view: View,
  at: StorePoint | undefined,
  gone: GoneEvents | undefined,
): (record: PublishedEvent, appended: StoredEvent | undefined) => boolean {
  if (at === undefined) return () => true
  if ('time' in at) {
    const timeMs = timePointMs(at.time)
    return ({ timestampMs }) => timestampMs <= timeMs
  }
  const last = pointCount('position', at.position)
  return ({ topic, message }, appended) => {
    if (appended !== undefined) return appended.position <= last
    if (gone === 'pass-over') return false
    throw new ViewHistoryMissingError(view.name, topic, message.type)
  }
}

function storedOf(events: EventStore, view: View): AsyncIterable<StoredEvent> {
  return events.readAll({ query: { items: [{ types: view.handler.events.map(({ type }) => type) }] } })
}

/** The events of the store that count under a key. */
async function storedUnder(events: EventStore, view: View, key: string): Promise<ReadonlyMap<string, StoredEvent>> {
  const found = new Map<string, StoredEvent>()
  for await (const event of storedOf(events, view)) {
    if (view.keysOf(view.read(event.message)).includes(key)) found.set(identityOf(event.message), event)
  }
  return found
}

/** All messages of topics as they stand: those of a partition in its order, those of several as their times say. */
async function* inTheirOrder(topics: Topics, names: readonly string[]): AsyncGenerator<PublishedEvent, void, void> {
  const heads: { readonly first: PublishedEvent; readonly rest: AsyncGenerator<PublishedEvent, void, void> }[] = []
  for (const topic of names) {
    const { partitions = [] } = (await topics.describe(topic)) ?? {}
    for (const { partition, earliest, latest } of partitions) {
      const rest = messagesOf(topics, { topic, partition, offset: earliest, end: latest })
      const { value: first } = await rest.next()
      if (first !== undefined) heads.push({ first, rest })
    }
  }
  while (heads.length > 0) {
    let index = 0
    for (const [other, { first }] of heads.entries()) {
      if (first.timestampMs < (heads[index]?.first.timestampMs as number)) index = other
    }
    const { first, rest } = heads[index] as (typeof heads)[number]
    yield first
    const { value: next } = await rest.next()
    if (next === undefined) heads.splice(index, 1)
    else heads[index] = { first: next, rest }
  }
}

async function* messagesOf(
  topics: Topics,
  { topic, partition, offset, end }: { topic: string; partition: number; offset: number; end: number },
): AsyncGenerator<PublishedEvent, void, void> {
  for (let from = offset; from < end; ) {
    const { records, nextOffset } = await topics.read({ topic, partition, offset: from, bytesMax: pageBytes })
    for (const record of records) {
      const message = messageIn(record)
      if (message === undefined || record.offset >= end) continue
      const { timestampMs } = record
      yield { topic, partition, offset: record.offset, timestampMs, message }
    }
    if (nextOffset <= from) return
    from = nextOffset
  }
}
