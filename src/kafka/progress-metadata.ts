import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { OffsetRange, Progress } from '../engine/index.ts'

// What is done beyond the committed offset travels in the metadata text of the offset commit: it is written, replaced and
// deleted with the offset, in the same transaction. Format: docs/kafka.md, "Progress with gaps".

const plainPrefix = 'mr1:'
const deflatedPrefix = 'mr1z:'
/** More than any metadata can hold: whoever writes such a text means harm. */
const inflatedBytesMax = 1024 * 1024

/**
 * Ranges beyond `next` as text: for each, the distance from the end of the one before and its length, as varints (LEB128),
 * deflated where that is shorter, in base64. No range: the empty text.
 */
export function encodeDone(next: number, done: readonly OffsetRange[]): string {
  if (done.length === 0) return ''
  const bytes: number[] = []
  let at = next
  for (const { from, to } of done) {
    pushVarint(bytes, from - at)
    pushVarint(bytes, to - from)
    at = to
  }
  const plain = Buffer.from(bytes)
  const deflated = bytes.length > 64 ? deflateRawSync(plain) : plain
  return deflated.length < plain.length
    ? deflatedPrefix + deflated.toString('base64')
    : plainPrefix + plain.toString('base64')
}

/** The other way round. A text of somebody else says nothing of what is done beyond the offset. */
export function decodeDone(next: number, metadata: string | null | undefined): Progress {
  const bytes = bytesOf(metadata ?? '')
  const done: OffsetRange[] = []
  let at = next
  let position = 0
  const read = (): number => {
    let value = 0
    for (let factor = 1; position < bytes.length; factor *= 128) {
      const byte = bytes[position++] as number
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
    return Number.NaN
  }
  while (position < bytes.length) {
    const from = at + read()
    const to = from + read()
    // Progress that is not understood is none: handling something twice is found out by its effects' own commit.
    if (!Number.isSafeInteger(to) || from <= at || to <= from) return { next, done: [] }
    done.push({ from, to })
    at = to
  }
  return { next, done }
}

function bytesOf(metadata: string): Buffer {
  if (metadata.startsWith(plainPrefix)) return Buffer.from(metadata.slice(plainPrefix.length), 'base64')
  if (!metadata.startsWith(deflatedPrefix)) return Buffer.alloc(0)
  try {
    const deflated = Buffer.from(metadata.slice(deflatedPrefix.length), 'base64')
    return inflateRawSync(deflated, { maxOutputLength: inflatedBytesMax })
  } catch {
    return Buffer.alloc(0)
  }
}

function pushVarint(bytes: number[], value: number): void {
  let rest = value
  while (rest >= 128) {
    bytes.push((rest % 128) | 0x80)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
}
