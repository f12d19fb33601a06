import type { Clock } from './clock.ts'
import type { Random } from './random.ts'

/** Two lower-case hexadecimal digits for each byte. */
const hexPair: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

const counterBits = 26
const counterMax = 2 ** counterBits - 1
const timeMsMax = 2 ** 48 - 1

/**
 * Makes a generator of UUIDs of version 7 that are strictly ascending as text, one generator by itself, whatever the
 * clock does (RFC 9562 §5.7 and §6.2, method 1).
 *
 * 48 bits of time, a counter of 26 bits, 48 random bits. The counter starts each millisecond at a random value of 25
 * bits, so there is room for at least 33 million ids. When it runs over, or when the clock stands still or goes
 * backwards, the ids go on from the last time that was seen, which moves ahead of the clock by a millisecond if need be.
 *
 * @example
 * ```ts
 * const nextId = uuidv7(systemClock, systemRandom)
 * nextId() // '019a9e5c-3a68-7b1e-8d0a-52f6c1a09be4'
 * ```
 */
export function uuidv7(clock: Pick<Clock, 'nowMs'>, random: Pick<Random, 'nextUint32'>): () => string {
  let timeMs = -1
  let counter = 0
  let prefix = ''
  return () => {
    const nowMs = clock.nowMs()
    if (nowMs > timeMs) {
      timeMs = Math.min(nowMs, timeMsMax)
      counter = random.nextUint32() >>> 7
      prefix = timePrefix(timeMs, counter)
    } else if (++counter > counterMax) {
      timeMs++
      counter = random.nextUint32() >>> 7
      prefix = timePrefix(timeMs, counter)
    } else if ((counter & 0x3fff) === 0) {
      prefix = timePrefix(timeMs, counter)
    }
    return prefix + uuidTail(0x8000 | (counter & 0x3fff), random.nextUint32(), random.nextUint32())
  }
}

/** The first 48 bits of a UUID of version 7 as text, `tttttttt-tttt-`, for {@link formatUuidv7}. */
export function uuidTimeText(timeMs: number): string {
  const digits = Math.min(timeMs, timeMsMax).toString(16).padStart(12, '0')
  return `${digits.slice(0, 8)}-${digits.slice(8)}-`
}

/**
 * A UUID of version 7 (RFC 9562 §5.7) from its time text and 74 bits: the lower 26 of `a`, all of `b`, the upper 16 of
 * `c`, all of them unsigned.
 */
export function formatUuidv7(timeText: string, a: number, b: number, c: number): string {
  const high = 0x7000 | ((a >>> 14) & 0xfff)
  return `${timeText}${hexPair[high >>> 8]}${hexPair[high & 0xff]}-${uuidTail(0x8000 | (a & 0x3fff), b, c)}`
}

/** `tttttttt-tttt-7ccc-`: the time and the upper 12 bits of the counter. */
function timePrefix(timeMs: number, counter: number): string {
  return `${uuidTimeText(timeMs)}${((counter >>> 14) | 0x7000).toString(16)}-`
}

/** `vccc-rrrrrrrrrrrr`: the variant, the lower 14 bits of the counter and 48 random bits. */
function uuidTail(low: number, b: number, c: number): string {
  return `${hexPair[low >>> 8]}${hexPair[low & 0xff]}-${hexPair[b >>> 24]}${hexPair[(b >>> 16) & 0xff]}${
    hexPair[(b >>> 8) & 0xff]
  }${hexPair[b & 0xff]}${hexPair[c >>> 24]}${hexPair[(c >>> 16) & 0xff]}`
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Whether a text is a UUID of any version, in either case (RFC 9562 §4). */
export function isUuid(text: string): boolean {
  return uuidPattern.test(text)
}
