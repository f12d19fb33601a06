import { RecordBatchDamagedError } from './errors.ts'

/**
 * Variable-length integers of the record format: zigzag, then seven bits a byte, the lowest first, the high bit set on
 * all but the last (Kafka's `ByteUtils`; Protocol Buffers' `sint32` and `sint64`).
 *
 * Varlongs are JavaScript numbers here: exact within ±(2^53 - 1), which is enough for milliseconds and offsets.
 */

const bits32 = 0x1_0000_0000

/** Bytes that `value`, a 32-bit signed integer, takes as a varint. */
export function varintBytes(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  if (zigzag < 0x80) return 1
  if (zigzag < 0x4000) return 2
  if (zigzag < 0x20_0000) return 3
  return zigzag < 0x1000_0000 ? 4 : 5
}

/** Writes `value`, a 32-bit signed integer, and returns the position behind it. */
export function writeVarint(target: Uint8Array, position: number, value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  let at = position
  while (rest >= 0x80) {
    target[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  target[at++] = rest
  return at
}

/** Writes `value`, a safe integer, and returns the position behind it. At most 8 bytes. */
export function writeVarlong(target: Uint8Array, position: number, value: number): number {
  if (value === (value | 0)) return writeVarint(target, position, value)
  let rest = value < 0 ? BigInt(value) * -2n - 1n : BigInt(value) * 2n
  let at = position
  while (rest >= 0x80n) {
    target[at++] = Number(rest & 0x7fn) | 0x80
    rest >>= 7n
  }
  target[at++] = Number(rest)
  return at
}

/**
 * Reads numbers from a stretch of bytes, and never beyond its end.
 *
 * @throws RecordBatchDamagedError `RECORD_BATCH_DAMAGED` where a number is cut short or too long.
 */
export class VarintCursor {
  readonly bytes: Uint8Array
  /** Next byte to read. */
  position: number
  /** The byte behind the last one that may be read. */
  end: number

  constructor(bytes: Uint8Array, position: number, end: number) {
    this.bytes = bytes
    this.position = position
    this.end = end
  }

  readVarint(): number {
    const position = this.position
    if (position >= this.end) throw cutShort(position)
    const first = this.bytes[position] as number
    if (first < 0x80) {
      this.position = position + 1
      return (first >>> 1) ^ -(first & 1)
    }
    return this.#readLongVarint(first, position + 1)
  }

  #readLongVarint(first: number, position: number): number {
    let zigzag = first & 0x7f
    let at = position
    for (let shift = 7; ; shift += 7) {
      if (at >= this.end) throw cutShort(at)
      const byte = this.bytes[at++] as number
      // The fifth byte has room for four bits.
      if (shift === 28 && byte > 0x0f) throw new RecordBatchDamagedError('record', at - 1, 'a varint has over 32 bits')
      zigzag |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    this.position = at
    return (zigzag >>> 1) ^ -(zigzag & 1)
  }

  /** A 64-bit number. Beyond ±(2^53 - 1) it counts as damage: no time and no offset is that large. */
  readVarlong(): number {
    let at = this.position
    if (at < this.end) {
      const first = this.bytes[at] as number
      if (first < 0x80) {
        this.position = at + 1
        return (first >>> 1) ^ -(first & 1)
      }
    }
    let low = 0
    let high = 0
    for (let shift = 0; ; shift += 7) {
      if (at >= this.end) throw cutShort(at)
      const byte = this.bytes[at++] as number
      if (shift < 28) low |= (byte & 0x7f) << shift
      else high += (byte & 0x7f) * 2 ** (shift - 28)
      if (byte < 0x80) break
      if (shift === 63) throw new RecordBatchDamagedError('record', at - 1, 'a varlong has over 64 bits')
    }
    const half = high * 2 ** 27 + (low >>> 1)
    const value = (low & 1) === 1 ? -half - 1 : half
    if (!Number.isSafeInteger(value)) {
      throw new RecordBatchDamagedError('record', this.position, 'a varlong is out of range')
    }
    this.position = at
    return value
  }
}

function cutShort(atByte: number): RecordBatchDamagedError {
  return new RecordBatchDamagedError('record', atByte, 'a number is cut short')
}

/** Reads a big-endian 64-bit signed integer. Values beyond ±(2^53 - 1) lose precision: check with `Number.isSafeInteger`. */
export function readInt64(view: DataView, position: number): number {
  return view.getInt32(position) * bits32 + view.getUint32(position + 4)
}

/** Writes a safe integer as big-endian 64-bit. */
export function writeInt64(view: DataView, position: number, value: number): void {
  view.setInt32(position, Math.floor(value / bits32))
  view.setUint32(position + 4, value >>> 0)
}
