import type { PublishWrite, RawRecord } from '../engine/index.ts'
import {
  contentTypeHeader,
  decodeJson,
  encodeJson,
  type Message,
  messageProblem,
  structuredContentType,
  topicOfType,
  withAttributes,
} from '../message/index.ts'
import { OutboxArgumentInvalidError } from './errors.ts'

/** A message of any type and data, as definitions make them. */
export type OutboxMessage = Message

/** Topic of messages whose definition this process does not know: the one that apps use. */
const defaultTopic = 'events'

/** Kafka's rule for topic names. */
const topicPattern = /^[a-zA-Z0-9._-]{1,249}$/

/** @throws OutboxArgumentInvalidError */
export function checkMessages(messages: OutboxMessage | readonly OutboxMessage[]): readonly OutboxMessage[] {
  const list: readonly OutboxMessage[] = Array.isArray(messages) ? messages : [messages as OutboxMessage]
  for (const [index, message] of list.entries()) {
    const problem = messageProblem(message)
    if (problem !== undefined) throw new OutboxArgumentInvalidError(`message ${index}`, problem)
  }
  return list
}

/** A row of the outbox: topic, key and the message as JSON. @throws OutboxArgumentInvalidError, TopicAmbiguousError */
export function rowOf(message: OutboxMessage, topic?: string): readonly [string, string | null, string] {
  const to = topic ?? topicOfType(message.type) ?? defaultTopic
  if (typeof to !== 'string' || !topicPattern.test(to) || to === '.' || to === '..') {
    throw new OutboxArgumentInvalidError('the topic', 'is no topic name')
  }
  return [to, message.partitionkey ?? null, encodeJson(message)]
}

/** A row as the relay reads it. */
export interface OutboxRow {
  readonly id: string
  readonly topic: string
  readonly key: string | null
  readonly message: string
}

/**
 * What rows say, in their order. A row that is no message, which somebody wrote by hand, does not stop those behind it: it is
 * published as it is, in structured content mode, and its readers make a dead letter of it.
 */
export function writesOf(rows: readonly OutboxRow[]): readonly PublishWrite[] {
  const writes: PublishWrite[] = []
  const open = new Map<string, { messages: Message[] } | { records: RawRecord[] }>()
  for (const row of rows) {
    const decoded = decodeJson(row.message)
    const last = open.get(row.topic)
    if (decoded.ok) {
      const message = withKey(decoded.value, row.key)
      if (last !== undefined && 'messages' in last) last.messages.push(message)
      else add(row.topic, { messages: [message] })
    } else {
      const headers = [[contentTypeHeader, `${structuredContentType}; charset=utf-8`] as const]
      const record = { key: row.key, value: row.message, headers }
      if (last !== undefined && 'records' in last) last.records.push(record)
      else add(row.topic, { records: [record] })
    }
  }
  return writes

  function add(topic: string, list: { messages: Message[] } | { records: RawRecord[] }): void {
    open.set(topic, list)
    writes.push({ topic, ...list })
  }
}

/** Who inserts rows without this library may give the key in its column only. */
function withKey(message: Message, key: string | null): Message {
  if (message.partitionkey !== undefined || key === null || key === '') return message
  return withAttributes(message, { partitionkey: key })
}
