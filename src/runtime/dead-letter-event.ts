import type { Clock } from '../kernel/index.ts'
import { contextFor, type Message, runInContext } from '../message/index.ts'
import { DeadLettered } from './dead-letter-entry.ts'
import type { DeadLetter } from './dead-letters.ts'

/** What is left of the text of an error where room is short. */
const shortTextMax = 1024
/** More than a record takes beside its key, attributes and data: lengths, names of headers, offsets and times. */
const frameBytes = 1024

/** Whose dead letters are told of. */
export interface Teller {
  readonly group: string
  readonly source: string
  readonly clock: Clock
}

/**
 * The event that tells of a dead letter, as full as the topic of dead letters takes it: without the original, then with
 * the error in short, then without correlation, which may come from a foreign message of any size. `undefined`: not even
 * that fits. The dead letter itself is not touched by this.
 *
 * @param cause The message that was given up; `undefined`: it was none.
 */
export function deadLetterEvent(
  letter: DeadLetter,
  cause: Message | undefined,
  teller: Teller,
  recordBytesMax: number,
): Message | undefined {
  const { group, source, clock } = teller
  const inContext = (data: DeadLetter): Message => {
    if (cause === undefined) return DeadLettered(data, { source })
    const handlerId = `${group}:dead-letter:${letter.attempts}`
    return runInContext(contextFor(cause, { source, clock, handlerId }), () => DeadLettered(data))
  }
  const choices = [
    () => inContext(letter),
    () => inContext(withoutOriginal(letter)),
    () => inContext(inShort(letter)),
    () => DeadLettered(inShort(letter), { source }),
  ]
  for (const choice of choices) {
    const event = choice()
    if (recordBytesOf(event) <= recordBytesMax) return event
  }
  return undefined
}

function withoutOriginal(letter: DeadLetter): DeadLetter {
  if (letter.original.kind === 'omitted') return letter
  const characterCount = JSON.stringify(letter.original).length
  return { ...letter, original: { kind: 'omitted', characterCount } }
}

function inShort(letter: DeadLetter): DeadLetter {
  const short = (text: string): string => text.slice(0, shortTextMax).toWellFormed()
  const { code, name, message } = letter.error
  const error = { code: code === null ? null : short(code), name: short(name), message: short(message), stack: null }
  return { ...withoutOriginal(letter), error }
}

/** At least as many bytes as the message takes as a record. */
function recordBytesOf(message: Message): number {
  const { data, ...attributes } = message
  let bytes = frameBytes + Buffer.byteLength(JSON.stringify(data)) + Buffer.byteLength(message.partitionkey ?? '')
  for (const value of Object.values(attributes)) bytes += Buffer.byteLength(String(value))
  return bytes
}
