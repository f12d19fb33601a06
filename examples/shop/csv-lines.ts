import { isUtf8 } from 'node:buffer'

/** One line of a text file. */
export interface Line {
  /** From 1. */
  readonly number: number
  /** Without its end. Bytes that are no UTF-8 stand as U+FFFD; of a line that is too long only the beginning is here. */
  readonly text: string
  /** What ended it; empty for a last line without an end. */
  readonly end: '' | '\n' | '\r\n' | '\r'
  readonly isTooLong: boolean
  /** Why its text cannot be trusted; `undefined`: it can. */
  readonly damage: string | undefined
}

/** A longer line is not read, in bytes. */
export const lineBytesMax = 1_048_576
/** So much of a line that is too long is kept, in bytes: enough for its invoice number. */
const keptBytes = 4_096

const lineFeed = 0x0a
const carriageReturn = 0x0d

/** Splits bytes into lines at LF, CR LF and CR, in memory that is bounded however long a line is. */
export class LineSplitter {
  #number = 1
  /** Bytes of the line that has begun, copied out of the chunks. */
  #parts: Buffer[] = []
  #bytes = 0
  /** The chunk before ended with CR: whether LF belongs to it, the next byte tells. */
  #endsWithReturn = false

  /** The lines that end in this chunk. */
  push(chunk: Buffer): Line[] {
    const lines: Line[] = []
    let start = 0
    if (this.#endsWithReturn && chunk.length > 0) {
      this.#endsWithReturn = false
      if (chunk[0] === lineFeed) start = 1
      lines.push(this.#finished(start === 1 ? '\r\n' : '\r'))
    }
    let feed = chunk.indexOf(lineFeed, start)
    let back = chunk.indexOf(carriageReturn, start)
    while (feed >= 0 || back >= 0) {
      const isFeed = back < 0 || (feed >= 0 && feed < back)
      const at = isFeed ? feed : back
      this.#add(chunk.subarray(start, at), false)
      if (!isFeed && at === chunk.length - 1) {
        this.#endsWithReturn = true
        return lines
      }
      const isPair = !isFeed && feed === at + 1
      lines.push(this.#finished(isFeed ? '\n' : isPair ? '\r\n' : '\r'))
      start = at + (isPair ? 2 : 1)
      // Only what was passed is looked for again, so that a file without CR is not searched for it line by line.
      if (feed >= 0 && feed < start) feed = chunk.indexOf(lineFeed, start)
      if (back >= 0 && back < start) back = chunk.indexOf(carriageReturn, start)
    }
    this.#add(chunk.subarray(start), true)
    return lines
  }

  /** The last line, if the file does not end with a line end. */
  end(): Line[] {
    if (this.#endsWithReturn) return [this.#finished('\r')]
    return this.#bytes > 0 ? [this.#finished('')] : []
  }

  /** Takes bytes of the line that has begun; those that are kept beyond the chunk are copied, so that it can go. */
  #add(bytes: Buffer, copied: boolean): void {
    if (this.#bytes <= lineBytesMax) this.#parts.push(copied ? Buffer.from(bytes) : bytes)
    this.#bytes += bytes.length
    if (this.#bytes <= lineBytesMax || this.#parts.length === 0) return
    this.#parts = [Buffer.concat(this.#parts).subarray(0, keptBytes)]
  }

  #finished(end: Line['end']): Line {
    const bytes = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts)
    const isTooLong = this.#bytes > lineBytesMax
    this.#parts = []
    this.#bytes = 0
    const number = this.#number
    this.#number += 1
    return { number, text: bytes.toString('utf8'), end, isTooLong, damage: isTooLong ? tooLong : damageOf(bytes) }
  }
}

const tooLong = `it is longer than ${lineBytesMax.toLocaleString('en')} bytes`

function damageOf(bytes: Buffer): string | undefined {
  if (!isUtf8(bytes)) return 'it is not UTF-8'
  // What a disk leaves where it lost something; no till writes it.
  return bytes.includes(0) ? 'it holds a NUL character' : undefined
}
