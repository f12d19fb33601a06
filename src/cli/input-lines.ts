import { InvariantError } from '../kernel/index.ts'

/** One line of input, without its end. */
export interface InputLine {
  /** From 1. */
  readonly number: number
  readonly bytes: Uint8Array
}

/** Why reading ended before the end. */
export interface LineTooLong {
  readonly number: number
  readonly tooLong: true
}

/** A line longer than this is not read, in bytes: no record may be larger. */
export const lineBytesMax: number = 64 * 1024 * 1024

const newline = 0x0a

/**
 * Splits bytes into lines at `\n`, without decoding them. The end of the input ends the last line; an empty rest is none.
 * Memory is bounded by one chunk and one line.
 */
export async function* inputLines(
  input: AsyncIterable<Uint8Array | string>,
  bytesMax: number = lineBytesMax,
): AsyncGenerator<InputLine | LineTooLong> {
  let number = 1
  let parts: Uint8Array[] = []
  let partBytes = 0
  for await (const given of input) {
    const chunk = typeof given === 'string' ? Buffer.from(given, 'utf8') : given
    let start = 0
    for (;;) {
      const end = chunk.indexOf(newline, start)
      const part = chunk.subarray(start, end < 0 ? chunk.length : end)
      partBytes += part.length
      if (partBytes > bytesMax) {
        yield { number, tooLong: true }
        return
      }
      // The chunk may be reused by its stream once we asked for the next one.
      parts.push(end < 0 ? Uint8Array.from(part) : part)
      if (end < 0) break
      yield { number: number++, bytes: joined(parts, partBytes) }
      parts = []
      partBytes = 0
      start = end + 1
    }
  }
  if (partBytes > 0) yield { number, bytes: joined(parts, partBytes) }
}

function joined(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array
  const whole = Buffer.concat(parts)
  if (whole.length !== bytes) throw new InvariantError('a line has the bytes of its parts')
  return whole
}

/** A line as text, without a carriage return at its end; `undefined` if it is no UTF-8. */
export function lineText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).replace(/\r$/, '')
  } catch {
    return undefined
  }
}
