import { isUtf8 } from 'node:buffer'
import type { Message, MessageUndecodableError } from '../message/index.ts'
import { utf8TextOf } from './native-text.ts'
import type { RecordHeader, RecordKey, RecordOutcome, UndecodableRecord } from './record.ts'
import { rawHeadersAt } from './record-batch-reader.ts'
import type { RecordCursor } from './record-cursor.ts'

/** The text of some bytes, or `undefined` if they are no UTF-8. */
export function utf8TextAt(bytes: Buffer, start: number, end: number): string | undefined {
  const text = utf8TextOf(bytes, start, end)
  // The decoder puts U+FFFD where bytes are wrong, but an honest text may contain it too.
  if (text.includes('\ufffd') && !isUtf8(bytes.subarray(start, end))) return undefined
  return text
}

/** The key of the record at which a cursor stands. */
export function keyAt(cursor: RecordCursor): RecordKey {
  if (cursor.keyBytes < 0) return null
  const { bytes } = cursor.section
  const end = cursor.keyStart + cursor.keyBytes
  return utf8TextAt(bytes, cursor.keyStart, end) ?? copyOf(bytes, cursor.keyStart, end)
}

/** The message that a record is, also one without a value. */
export function messageIn(record: RecordOutcome): Message | undefined {
  return record.kind === 'undecodable' ? undefined : record.message
}

/** The record at which a cursor stands, with why it is no message. */
export function undecodableAt(cursor: RecordCursor, error: MessageUndecodableError): UndecodableRecord {
  const { offset, timestampMs } = cursor
  return {
    kind: 'undecodable',
    offset,
    timestampMs,
    key: keyAt(cursor),
    error,
    value: valueCopy(cursor),
    headers: headersCopy(cursor),
  }
}

export function valueCopy(cursor: RecordCursor): Uint8Array {
  return copyOf(cursor.section.bytes, cursor.valueStart, cursor.valueStart + cursor.valueBytes)
}

export function headersCopy(cursor: RecordCursor): readonly RecordHeader[] {
  return rawHeadersAt(cursor).map(([name, value]): RecordHeader => [name, value && new Uint8Array(value)])
}

/** A copy, and a plain `Uint8Array`, whatever the batch lies in. */
function copyOf(bytes: Buffer, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end))
}
