import { RecordArgumentInvalidError } from './errors.ts'

const seed = 0x9747b28c
const mixer = 0x5bd1e995

/**
 * The partition of a key, the same that Kafka's default partitioner takes: murmur2 of its UTF-8 bytes, without the sign
 * bit, modulo the number of partitions (`Utils.murmur2` and `Utils.toPositive` of Kafka's Java client).
 *
 * @param key Text (hashed as UTF-8) or bytes.
 * @param partitionCount At least 1.
 * @throws RecordArgumentInvalidError `RECORD_ARGUMENT_INVALID` for a count that is no positive integer.
 *
 * @example
 * ```ts
 * partitionFor('21', 8) // 5, as on a Kafka topic of 8 partitions
 * ```
 */
export function partitionFor(key: string | Uint8Array, partitionCount: number): number {
  if (!Number.isInteger(partitionCount) || partitionCount < 1) {
    throw new RecordArgumentInvalidError(
      'partitionCount',
      `is ${partitionCount}`,
      'Give the number of partitions, an integer from 1 on.',
    )
  }
  return (murmur2(key) & 0x7fffffff) % partitionCount
}

/** MurmurHash2 (32 bits) with Kafka's seed, as a signed 32-bit number like in Kafka's Java client. */
export function murmur2(key: string | Uint8Array): number {
  return typeof key === 'string' ? hashText(key) : hashBytes(key)
}

/** Hashes ASCII text in place; any other text by way of its UTF-8 bytes. */
function hashText(text: string): number {
  const length = text.length
  let hash = seed ^ length
  let seen = 0
  let at = 0
  for (const last = length - 4; at <= last; at += 4) {
    const a = text.charCodeAt(at)
    const b = text.charCodeAt(at + 1)
    const c = text.charCodeAt(at + 2)
    const d = text.charCodeAt(at + 3)
    seen |= a | b | c | d
    hash = mixBlock(hash, a | (b << 8) | (c << 16) | (d << 24))
  }
  let tail = 0
  for (let shift = 0; at < length; at++, shift += 8) {
    const unit = text.charCodeAt(at)
    seen |= unit
    tail |= unit << shift
  }
  if (seen > 0x7f) return hashBytes(Buffer.from(text, 'utf8'))
  return finish(hash, tail, length)
}

function hashBytes(bytes: Uint8Array): number {
  const length = bytes.length
  let hash = seed ^ length
  let at = 0
  for (const last = length - 4; at <= last; at += 4) {
    const block =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    hash = mixBlock(hash, block)
  }
  let tail = 0
  for (let shift = 0; at < length; at++, shift += 8) tail |= (bytes[at] as number) << shift
  return finish(hash, tail, length)
}

function mixBlock(hash: number, block: number): number {
  let mixed = Math.imul(block, mixer)
  mixed ^= mixed >>> 24
  return Math.imul(hash, mixer) ^ Math.imul(mixed, mixer)
}

/** @param tail The one to three bytes behind the last whole block; there are none if the length is a multiple of four. */
function finish(hash: number, tail: number, length: number): number {
  let mixed = (length & 3) === 0 ? hash : Math.imul(hash ^ tail, mixer)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, mixer)
  return mixed ^ (mixed >>> 15)
}
