import { InvalidArgumentError } from 'commander'
import { OffsetOutOfRangeError, type StartPosition, type TopicDescription, type Topics } from '../engine/index.ts'
import { type Duration, DurationInvalidError, durationMs, parseIsoTime } from '../kernel/index.ts'

/** A time as it is typed. It may be relative, and becomes absolute when the command runs. */
type Moment = { readonly timeMs: number } | { readonly agoMs: number }

/** A place in a topic as it is typed. */
export type Position = 'earliest' | 'latest' | { readonly offset: number } | Moment

const momentHelp = '@2026-01-31, @2026-01-31T12:00:00Z, @1767225600000, @-90s, @-1h'

/** How positions are written, for help texts. */
export const positionHelp: string = `'earliest', 'latest', an offset, or a time: ${momentHelp}`

/** Parses a {@link Position}; commander reports what is thrown. */
export function parsePosition(text: string): Position {
  if (text === 'earliest' || text === 'latest') return text
  const position = /^\d{1,16}$/.test(text) ? { offset: Number(text) } : momentOf(text)
  if (position !== undefined) return position
  throw new InvalidArgumentError(`Give ${positionHelp}.`)
}

/** A place in a stream, or in the whole event store, as it is typed. */
export type EventPlace = { readonly number: number } | Moment

/** How places of events are written, for help texts. */
export const eventPlaceHelp: string = `a version, with --all a position, or a time: ${momentHelp}`

/** Parses an {@link EventPlace}; commander reports what is thrown. */
export function parseEventPlace(text: string): EventPlace {
  const place = /^[1-9]\d{0,15}$/.test(text) ? { number: Number(text) } : momentOf(text)
  if (place !== undefined) return place
  throw new InvalidArgumentError(`Give ${eventPlaceHelp}.`)
}

/** The time of a moment, in milliseconds since 1970. */
export function momentMs(moment: Moment, nowMs: number): number {
  return Math.max(0, 'timeMs' in moment ? moment.timeMs : nowMs - moment.agoMs)
}

function momentOf(text: string): Moment | undefined {
  if (text.startsWith('@-')) {
    const agoMs = durationOf(text.slice(2))
    return agoMs === undefined ? undefined : { agoMs }
  }
  const timeMs = text.startsWith('@') ? timeOf(text.slice(1)) : undefined
  return timeMs === undefined ? undefined : { timeMs }
}

/** The position as engines take it. */
export function startOf(position: Position, nowMs: number): StartPosition {
  if (typeof position === 'string' || 'offset' in position) return position
  return { timestampMs: momentMs(position, nowMs) }
}

/**
 * The offset of a position in one partition. An offset outside what is there becomes the nearest end if the topic has
 * several partitions: it is then meant for those where it exists.
 *
 * @throws OffsetOutOfRangeError `OFFSET_OUT_OF_RANGE`: in the only partition that is asked for.
 */
export async function offsetOf(
  topics: Topics,
  topic: TopicDescription,
  partition: number,
  start: StartPosition,
  isOnly: boolean,
): Promise<number> {
  try {
    return await topics.locate(topic.name, partition, start)
  } catch (error) {
    if (isOnly || !(error instanceof OffsetOutOfRangeError)) throw error
    const { offset, earliest, latest } = error.details
    return offset < earliest ? earliest : latest
  }
}

function durationOf(text: string): number | undefined {
  try {
    return durationMs(text as Duration)
  } catch (error) {
    if (error instanceof DurationInvalidError) return undefined
    throw error
  }
}

/** A point in time, in milliseconds since 1970: `2026-01-31`, RFC 3339, or those milliseconds. */
export function pointInTime(text: string): number {
  const timeMs = timeOf(text)
  if (timeMs !== undefined) return timeMs
  throw new InvalidArgumentError('Give a time: 2026-01-31, 2026-01-31T12:00:00Z or 1767225600000.')
}

function timeOf(text: string): number | undefined {
  if (/^\d{5,16}$/.test(text)) return Number(text)
  return parseIsoTime(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text)
}
