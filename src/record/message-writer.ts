import { isJsonContentType, jsonContentType, type Message } from '../message/index.ts'
import { type ConstantHeaders, encodeText } from './constant-headers.ts'
import { writeUtf8 } from './native-text.ts'
import { writeText } from './text-writer.ts'
import { varintBytes, writeVarint } from './varint.ts'

// Headers that differ from message to message stand in this order behind the constant ones; extensions come last.
const idName: Uint8Array = encodeText('ce_id')
const timeName: Uint8Array = encodeText('ce_time')
const subjectName: Uint8Array = encodeText('ce_subject')
const partitionkeyName: Uint8Array = encodeText('ce_partitionkey')
const correlationName: Uint8Array = encodeText('ce_correlationid')
const causationName: Uint8Array = encodeText('ce_causationid')
const sequenceName: Uint8Array = encodeText('ce_sequence')
const traceparentName: Uint8Array = encodeText('ce_traceparent')
const tracestateName: Uint8Array = encodeText('ce_tracestate')

/** Properties of an envelope that have a place of their own in a record; all others are extensions. */
const listedProperties: ReadonlySet<string> = new Set([
  ...['specversion', 'id', 'source', 'type', 'time', 'subject', 'datacontenttype', 'dataschema', 'dataversion'],
  ...['dataclassification', 'partitionkey', 'correlationid', 'causationid', 'sequence', 'traceparent', 'tracestate'],
  'data',
])

type Extension = readonly [name: string, value: string]
const noExtensions: readonly Extension[] = []

/**
 * Writes the headers of one message after the other: `measure` first, so that the caller can make room, then `write`.
 * Nothing is allocated for a message without extensions.
 */
export class MessageHeadersWriter {
  #extensions: readonly Extension[] = noExtensions
  #headerCount = 0

  /** UTF-16 units of everything that `write` will write besides the constant headers, names included. */
  measure(message: Message, constant: ConstantHeaders): number {
    const { subject, correlationid, causationid, sequence, traceparent, tracestate } = message
    const { time, partitionkey, data } = message
    // Names, and their lengths, of the nine headers below are counted as if all of them were there.
    let units = message.id.length + 144
    let headers = 1
    if (time !== undefined) {
      units += time.length
      headers++
    }
    if (subject !== undefined) {
      units += subject.length
      headers++
    }
    if (partitionkey !== undefined) {
      units += partitionkey.length
      headers++
    }
    if (correlationid !== undefined) {
      units += correlationid.length
      headers++
    }
    if (causationid !== undefined) {
      units += causationid.length
      headers++
    }
    if (sequence !== undefined) {
      units += sequence.length
      headers++
    }
    if (traceparent !== undefined) {
      units += traceparent.length
      headers++
    }
    if (tracestate !== undefined) {
      units += tracestate.length
      headers++
    }
    // Counting properties is much cheaper than naming them; only a surplus is worth a closer look.
    let surplus = -constant.attributeCount - headers
    if (data !== undefined) surplus--
    for (const _ in message) surplus++
    this.#extensions = surplus === 0 ? noExtensions : extensionsOf(message)
    for (const [name, value] of this.#extensions) units += name.length + value.length + 8
    this.#headerCount = constant.headerCount + headers + this.#extensions.length
    return units
  }

  /** Writes the count of headers and all headers of the message that was measured last; returns the position behind. */
  write(target: Buffer, position: number, message: Message, constant: ConstantHeaders): number {
    let at = writeVarint(target, position, this.#headerCount)
    target.set(constant.bytes, at)
    at = writeHeader(target, at + constant.bytes.length, idName, message.id)
    const { time, subject, partitionkey, correlationid, causationid, sequence, traceparent, tracestate } = message
    if (time !== undefined) at = writeHeader(target, at, timeName, time)
    if (subject !== undefined) at = writeHeader(target, at, subjectName, subject)
    if (partitionkey !== undefined) at = writeHeader(target, at, partitionkeyName, partitionkey)
    if (correlationid !== undefined) at = writeHeader(target, at, correlationName, correlationid)
    if (causationid !== undefined) at = writeHeader(target, at, causationName, causationid)
    if (sequence !== undefined) at = writeHeader(target, at, sequenceName, sequence)
    if (traceparent !== undefined) at = writeHeader(target, at, traceparentName, traceparent)
    if (tracestate !== undefined) at = writeHeader(target, at, tracestateName, tracestate)
    for (const [name, value] of this.#extensions) {
      at = writeText(target, at, `ce_${name}`)
      at = writeText(target, at, value)
    }
    return at
  }
}

function writeHeader(target: Buffer, position: number, name: Uint8Array, value: string): number {
  target.set(name, position)
  const at = position + name.length
  if (value.length > 63) return writeText(target, at, value)
  // Up to 63 bytes the length is one byte, so the text can be written in place at once.
  const bytes = writeUtf8(target, value, at + 1)
  if (varintBytes(bytes) !== 1) return writeText(target, at, value)
  target[at] = bytes << 1
  return at + 1 + bytes
}

/** Values of extensions are strings, booleans and integers; in headers all of them are text (CloudEvents §3.1). */
function extensionsOf(message: Message): readonly Extension[] {
  const found: Extension[] = []
  for (const [name, value] of Object.entries(message)) {
    if (!listedProperties.has(name) && value !== undefined) found.push([name, String(value)])
  }
  return found
}

/** The bytes of a record's value. Data that is absent gives an empty value: a null one would be a tombstone. */
export function contentOf(message: Message): string | Uint8Array {
  const { data, datacontenttype } = message
  if (data === undefined) return ''
  if (datacontenttype === jsonContentType) return JSON.stringify(data)
  if (data instanceof Uint8Array) return data
  return typeof data === 'string' && !isJsonContentType(datacontenttype) ? data : JSON.stringify(data)
}
