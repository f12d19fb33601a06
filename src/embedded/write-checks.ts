import type { EventQuery, ExpectedVersion } from '../engine/index.ts'
import { WriteInvalidError } from './errors.ts'

/** Names of streams, namespaces, keys, owners, groups and tags: long enough for any use, short enough for an index. */
const nameBytesMax = 1024

/** Refuses what is no usable name: it would come back from the file as something else, or fill the indexes. */
export function checkName(place: string, name: unknown): asserts name is string {
  if (typeof name !== 'string') throw new WriteInvalidError(place, `is no string but ${describe(name)}`)
  if (name.length === 0) throw new WriteInvalidError(place, 'is empty')
  if (!name.isWellFormed())
    throw new WriteInvalidError(place, 'holds half of a surrogate pair, which UTF-8 cannot carry')
  if (name.includes('\0')) throw new WriteInvalidError(place, 'holds a NUL character')
  if (name.length > nameBytesMax || Buffer.byteLength(name) > nameBytesMax) {
    throw new WriteInvalidError(place, `is longer than ${nameBytesMax} bytes`)
  }
}

export function checkInteger(place: string, value: unknown, min: number): asserts value is number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min) {
    throw new WriteInvalidError(place, `is ${describe(value)}, not a whole number of at least ${min}`)
  }
}

export function checkExpected(place: string, expected: ExpectedVersion): void {
  if (expected === 'any' || expected === 'none' || expected === 'exists') return
  if (typeof expected === 'number') checkInteger(place, expected, 0)
  else throw new WriteInvalidError(place, `is ${describe(expected)}, not 'any', 'none', 'exists' or a version`)
}

export function checkQuery(place: string, query: EventQuery): void {
  if (!Array.isArray(query?.items)) throw new WriteInvalidError(place, 'has no items')
  for (const [i, item] of query.items.entries()) {
    if (typeof item !== 'object' || item === null) throw new WriteInvalidError(`${place}.items[${i}]`, 'is no object')
    for (const type of item.types ?? []) checkName(`${place}.items[${i}].types`, type)
    for (const tag of item.tags ?? []) checkName(`${place}.items[${i}].tags`, tag)
  }
}

/** State and payloads are JSON: what JSON would drop or change is refused, not stored as something else. */
export function encodeJson(place: string, value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value, refuseNonJson)
  } catch (error) {
    throw new WriteInvalidError(place, `is not JSON: ${(error as Error).message}`)
  }
  if (text === undefined) throw new WriteInvalidError(place, 'is undefined')
  return text
}

/** Names what JSON cannot carry; `JSON.stringify` has called `toJSON` by then, so a Date is seen through its holder. */
function refuseNonJson(this: unknown, key: string, value: unknown): unknown {
  const type = typeof value
  if (type === 'string' || type === 'boolean') return value
  if (type === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`${key || 'the value'} is ${String(value)}`)
    return value
  }
  if (type === 'function' || type === 'symbol') throw new TypeError(`${key || 'the value'} is a ${type}`)
  return value
}

function describe(value: unknown): string {
  if (typeof value === 'number') return String(value)
  if (value === null) return 'null'
  return typeof value
}
