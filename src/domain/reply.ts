import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Engine } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import { type EventDefinition, event, extensionOf, identityOf, type Message } from '../message/index.ts'
import { type PublishEffect, publish } from '../runtime/index.ts'
import type { CommandOutcome } from './command-outcome.ts'

/** What a reply says. */
export type ReplyData =
  | { readonly kind: 'accepted'; readonly events: readonly Message[]; readonly repeated: boolean }
  | {
      readonly kind: 'rejected'
      readonly code: string
      readonly reason: string
      readonly details: Json
      readonly repeated: boolean
    }
  | { readonly kind: 'answered'; readonly result: Json }
  | { readonly kind: 'failed'; readonly error: string; readonly problem: string }

// Whatever a command or query led to was checked where it was made.
const anything: StandardSchemaV1<ReplyData, ReplyData> = {
  '~standard': { version: 1, vendor: 'millrace', validate: (value) => ({ value: value as ReplyData }) },
}

/** What became of a command or query that somebody in another app waits for: see {@link repliesTo}. */
export const Replied: EventDefinition<'millrace.Replied', ReplyData, ReplyData> = event('millrace.Replied', {
  kind: 'system',
  data: anything,
})

/**
 * Attempts to commit what a command or query led to together with its reply; after them whoever asked is told that it cannot be done.
 * Each attempt at a command takes some ten conflicts, so they are together as many as one that is asked where its decider runs.
 */
export const askedAttemptsMax = 3

/** Name of the extension attribute that names the topic where a reply is waited for. */
export const replyTopicAttribute = 'replyto'

/** Topic on which an app waits for replies. */
export function replyTopic(app: string): string {
  return `${app}.replies`
}

/** Extension attribute of replies: source of the message that `causationid` names, as an id is unique with its source only. */
const causeSourceAttribute = 'causationsource'

/** The {@link identityOf} the message that a reply is for. */
export function repliesTo(reply: Message): string {
  return identityOf({ id: String(reply.causationid), source: String(extensionOf(reply, causeSourceAttribute)) })
}

/** A message from elsewhere does not choose freely what is published where. */
const replyTopicPattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.replies$/

/** The reply to a message, if somebody waits for one. */
export function replyTo(message: Message, data: ReplyData): PublishEffect | undefined {
  const topic = topicOfReply(message)
  if (topic === undefined) return undefined
  return publish(Replied(data, { extensions: { [causeSourceAttribute]: message.source } }), { topic })
}

/**
 * Whether a reply is to be written at this attempt. What it would tell of must not be lost with an asker that is gone: where a reply
 * could not be written, it is looked in the end whether its topic is there (one that was deleted is made anew by whoever waits); and
 * where not even a failure could be told, nobody is.
 */
export async function isReplyWanted(engine: Engine, message: Message, attempt: number): Promise<boolean> {
  const topic = topicOfReply(message)
  if (topic === undefined || attempt <= askedAttemptsMax) return topic !== undefined
  return attempt === askedAttemptsMax + 1 && (await engine.topics.describe(topic)) !== undefined
}

function topicOfReply(message: Message): string | undefined {
  const topic = extensionOf(message, replyTopicAttribute)
  return typeof topic === 'string' && replyTopicPattern.test(topic) ? topic : undefined
}

/** An outcome as a reply says it: without positions, which nobody knows before the commit. */
export function replyOfOutcome(outcome: CommandOutcome): ReplyData {
  const { repeated } = outcome
  if (outcome.kind === 'accepted') return { kind: 'accepted', events: outcome.events, repeated }
  const { code, reason, details } = outcome
  return { kind: 'rejected', code, reason, details, repeated }
}

/** An error as a reply says it. */
export function replyOfError(error: unknown): ReplyData {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown }
  return {
    kind: 'failed',
    error: typeof code === 'string' ? code : 'UNEXPECTED',
    problem: typeof message === 'string' ? message : String(error),
  }
}

/** The outcome that a reply tells of. */
export function outcomeOfReply(data: Extract<ReplyData, { kind: 'accepted' | 'rejected' }>): CommandOutcome {
  return data.kind === 'accepted' ? { ...data, position: undefined, published: [] } : data
}
