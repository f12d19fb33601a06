import {
  ArgumentInvalidError,
  type CommitOutcome,
  type EventQuery,
  type ExpectedVersion,
  type StateWrite,
} from '../engine/index.ts'
import type { Duration } from '../kernel/index.ts'
import { type CommandMessage, type EventMessage, type Message, tagsOfEvent } from '../message/index.ts'

/** Publish messages. Made by {@link publish}. */
export interface PublishEffect {
  readonly kind: 'publish'
  readonly messages: readonly Message[]
  readonly topic?: string
  readonly partition?: number
}

/** Append events to the event store. Made by {@link append}. */
export interface AppendEffect {
  readonly kind: 'append'
  readonly stream: string
  readonly events: readonly TaggedEvent[]
  readonly expected?: ExpectedVersion
  readonly condition?: AppendCondition
  readonly repeated?: 'accept' | 'refuse'
}

/** An event for the event store with the tags by which conditions and queries find it. */
export interface TaggedEvent {
  readonly message: Message
  readonly tags?: readonly string[]
}

/** Refuses an append when an event that matches `query` stands after position `after` (dcb.events, append condition). */
export interface AppendCondition {
  readonly query: EventQuery
  readonly after: number
}

/** New state of the handler under the key at hand. Made by {@link set}. */
export interface SetEffect<State> {
  readonly kind: 'set'
  readonly value: State
}

/** Forget the handler's state under the key at hand. Made by {@link remove}. */
export interface RemoveEffect {
  readonly kind: 'remove'
}

/** Schedule a durable timer. Made by {@link schedule}. */
export interface ScheduleEffect {
  readonly kind: 'schedule'
  readonly id: string
  readonly when: TimerTime
  readonly data: unknown
}

/** Cancel a durable timer. Made by {@link cancel}. */
export interface CancelEffect {
  readonly kind: 'cancel'
  readonly id: string
}

/** Send a command. Made by {@link send}. */
export interface SendEffect {
  readonly kind: 'send'
  readonly command: Message
  /** Default: at once. */
  readonly when?: TimerTime
}

/** Write state beside the handler's own: of Millrace's own handlers only. Made by {@link write}. */
export interface WriteEffect {
  readonly kind: 'write'
  readonly writes: readonly StateWrite[]
}

/** Commit inside of something else: of Millrace's own handlers only. Made by {@link within}. */
export interface WithinEffect {
  readonly kind: 'within'
  readonly commit: CommitWithin
}

/** Run something once the effects are durable: of Millrace's own handlers only. Made by {@link afterwards}. */
export interface AfterwardsEffect {
  readonly kind: 'afterwards'
  readonly run: () => void
}

/** Commits by the function that it is given, once, with some state besides. */
export type CommitWithin = (commit: (writes: readonly StateWrite[]) => Promise<CommitOutcome>) => Promise<CommitOutcome>

/** When a timer is due: after a while, or at a time (milliseconds since 1970, or RFC 3339). */
export type TimerTime = { readonly after: Duration } | { readonly at: number | string }

/** What a handler wants to become real, together with its progress. Plain frozen data. */
export type Effect<State = never> =
  | PublishEffect
  | SendEffect
  | AppendEffect
  | WriteEffect
  | WithinEffect
  | AfterwardsEffect
  | SetEffect<State>
  | RemoveEffect
  | ScheduleEffect
  | CancelEffect

/**
 * Publishes messages: each to the topic of its definition, or all to the one named.
 *
 * @example
 * ```ts
 * return publish(PaymentReceived({ orderId, amount }))
 * ```
 */
export function publish(
  messages: EventMessage | readonly EventMessage[],
  options: {
    /** Default: the topic of the message's definition, else `events`. It must exist or be declared. */
    readonly topic?: string
    /** Default: that of the message's key. */
    readonly partition?: number
  } = {},
): PublishEffect {
  const list = Array.isArray(messages) ? (messages as readonly EventMessage[]) : [messages as EventMessage]
  if (options === null) throw new ArgumentInvalidError('options', 'is null, not an object')
  if (options.topic === undefined && options.partition === undefined) return { kind: 'publish', messages: list }
  return Object.freeze({ kind: 'publish', messages: list, ...options })
}

/**
 * Sends a command to its one handler, in this app or another one on the same engine, together with the handler's progress:
 * fire and forget, durable.
 *
 * @param when Not before this time, by a durable timer. Default: at once.
 *
 * @example
 * ```ts
 * return [publish(OrderPlaced({ orderId })), send(CancelUnpaid({ orderId }), { after: '15m' })]
 * ```
 */
export function send(command: CommandMessage, when?: TimerTime): SendEffect {
  return Object.freeze({ kind: 'send', command, ...(when !== undefined && { when }) })
}

/** Writes state in the same commit. For handlers that Millrace itself makes: whose state it is, is theirs to know. */
export function write(writes: readonly StateWrite[]): WriteEffect {
  return { kind: 'write', writes }
}

/**
 * Has the effects committed by themselves, inside of something that adds state to them at the last moment and learns what became of
 * the commit. For handlers that Millrace itself makes. It must call what it is given, or throw.
 */
export function within(commit: CommitWithin): WithinEffect {
  return { kind: 'within', commit }
}

/**
 * Runs something in this process once the effects are durable; never if they are refused. For handlers that Millrace itself makes. It
 * must not throw, and nothing may depend on it: a process that dies in between does not run it.
 */
export function afterwards(run: () => void): AfterwardsEffect {
  return { kind: 'afterwards', run }
}

/**
 * Appends events to a stream of the event store, if what is expected still holds when the effects are committed. An event gets the
 * tags of its definition, unless it is given as `{ message, tags }`.
 *
 * If it does not, the handler runs again, up to 10 times at once, then by its retry policy: read what has changed and
 * decide anew. When its message comes again, the same events are recognised by their ids, and nothing is written.
 *
 * They are not published: return `publish(…)` beside it if handlers and views shall have them. Inline views take events of deciders
 * only; to change one, send a command.
 *
 * @example
 * ```ts
 * return append(`order-${orderId}`, OrderShipped({ orderId }), { expected: 3 })
 * ```
 */
export function append(
  stream: string,
  events: Message | TaggedEvent | readonly (Message | TaggedEvent)[],
  options: {
    /** Default `'any'`. */
    readonly expected?: ExpectedVersion
    readonly condition?: AppendCondition
    /** `'refuse'`: events that stand there already, by their ids, are a conflict like any other. Default `'accept'`. */
    readonly repeated?: 'accept' | 'refuse'
  } = {},
): AppendEffect {
  const list = Array.isArray(events)
    ? (events as readonly (Message | TaggedEvent)[])
    : [events as Message | TaggedEvent]
  return Object.freeze({ kind: 'append', stream, events: Object.freeze(list.map(tagged)), ...options })
}

function tagged(event: Message | TaggedEvent): TaggedEvent {
  if (typeof event !== 'object' || event === null) throw new ArgumentInvalidError('an event to append', 'is no object')
  if (!('specversion' in event)) return event
  const tags = tagsOfEvent(event)
  return Object.freeze(tags === undefined ? { message: event } : { message: event, tags })
}

/**
 * Sets the handler's own state under the key at hand. The value is kept as JSON; the state that the next message sees
 * is a frozen copy, the same whether it was read back or not: a property that is `undefined` is left out, and what JSON would
 * change beyond that is refused, such as `undefined` in an array.
 *
 * @example
 * ```ts
 * return set({ ...state, paid: true })
 * ```
 */
export function set<State>(value: State): SetEffect<State> {
  return { kind: 'set', value }
}

const removed: RemoveEffect = Object.freeze({ kind: 'remove' })

/** Forgets the handler's own state under the key at hand: the next message sees the initial state again. */
export function remove(): RemoveEffect {
  return removed
}

/**
 * Schedules a durable timer under the key at hand; the function of that name in the handler's `timers` runs when it is
 * due, never before. Scheduling it again under the same key moves it.
 *
 * @param data JSON that the timer carries, kept as state is, with the names of what it inherits from at most 1,048,576 characters. Default
 *   `null`.
 *
 * @example
 * ```ts
 * return schedule('payment-overdue', { after: '15m' }, { orderId })
 * ```
 */
export function schedule(id: string, when: TimerTime, data: unknown = null): ScheduleEffect {
  return Object.freeze({ kind: 'schedule', id, when, data })
}

/** Cancels a timer of the key at hand. Nothing happens if none is scheduled. */
export function cancel(id: string): CancelEffect {
  return Object.freeze({ kind: 'cancel', id })
}
