import { writeUtf8 } from './native-text.ts'
import { varintBytes, writeVarint } from './varint.ts'

/**
 * Writes text (as UTF-8) or bytes behind their length, or the length -1 for `null`; returns the position behind them.
 * The target must have room for three bytes per UTF-16 unit.
 */
export function writeBytesOrText(target: Buffer, position: number, content: Uint8Array | string | null): number {
  if (typeof content === 'string') return writeText(target, position, content)
  if (content === null) {
    target[position] = 0x01
    return position + 1
  }
  const at = writeVarint(target, position, content.length)
  target.set(content, at)
  return at + content.length
}

/** Writes text behind its length in bytes. Room is left for the length as if it were ASCII, and corrected if not. */
export function writeText(target: Buffer, position: number, text: string): number {
  const lengthBytesExpected = varintBytes(text.length)
  const start = position + lengthBytesExpected
  const bytes = text.length === 0 ? 0 : writeUtf8(target, text, start)
  const lengthBytes = varintBytes(bytes)
  if (lengthBytes !== lengthBytesExpected) target.copyWithin(position + lengthBytes, start, start + bytes)
  writeVarint(target, position, bytes)
  return position + lengthBytes + bytes
}
