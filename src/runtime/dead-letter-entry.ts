import { createHash } from 'node:crypto'
import type { Timer } from '../engine/index.ts'
import { freezeParsedJson, frozenJson, type Json, MillraceError } from '../kernel/index.ts'
import { type EventDefinition, event, type Message, sealed } from '../message/index.ts'
import type { DeadLetter, DeadOriginal, KeptOriginal } from './dead-letters.ts'
import { RecordGoneError } from './errors.ts'
import type { Handler } from './handler.ts'
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
/** The longest key that is noted. Where keys are parked they are shorter. */
const keyCharactersMax = 4096
/**
 * An original of more characters, as JSON, is not kept but referred to: a page of dead letters has to fit into memory. What
 * else a dead letter says fits beside it into what engines take as one value.
 */
const originalCharactersMax = 8 * 1024 * 1024

/** What the ids of all dead letters of a handler begin with. */
export function deadLetterGroupPrefix(group: string): string {
  return `${escapedSegment(group)}/`
}

/** What the ids of all dead letters of a partition begin with. */
export function deadLetterPrefix(group: string, topic: string, partition: number): string {
  return `${deadLetterGroupPrefix(group)}${topic}/${partition}/`
}

/** The dead letter that a task becomes when its handler gives up. */
export function deadLetterOf(
  { group, handler: { countsByKey } }: { readonly group: string; readonly handler: Pick<Handler, 'countsByKey'> },
  task: Task,
  error: unknown,
  nowMs: number,
  parksKey: boolean,
): DeadLetter {
  const { dead, timer } = task
  const before = dead?.letter
  return {
    id: before?.id ?? deadLetterId(group, task, countsByKey),
    handler: group,
    reason: before?.reason ?? reasonOf(task),
    topic: task.topic,
    partition: task.partition,
    offset: task.offset,
    timestampMs: task.timestampMs,
    key: keyOf(task),
    error: errorFacts(error),
    attempts: task.attempt + (before?.attempts ?? 0),
    firstFailureMs: before?.firstFailureMs ?? (task.firstFailureMs === 0 ? nowMs : task.firstFailureMs),
    lastFailureMs: nowMs,
    original: before?.original ?? (timer === undefined ? originalOf(task) : originalTimer(timer)),
    parksKey,
    requested: null,
  }
}

/** The dead letter that a delayed command becomes which cannot be sent. */
export function deadLetterOfDelayed(
  app: string,
  timer: Timer,
  failure: {
    readonly error: unknown
    readonly attempts: number
    readonly firstMs: number
    readonly nowMs: number
    readonly key: string | null
  },
): DeadLetter {
  const { id, dueMs, revision } = timer
  const handler = `${app}.delayed-commands`
  return {
    id: `${deadLetterGroupPrefix(handler)}timer/${shortSegment(id)}/${revision}/${dueMs}`,
    handler,
    reason: 'timer',
    topic: '',
    partition: 0,
    offset: -1,
    timestampMs: dueMs,
    key: failure.key === null || failure.key.length > keyCharactersMax ? null : failure.key,
    error: errorFacts(failure.error),
    attempts: failure.attempts,
    firstFailureMs: failure.firstMs,
    lastFailureMs: failure.nowMs,
    original: originalTimer(timer),
    parksKey: false,
    requested: null,
  }
}

function reasonOf({ timer, unreadable }: Task): DeadLetter['reason'] {
  if (timer !== undefined) return 'timer'
  if (unreadable === undefined) return 'failed'
  return unreadable.record === undefined || unreadable.error instanceof RecordGoneError ? 'unreadable' : 'undecodable'
}

function keyOf({ key, timer, unreadable, original }: Task): string | null {
  const known = key ?? (timer === undefined ? (unreadable?.record?.key ?? original.partitionkey) : undefined) ?? null
  return known === null || known.length > keyCharactersMax ? null : known
}

/**
 * Who owns the partition that the id begins with looks after the dead letter. A record that fails again is the same dead
 * letter. A message that waited behind one of another partition is still told from the records of that partition.
 *
 * @param perKey A message may count under several keys, and fail under each.
 */
function deadLetterId(group: string, task: Task, perKey: boolean): string {
  const { key } = task
  const id = recordId(group, task)
  return perKey && key !== undefined ? `${id}/${shortSegment(key, keySegmentBytesMax)}` : id
}

function recordId(group: string, { reader, timer, topic, partition, offset }: Task): string {
  const prefix = deadLetterPrefix(group, reader.topic, reader.partition)
  if (timer !== undefined) return `${prefix}timer/${shortSegment(timer.id)}/${timer.revision}/${timer.dueMs}`
  if (topic === reader.topic && partition === reader.partition) return `${prefix}${sortableNumber(offset)}`
  return `${prefix}from/${topic}/${partition}/${sortableNumber(offset)}`
}

/** Engines take keys of 1,024 bytes: the longest names of app, service, handler and topic leave this much. */
const segmentBytesMax = 250
/** It may stand behind the name of a second topic. */
const keySegmentBytesMax = 80

function shortSegment(text: string, bytesMax = segmentBytesMax): string {
  const segment = escapedSegment(text)
  if (Buffer.byteLength(segment) <= bytesMax) return segment
  return `sha256-${createHash('sha256').update(text).digest('hex')}`
}

/** The message of a dead letter, as it was read; `undefined` if it was none. */
export function messageOfLetter(letter: DeadLetter): Message | undefined {
  if (letter.original.kind !== 'message') return undefined
  return revivedMessage(letter.original)
}

/** What a task came from as state keeps it: itself, or, if it is too large, that it stands where it was read. */
export function originalOf({ unreadable, original }: Task): KeptOriginal {
  if (unreadable?.record !== undefined) return unreadable.record.original
  const kept = originalMessage(original)
  const characterCount = JSON.stringify(kept).length
  return characterCount > originalCharactersMax ? { kind: 'omitted', characterCount } : kept
}

/** A record that is no message as state keeps it. */
export function originalRecord(value: Uint8Array): KeptOriginal {
  const characterCount = Math.ceil(value.length / 3) * 4
  if (characterCount > originalCharactersMax) return { kind: 'omitted', characterCount }
  return { kind: 'record', valueBase64: Buffer.from(value).toString('base64') }
}

function originalMessage(message: Message): DeadOriginal & { readonly kind: 'message' } {
  if (message.data instanceof Uint8Array) {
    const { data, ...envelope } = message
    const dataBase64 = Buffer.from(data).toString('base64')
    return { kind: 'message', message: envelope as unknown as Json, dataBase64 }
  }
  return { kind: 'message', message: message as unknown as Json, dataBase64: null }
}

/** The message that {@link originalOf} kept. */
export function revivedMessage(original: { readonly message: Json; readonly dataBase64: string | null }): Message {
  const envelope = original.message as unknown as Message
  const { dataBase64 } = original
  const data = dataBase64 === null ? freezeParsedJson(envelope.data) : new Uint8Array(Buffer.from(dataBase64, 'base64'))
  // It was read from a topic once, so it may be published again as it is.
  return sealed({ ...envelope, data })
}

function originalTimer({ owner, id, dueMs, revision, payload }: Timer): DeadOriginal {
  return frozenJson({ kind: 'timer', owner, timer: { id, dueMs, revision, payload } })
}

function errorFacts(error: unknown): DeadLetter['error'] {
  if (!(error instanceof Error)) return { code: null, name: typeof error, message: clipped(textOf(error)), stack: null }
  const code = told<unknown>(() => (error as { readonly code?: unknown }).code, null)
  const stack = told(() => (error.stack === undefined ? null : stackWithCauses(error)), unshown)
  return {
    code: typeof code === 'string' ? clipped(code) : null,
    name: clipped(told(() => error.name, unshown)),
    message: clipped(told(() => error.message, unshown)),
    stack: stack === null ? null : clipped(stack),
  }
}

const unshown = 'something that cannot be shown'

/** What was thrown may be anything, also something that throws when it is looked at. */
function told<Told>(read: () => Told, otherwise: Told): Told {
  try {
    return read()
  } catch {
    return otherwise
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

function clipped(text: unknown): string {
  const wellFormed = told(() => String(text), unshown).toWellFormed()
  return wellFormed.length > textCharactersMax ? `${wellFormed.slice(0, textCharactersMax)}…` : wellFormed
}

function textOf(value: unknown): string {
  return told(() => (typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)), unshown)
}
