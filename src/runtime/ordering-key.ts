import type { Message } from '../message/index.ts'
import type { UndecodableRecord } from '../record/index.ts'
import { KeyInvalidError, KeyMissingError } from './errors.ts'
import type { Handler } from './handler.ts'
import { escapedSegment } from './namespaces.ts'
import { nobody } from './task.ts'

/** With the names that stand before and behind it, a key of this length fits where engines keep things by name. */
const keyBytesMax = 700
/** A key of so few characters is never too long: each takes at most 3 bytes, escaped or not. */
const surelyShort = Math.floor(keyBytesMax / 3)

/** More keys would make one commit of an event that cannot be divided. */
export const orderingKeysMax = 1000

/**
 * The ordering key of a message for a handler, or the keys, if there are several; `undefined`: it has none, or the message does not
 * concern the view.
 *
 * A message may come from anywhere, and its key with it. One that cannot name state must fail its own message, not the
 * read or the commit that it shares with others.
 *
 * @throws KeyMissingError, KeyInvalidError, and what the handler's `key` throws
 */
export function orderingKeysOf(
  handler: Handler,
  group: string,
  message: Message,
): string | readonly string[] | undefined {
  const { key: keyOf, countsByKey } = handler
  const key: unknown = keyOf === undefined ? message.partitionkey : keyOf(message)
  if (key === undefined && (keyOf === undefined || countsByKey)) return undefined
  if (!countsByKey || !Array.isArray(key)) return usableKey(handler, group, message, key)
  const keys = [...new Set(key.map((one: unknown) => usableKey(handler, group, message, one)))]
  if (keys.length > orderingKeysMax) {
    throw new KeyInvalidError(group, message.id, `is one of ${keys.length}, more than ${orderingKeysMax}`)
  }
  return keys.length < 2 ? keys[0] : keys
}

function usableKey({ state, onDeadLetter }: Handler, group: string, message: Message, key: unknown): string {
  if (typeof key !== 'string') throw new KeyMissingError(group, message.id)
  if (state === undefined && onDeadLetter !== 'park-key') return key
  const problem = orderingKeyProblem(key)
  if (problem !== undefined) throw new KeyInvalidError(group, message.id, problem)
  return key
}

/**
 * The ordering key of a record that is no message, as far as it can be told: the key by which messages of its producer are
 * ordered. A handler with a function of its own for the key takes it from the message, which is not there.
 */
export function keyOfUndecodable(handler: Handler, group: string, record: UndecodableRecord): string | undefined {
  if (handler.key !== undefined) return undefined
  const header = record.headers.find(([name]) => name.toLowerCase() === 'ce_partitionkey')?.[1]
  const named = header == null || header.length === 0 ? undefined : Buffer.from(header).toString()
  const partitionkey = named ?? (typeof record.key === 'string' && record.key !== '' ? record.key : undefined)
  if (partitionkey === undefined) return undefined
  return partitionKeyOf(handler, group, { ...nobody, partitionkey })
}

/** The ordering key of a message that its handler cannot be shown; `undefined`: only the handler could tell it. */
export function keyOfUnreadable(handler: Handler, group: string, message: Message): string | undefined {
  return handler.key === undefined ? partitionKeyOf(handler, group, message) : undefined
}

function partitionKeyOf(handler: Handler, group: string, message: Message): string | undefined {
  try {
    return message.partitionkey === undefined ? undefined : usableKey(handler, group, message, message.partitionkey)
  } catch {
    return undefined
  }
}

/** Why nothing can be kept under a key; `undefined`: something can. */
export function orderingKeyProblem(key: string): string | undefined {
  if (typeof key !== 'string') return 'is no text'
  if (key.length === 0) return 'is empty'
  if (key.includes('\0')) return 'holds a NUL character'
  if (!key.isWellFormed()) return 'holds half of a surrogate pair'
  if (key.length > surelyShort && Buffer.byteLength(escapedSegment(key)) > keyBytesMax) {
    return `is longer than ${keyBytesMax} bytes ("/" and "%" count as three)`
  }
  return undefined
}
