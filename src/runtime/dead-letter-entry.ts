import { frozenJson, type Json, MillraceError } from '../kernel/index.ts'
import { type EventDefinition, event, type Message } from '../message/index.ts'
import type { UndecodableRecord } from '../record/index.ts'
import type { DeadLetter, DeadOriginal } from './dead-letters.ts'
import { escapedSegment, sortableNumber } from './namespaces.ts'
import type { Task } from './task.ts'

/**
 * What the topic `<app>.dead-letters` records: one event each time that something is given up. Its data is the
 * {@link DeadLetter} as it stood then.
 */
export const DeadLettered: EventDefinition<'millrace.dead-lettered', DeadLetter, DeadLetter> = event(
  'millrace.dead-lettered',
  {
    kind: 'system',
    doc: 'A handler gave up a message.',
    topic: 'dead-letters',
    data: {
      '~standard': { version: 1, vendor: 'millrace', validate: (value: unknown) => ({ value: value as DeadLetter }) },
    },
    key: (letter) => (letter as DeadLetter).id,
    subject: (letter) => (letter as DeadLetter).handler,
  },
) as EventDefinition<'millrace.dead-lettered', DeadLetter, DeadLetter>

/** The longest part of a message or stack that is kept. */
const textCharactersMax = 16_384

/** What the ids of all dead letters of a handler begin with. */
export function deadLetterGroupPrefix(group: string): string {
  return `${escapedSegment(group)}/`
}

/** What the ids of all dead letters of a partition begin with. */
export function deadLetterPrefix(group: string, topic: string, partition: number): string {
  return `${deadLetterGroupPrefix(group)}${topic}/${partition}/`
}

/** The dead letter that a task becomes when its handler gives up. */
export function deadLetterOf(group: string, task: Task, error: unknown, nowMs: number, parksKey: boolean): DeadLetter {
  const { dead, timer } = task
  const before = dead?.letter
  return {
    id: before?.id ?? idOf(group, task),
    handler: group,
    reason: before?.reason ?? (timer !== undefined ? 'timer' : task.unreadable !== undefined ? 'unreadable' : 'failed'),
    topic: task.topic,
    partition: task.partition,
    offset: task.offset,
    timestampMs: task.timestampMs,
    key: task.key ?? (timer === undefined ? task.original.partitionkey : undefined) ?? null,
    error: errorFacts(error),
    attempts: task.attempt + (before?.attempts ?? 0),
    firstFailureMs: before?.firstFailureMs ?? (task.firstFailureMs === 0 ? nowMs : task.firstFailureMs),
    lastFailureMs: nowMs,
    original: before?.original ?? (timer === undefined ? originalMessage(task.original) : originalTimer(task)),
    parksKey,
    requested: null,
  }
}

/**
 * Who owns the partition that the id begins with looks after the dead letter. A record that fails again is the same dead
 * letter. A message that waited behind one of another partition is still told from the records of that partition.
 */
function idOf(group: string, { reader, timer, topic, partition, offset }: Task): string {
  const prefix = deadLetterPrefix(group, reader.topic, reader.partition)
  if (timer !== undefined) return `${prefix}timer/${escapedSegment(timer.id)}/${timer.revision}/${timer.dueMs}`
  if (topic === reader.topic && partition === reader.partition) return `${prefix}${sortableNumber(offset)}`
  return `${prefix}from/${topic}/${partition}/${sortableNumber(offset)}`
}

/** The dead letter of a record that is no message. */
export function undecodableLetter(
  group: string,
  place: { readonly topic: string; readonly partition: number },
  record: UndecodableRecord,
  nowMs: number,
): DeadLetter {
  const { offset, timestampMs } = record
  return {
    id: `${deadLetterPrefix(group, place.topic, place.partition)}${sortableNumber(offset)}`,
    handler: group,
    reason: 'undecodable',
    topic: place.topic,
    partition: place.partition,
    offset,
    timestampMs,
    key: typeof record.key === 'string' ? record.key : null,
    error: errorFacts(record.error),
    attempts: 1,
    firstFailureMs: nowMs,
    lastFailureMs: nowMs,
    original: { kind: 'record', valueBase64: Buffer.from(record.value).toString('base64') },
    parksKey: false,
    requested: null,
  }
}

/** The message of a dead letter, as it was read; `undefined` if it was none. */
export function messageOfLetter(letter: DeadLetter): Message | undefined {
  if (letter.original.kind !== 'message') return undefined
  return revivedMessage(letter.original)
}

/** A message as state keeps it. */
export function originalMessage(message: Message): DeadOriginal & { readonly kind: 'message' } {
  if (message.data instanceof Uint8Array) {
    const { data, ...envelope } = message
    const dataBase64 = Buffer.from(data).toString('base64')
    return { kind: 'message', message: envelope as unknown as Json, dataBase64 }
  }
  return { kind: 'message', message: message as unknown as Json, dataBase64: null }
}

export function revivedMessage(original: { readonly message: Json; readonly dataBase64: string | null }): Message {
  const envelope = original.message as unknown as Message
  if (original.dataBase64 === null) return envelope
  return Object.freeze({ ...envelope, data: new Uint8Array(Buffer.from(original.dataBase64, 'base64')) })
}

function originalTimer(task: Task): DeadOriginal {
  const timer = task.timer
  return frozenJson({
    kind: 'timer',
    owner: timer?.owner ?? '',
    timer: {
      id: timer?.id ?? '',
      dueMs: timer?.dueMs ?? 0,
      revision: timer?.revision ?? 0,
      payload: timer?.payload ?? null,
    },
  })
}

function errorFacts(error: unknown): DeadLetter['error'] {
  if (!(error instanceof Error))
    return { code: null, name: typeof error, message: clipped(safeText(error)), stack: null }
  const code: unknown = (error as { readonly code?: unknown }).code
  return {
    code: typeof code === 'string' ? code : null,
    name: clipped(error.name),
    message: clipped(error.message),
    stack: error.stack === undefined ? null : clipped(stackWithCauses(error)),
  }
}

function stackWithCauses(error: Error): string {
  let text = String(error.stack)
  let cause: unknown = error.cause
  for (let depth = 0; depth < 5 && cause instanceof Error; depth++) {
    text += `\nCaused by: ${cause instanceof MillraceError ? `[${cause.code}] ` : ''}${String(cause.stack)}`
    cause = cause.cause
  }
  return text
}

function clipped(text: string): string {
  const wellFormed = String(text).toWellFormed()
  return wellFormed.length > textCharactersMax ? `${wellFormed.slice(0, textCharactersMax)}…` : wellFormed
}

/** What was thrown may be anything, also something whose conversion throws. */
function safeText(value: unknown): string {
  try {
    return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
  } catch {
    return 'something that cannot be shown'
  }
}
