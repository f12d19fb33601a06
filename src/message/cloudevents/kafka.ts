import { isUtf8 } from 'node:buffer'
import { attributeTextProblem, contentTypeHeader, kafkaHeaderPrefix } from '../attributes.ts'
import { type Message, withAttributes } from '../envelope.ts'
import { MessageUndecodableError } from '../errors.ts'
import { parseContentType, structuredContentType } from './content-type.ts'
import { type Decoded, type DecodeOptions, dataOfBytes, decoded, messageOf, textOfBytes } from './decode.ts'
import { attributeTexts, bytesOfData, decodeJson, encodeJson } from './json.ts'

/** Key, value and headers of a Kafka record, as this module writes them. Header texts are to be sent as UTF-8. */
export interface KafkaContent {
  /** The attribute `partitionkey`; `null` if the message has none. */
  readonly key: string | null
  /** Never `null`, which Kafka takes for a tombstone: a message without data has an empty value in binary mode. */
  readonly value: Uint8Array
  readonly headers: readonly (readonly [name: string, value: string])[]
}

/** Key, value and headers of a Kafka record, as any client may give them. */
export interface KafkaSource {
  readonly key?: string | Uint8Array | null
  readonly value: string | Uint8Array | null
  readonly headers: Iterable<readonly [name: string, value: string | Uint8Array | null]>
}

const noBytes = new Uint8Array()
const tombstone = { ok: true, value: null } as const

/** Encodes a message in binary content mode: attributes as `ce_` headers, data as the value (Kafka binding 1.0.2 §3.2). */
export function encodeKafkaBinary(message: Message): KafkaContent {
  const headers = attributeTexts(message).map(([name, text]): readonly [string, string] =>
    name === 'datacontenttype' ? [contentTypeHeader, text] : [kafkaHeaderPrefix + name, text],
  )
  return { key: message.partitionkey ?? null, value: bytesOfData(message) ?? noBytes, headers }
}

/** Encodes a message in structured content mode: all of it as JSON in the value (Kafka binding 1.0.2 §3.3). */
export function encodeKafkaStructured(message: Message): KafkaContent {
  return {
    key: message.partitionkey ?? null,
    value: Buffer.from(encodeJson(message), 'utf8'),
    headers: [[contentTypeHeader, `${structuredContentType}; charset=utf-8`]],
  }
}

/**
 * Decodes a record of either content mode; the header `content-type` tells which.
 *
 * A record without a value is an event without data if its headers say all that an event must have (§3.2.2); on a compacted topic it
 * is a tombstone as well. `null`: it is a tombstone alone.
 * The record's key stands in for an attribute `partitionkey` that the event does not have, in both modes (Partitioning extension, where
 * senders make the key of it); a key that is no text stands for nothing. Header names count in any case, the last of several wins.
 * `ce_datacontenttype`, which some producers write, stands in for the header `content-type`. The plain `traceparent` and `tracestate` headers that
 * OpenTelemetry writes stand in where there are no `ce_` ones. Data becomes JSON if its content type is JSON, or if it
 * has none and parses; else it stays bytes. Extension attributes become text.
 */
export function decodeKafka(record: KafkaSource, options?: DecodeOptions): Decoded<Message | null> {
  const { value } = record
  const read = decoded(() => readHeaders(record.headers))
  if (!read.ok) return value === null ? tombstone : read
  const { attributes, contentType } = read.value
  if (contentType !== undefined && /^\s*application\/cloudevents/i.test(contentType)) {
    if (value === null) return tombstone
    return withKey(decodeFormatted(contentType, value, options), keyText(record.key))
  }
  const key = keyText(record.key)
  if (key !== undefined && !attributes.get('partitionkey')) attributes.set('partitionkey', key)
  if (value === null) {
    const event = decoded(() => messageOf(attributes, undefined, options))
    return event.ok ? event : tombstone
  }
  return decoded(() => {
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
    return messageOf(attributes, dataOfBytes(attributes, bytes, 'the value'), options)
  })
}

/** A key that can be an attribute. What others made of bytes, such as Avro, is theirs alone. */
function keyText(key: KafkaSource['key']): string | undefined {
  if (key === undefined || key === null) return undefined
  if (typeof key !== 'string' && !isUtf8(key)) return undefined
  const text = typeof key === 'string' ? key : Buffer.from(key).toString('utf8')
  return attributeTextProblem(text) === undefined ? text : undefined
}

function withKey(result: Decoded<Message>, partitionkey: string | undefined): Decoded<Message> {
  if (!result.ok || partitionkey === undefined || result.value.partitionkey !== undefined) return result
  return { ok: true, value: withAttributes(result.value, { partitionkey }) }
}

function decodeFormatted(
  contentType: string,
  value: string | Uint8Array,
  options: DecodeOptions | undefined,
): Decoded<Message> {
  const { mediaType, charset } = parseContentType(contentType)
  if (mediaType !== structuredContentType && mediaType !== 'application/cloudevents') {
    const reason = `names the unknown event format ${mediaType}`
    return { ok: false, error: new MessageUndecodableError(`header ${contentTypeHeader}`, reason) }
  }
  const text = decoded(() => (typeof value === 'string' ? value : textOfBytes(value, charset, 'the value')))
  return text.ok ? decodeJson(text.value, options) : text
}

/** Attributes, and the header `content-type`, which alone tells the content mode. */
function readHeaders(headers: KafkaSource['headers']): {
  readonly attributes: Map<string, unknown>
  readonly contentType: string | undefined
} {
  const attributes = new Map<string, unknown>()
  const plainTrace = new Map<string, string>()
  let contentType: string | undefined
  for (const [name, value] of headers) {
    const lower = name.toLowerCase()
    const isAttribute = lower.startsWith(kafkaHeaderPrefix)
    const isTrace = lower === 'traceparent' || lower === 'tracestate'
    if (value === null || !(isAttribute || isTrace || lower === contentTypeHeader)) continue
    const text = typeof value === 'string' ? value : textOfBytes(value, 'utf-8', `header ${name}`)
    if (isTrace) plainTrace.set(lower, text)
    else if (!isAttribute) contentType = text.trim()
    else attributes.set(lower.slice(kafkaHeaderPrefix.length), text)
  }
  if (contentType !== undefined) attributes.set('datacontenttype', contentType)
  for (const [name, text] of plainTrace) {
    if (!attributes.has(name)) attributes.set(name, text)
  }
  return { attributes, contentType }
}
