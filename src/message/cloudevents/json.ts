import type { Message } from '../envelope.ts'
import { MessageUndecodableError } from '../errors.ts'
import { isJsonContentType } from './content-type.ts'
import { type Decoded, type DecodeOptions, decoded, jsonOfText, messageOf, textOfBytes } from './decode.ts'

/** Encodes a message in the JSON event format (CloudEvents JSON format 1.0.2 §3). */
export function encodeJson(message: Message): string {
  return JSON.stringify(jsonForm(message))
}

/** Encodes messages in the JSON batch format (CloudEvents JSON format 1.0.2 §4). */
export function encodeJsonBatch(messages: readonly Message[]): string {
  return JSON.stringify(messages.map(jsonForm))
}

/**
 * Decodes the JSON event format.
 *
 * @example
 * ```ts
 * const result = decodeJson(line)
 * if (result.ok) handle(result.value)
 * else report(result.error)
 * ```
 */
export function decodeJson(json: string | Uint8Array, options?: DecodeOptions): Decoded<Message> {
  return decoded(() => messageOfJson(parsed(json), '', options))
}

/** Decodes the JSON batch format. One bad message refuses the batch; the error names its index. */
export function decodeJsonBatch(json: string | Uint8Array, options?: DecodeOptions): Decoded<readonly Message[]> {
  return decoded(() => {
    const batch = parsed(json)
    if (!Array.isArray(batch)) throw new MessageUndecodableError('the batch', 'is not an array')
    return batch.map((item: unknown, index) => messageOfJson(item, `[${index}].`, options))
  })
}

/** What `JSON.stringify` is to write: bytes as `data_base64`, everything else as it stands. */
function jsonForm(message: Message): object {
  if (!(message.data instanceof Uint8Array)) return message
  const { data, ...attributes } = message
  return { ...attributes, data_base64: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64') }
}

function parsed(json: string | Uint8Array): unknown {
  return jsonOfText(typeof json === 'string' ? json : textOfBytes(json, 'utf-8', 'the text'), 'the text', '')
}

function messageOfJson(json: unknown, prefix: string, options: DecodeOptions | undefined): Message {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new MessageUndecodableError(prefix === '' ? 'the text' : prefix.slice(0, -1), 'is not an object')
  }
  const attributes = new Map<string, unknown>()
  for (const [name, value] of Object.entries(json)) {
    if (name === 'data' || name === 'data_base64') continue
    // Some producers write partitionKey or traceParent. What is spelled right wins.
    const lower = name.toLowerCase()
    if (name === lower || !Object.hasOwn(json, lower)) attributes.set(lower, value)
  }
  try {
    const data = dataOfJson(json as Readonly<Record<string, unknown>>, attributes)
    return messageOf(attributes, data, options)
  } catch (error) {
    if (prefix === '' || !(error instanceof MessageUndecodableError)) throw error
    throw new MessageUndecodableError(prefix + error.details.place, error.details.reason, { cause: error.cause })
  }
}

const base64Pattern = /^[A-Za-z0-9+/]*={0,2}$/

/** CloudEvents JSON format 1.0.2 §3.1.2. Binary data that is JSON by its content type is read as JSON. */
function dataOfJson(json: Readonly<Record<string, unknown>>, attributes: Map<string, unknown>): unknown {
  const base64 = json['data_base64']
  if (base64 === undefined || base64 === null) return json['data']
  if (json['data'] !== undefined && json['data'] !== null) {
    throw new MessageUndecodableError('data', 'and data_base64 are both there')
  }
  // Line breaks are not in RFC 4648, but MIME encoders write them.
  const digits = typeof base64 === 'string' ? base64.replace(/\s+/g, '') : '!'
  if (!base64Pattern.test(digits)) {
    throw new MessageUndecodableError('data_base64', 'is not Base64')
  }
  const bytes = Uint8Array.from(Buffer.from(digits, 'base64'))
  const contentType = attributes.get('datacontenttype')
  if (typeof contentType === 'string' && isJsonContentType(contentType)) {
    return jsonOfText(textOfBytes(bytes, 'utf-8', 'data_base64'), 'data_base64')
  }
  // Bytes of a type that nobody names must not turn into JSON when they are written again.
  if (contentType === undefined || contentType === null) attributes.set('datacontenttype', 'application/octet-stream')
  return bytes
}

/** Bytes of the data for a binary-mode body; `null` if the message has none. */
export function bytesOfData(message: Message): Uint8Array | null {
  const { data } = message
  if (data === undefined) return null
  if (data instanceof Uint8Array) return data
  const isText = typeof data === 'string' && !isJsonContentType(message.datacontenttype)
  return Buffer.from(isText ? data : JSON.stringify(data), 'utf8')
}

/** The attributes of a message, without data, as pairs of name and text. */
export function attributeTexts(message: Message): [name: string, text: string][] {
  const texts: [name: string, text: string][] = []
  for (const [name, value] of Object.entries(message)) {
    if (name !== 'data') texts.push([name, String(value)])
  }
  return texts
}
