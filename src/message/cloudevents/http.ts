import { contentTypeHeader, httpHeaderPrefix } from '../attributes.ts'
import type { Message } from '../envelope.ts'
import { MessageUndecodableError } from '../errors.ts'
import { batchContentType, parseContentType, structuredContentType } from './content-type.ts'
import { type Decoded, type DecodeOptions, dataOfBytes, decoded, messageOf, textOfBytes } from './decode.ts'
import { attributeTexts, bytesOfData, decodeJson, decodeJsonBatch, encodeJson, encodeJsonBatch } from './json.ts'
import { percentDecode, percentEncode } from './percent.ts'

/** Headers and body of an HTTP request or response. Header names are in lower case. */
export interface HttpContent {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** Headers as Node, `fetch` or anybody else gives them; the case of names does not matter. */
export type HttpHeaders =
  | Iterable<readonly [name: string, value: string]>
  | Readonly<Record<string, string | readonly string[] | undefined>>

/** What a header may be, whatever the types of its giver promise. */
type HeaderValue = string | number | readonly string[] | null | undefined

/** Encodes a message in binary content mode: attributes as `ce-` headers, data as the body (HTTP binding 1.0.2 §3.1). */
export function encodeHttpBinary(message: Message): HttpContent {
  const headers: Record<string, string> = {}
  for (const [name, text] of attributeTexts(message)) {
    if (name === 'datacontenttype') headers[contentTypeHeader] = text
    else headers[httpHeaderPrefix + name] = percentEncode(text)
  }
  return { headers, body: bytesOfData(message) ?? new Uint8Array(0) }
}

/** Encodes a message in structured content mode: all of it as JSON in the body (HTTP binding 1.0.2 §3.2). */
export function encodeHttpStructured(message: Message): HttpContent {
  return { headers: contentTypeOf(structuredContentType), body: Buffer.from(encodeJson(message), 'utf8') }
}

/** Encodes messages in batched content mode: all of them as a JSON array in the body (HTTP binding 1.0.2 §3.3). */
export function encodeHttpBatch(messages: readonly Message[]): HttpContent {
  return { headers: contentTypeOf(batchContentType), body: Buffer.from(encodeJsonBatch(messages), 'utf8') }
}

/**
 * Decodes a request or response of any content mode; the content type tells which. Binary and structured content hold
 * one message, batched content any number.
 *
 * In binary mode data becomes JSON if its content type is JSON, or if it has none and parses; else it stays bytes, and
 * an empty body is no data. Extension attributes become text, since headers do not tell integers and booleans apart.
 *
 * @example
 * ```ts
 * const result = decodeHttp({ headers: request.headers, body })
 * if (!result.ok) return respond(400, result.error.message)
 * ```
 */
export function decodeHttp(
  content: { readonly headers: HttpHeaders; readonly body: Uint8Array | string },
  options?: DecodeOptions,
): Decoded<readonly Message[]> {
  const headers = headerMap(content.headers)
  const contentType = headers.get(contentTypeHeader)
  if (contentType !== undefined && /^\s*application\/cloudevents/i.test(contentType)) {
    return decodeFormatted(contentType, content.body, options)
  }
  return decoded(() => {
    const attributes = binaryAttributes(headers)
    const body = typeof content.body === 'string' ? Buffer.from(content.body, 'utf8') : content.body
    const data = body.byteLength === 0 ? undefined : dataOfBytes(attributes, body, 'the body')
    return [messageOf(attributes, data, options)]
  })
}

function decodeFormatted(
  contentType: string,
  body: Uint8Array | string,
  options: DecodeOptions | undefined,
): Decoded<readonly Message[]> {
  const { mediaType, charset } = parseContentType(contentType)
  const text = decoded(() => (typeof body === 'string' ? body : textOfBytes(body, charset, 'the body')))
  if (!text.ok) return text
  if (mediaType === batchContentType) return decodeJsonBatch(text.value, options)
  if (mediaType === structuredContentType || mediaType === 'application/cloudevents') {
    const one = decodeJson(text.value, options)
    return one.ok ? { ok: true, value: [one.value] } : one
  }
  return {
    ok: false,
    error: new MessageUndecodableError(`header ${contentTypeHeader}`, `names the unknown event format ${mediaType}`),
  }
}

function binaryAttributes(headers: ReadonlyMap<string, string>): Map<string, unknown> {
  const attributes = new Map<string, unknown>()
  for (const [name, value] of headers) {
    if (!name.startsWith(httpHeaderPrefix)) continue
    attributes.set(name.slice(httpHeaderPrefix.length), percentDecode(value, name))
  }
  // The plain headers of W3C trace context stand in where a producer knows only those.
  for (const name of ['traceparent', 'tracestate']) {
    const value = headers.get(name)
    if (value !== undefined && !attributes.has(name)) attributes.set(name, value)
  }
  const contentType = headers.get(contentTypeHeader)
  if (contentType === undefined) attributes.delete('datacontenttype')
  else attributes.set('datacontenttype', contentType.trim())
  return attributes
}

function headerMap(headers: HttpHeaders): Map<string, string> {
  const pairs = Symbol.iterator in headers ? headers : Object.entries(headers)
  const map = new Map<string, string>()
  for (const [name, value] of pairs as Iterable<readonly [string, HeaderValue]>) {
    // Node sets some headers as numbers; what was never set is null or undefined.
    if (value === undefined || value === null) continue
    map.set(name.toLowerCase(), Array.isArray(value) ? value.join(', ') : String(value))
  }
  return map
}

function contentTypeOf(mediaType: string): Readonly<Record<string, string>> {
  return { [contentTypeHeader]: `${mediaType}; charset=utf-8` }
}
