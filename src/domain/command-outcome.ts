import type { Appended, TopicPosition } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import type { Rejection } from './rejection.ts'

/** Code of the rejection of a command whose stream was deleted for good. */
export type StreamDeletedCode = 'STREAM_DELETED'

/** What became of a command: its events are durable, or it was rejected. Both are expected. */
export type CommandOutcome<Event extends Message = Message, Code extends string = string> =
  | CommandAccepted<Event>
  | CommandRejected<Code | StreamDeletedCode>

/** The command took effect. */
export interface CommandAccepted<Event extends Message = Message> {
  readonly kind: 'accepted'
  /** What happened, in its order; empty if the command changed nothing. */
  readonly events: readonly Event[]
  /**
   * Position of the event store at which all of them stand there: that of the last event of their commit, which commands of one
   * stream that come at once share. `undefined` without events, where they were truncated since, and in a reply from
   * another process.
   */
  readonly position: number | undefined
  /** Where the events were published; none if they leave later, through an outbox. */
  readonly published: readonly TopicPosition[]
  /** The same command, by its id, had taken effect before. */
  readonly repeated: boolean
}

/** The command was refused. */
export interface CommandRejected<Code extends string = string> extends Rejection<Code> {
  /** The same command, by its id, had been rejected before. */
  readonly repeated: boolean
}

/**
 * What is remembered of a command, as JSON: its rejection; or where its events stand, as they may be many; or the events
 * themselves, where nobody could tell their versions before the commit.
 */
export type RememberedOutcome =
  | { readonly rejected: readonly [code: string, reason: string, details: Json] }
  | { readonly stream: string; readonly from: number; readonly count: number }
  | { readonly events: readonly Message[] }

/** The first time. */
export function accepted(
  events: readonly Message[],
  appended: readonly Appended[],
  published: readonly TopicPosition[],
): CommandAccepted {
  const position = appended.length === 0 ? undefined : Math.max(...appended.map((one) => one.lastPosition))
  return { kind: 'accepted', events, position, published, repeated: false }
}

/** The first time. */
export function rejected({ code, reason, details }: Rejection): CommandRejected {
  return { kind: 'rejected', code, reason, details, repeated: false }
}

/** A command whose stream will take no more events, ever. */
export function rejectedByTombstone(stream: string): CommandRejected {
  const reason = `Stream ${stream} was deleted for good.`
  return { kind: 'rejected', code: 'STREAM_DELETED', reason, details: { stream }, repeated: false }
}
