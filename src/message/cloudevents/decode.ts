import {
  type Clock,
  freezeParsedJson,
  isoTime,
  JsonInvalidError,
  parseIsoTime,
  systemClock,
} from '../../kernel/index.ts'
import { isExtensionName, isKnownAttribute } from '../attributes.ts'
import { type AttributeValue, type Message, sealMessage } from '../envelope.ts'
import { MessageUndecodableError } from '../errors.ts'
import { isJsonContentType, jsonContentType, parseContentType } from './content-type.ts'

/** What a decoder returns: bad input is a value, never an exception. */
export type Decoded<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly error: MessageUndecodableError }

/** Options of all decoders. */
export interface DecodeOptions {
  /** Gives `time` to messages that have none, which CloudEvents allows. Default: the system's clock. */
  readonly clock?: Pick<Clock, 'nowMs'>
}

/** Attributes as a binding found them, before they are checked. Names are in lower case. */
export type RawAttributes = Map<string, unknown>

/** Runs a decoder whose parts signal bad input by throwing `MessageUndecodableError`. */
export function decoded<Value>(decode: () => Value): Decoded<Value> {
  try {
    return { ok: true, value: decode() }
  } catch (error) {
    if (error instanceof MessageUndecodableError) return { ok: false, error }
    throw error
  }
}

/**
 * A message of checked attributes; `data` must be frozen.
 *
 * Tolerant where it costs nobody anything: empty and `null` attributes count as missing, a missing `time` becomes now, a
 * missing `datacontenttype` JSON, a missing `dataversion` 1, what cannot be an attribute by its name is left out, and half of a
 * surrogate pair, which no record can carry, becomes U+FFFD.
 */
export function messageOf(attributes: RawAttributes, data: unknown, options: DecodeOptions | undefined): Message {
  const specversion = text(attributes, 'specversion')
  if (specversion !== '1.0') {
    throw new MessageUndecodableError('specversion', specversion === undefined ? 'is missing' : 'is not 1.0')
  }
  const time = text(attributes, 'time')
  if (time !== undefined && parseIsoTime(time) === undefined) {
    throw new MessageUndecodableError('time', 'is not an RFC 3339 timestamp')
  }
  const datacontenttype = contentTypeOf(attributes)
  return sealMessage(
    required(attributes, 'type'),
    required(attributes, 'id'),
    required(attributes, 'source'),
    time ?? isoTime((options?.clock ?? systemClock).nowMs()),
    datacontenttype,
    dataVersion(attributes.get('dataversion')),
    typeof data === 'string' && !isJsonContentType(datacontenttype) ? data.toWellFormed() : data,
    {
      subject: text(attributes, 'subject'),
      partitionkey: text(attributes, 'partitionkey'),
      correlationid: text(attributes, 'correlationid'),
      causationid: text(attributes, 'causationid'),
      traceparent: text(attributes, 'traceparent'),
      tracestate: text(attributes, 'tracestate'),
      sequence: text(attributes, 'sequence'),
      dataschema: text(attributes, 'dataschema'),
      dataclassification: text(attributes, 'dataclassification'),
    },
    extensions(attributes),
  )
}

/** Data from the bytes of a binary-mode message: JSON if its content type says so, else the bytes themselves. No bytes: no data. */
export function dataOfBytes(attributes: RawAttributes, bytes: Uint8Array, place: string): unknown {
  if (bytes.byteLength === 0) return undefined
  const contentType = text(attributes, 'datacontenttype')
  if (contentType !== undefined) {
    return isJsonContentType(contentType) ? jsonOfBytes(bytes, parseContentType(contentType).charset, place) : bytes
  }
  // Without a content type only the bytes can tell.
  try {
    return jsonOfBytes(bytes, 'utf-8', place)
  } catch {
    attributes.set('datacontenttype', 'application/octet-stream')
    return bytes
  }
}

/** Frozen JSON from bytes in the given character set. */
export function jsonOfBytes(bytes: Uint8Array, charset: string, place: string): unknown {
  return jsonOfText(textOfBytes(bytes, charset, place), place)
}

/** Frozen JSON from text. `root` names the value in the paths of what is refused in it. */
export function jsonOfText(json: string, place: string, root = 'data'): unknown {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new MessageUndecodableError(place, 'is not JSON', { cause })
  }
  try {
    return freezeParsedJson(value, root)
  } catch (cause) {
    if (!(cause instanceof JsonInvalidError)) throw cause
    const path = cause.details.path.replace(/^\./, '')
    throw new MessageUndecodableError(path === '' ? place : path, cause.details.reason, { cause })
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Text from bytes in the given character set; bytes that do not belong to it are refused. */
export function textOfBytes(bytes: Uint8Array, charset: string, place: string): string {
  let decoder = utf8
  if (charset !== 'utf-8' && charset !== 'utf8') {
    try {
      decoder = new TextDecoder(charset, { fatal: true })
    } catch (cause) {
      throw new MessageUndecodableError(place, `is in the unknown character set ${JSON.stringify(charset)}`, { cause })
    }
  }
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new MessageUndecodableError(place, `is not valid ${charset}`, { cause })
  }
}

function required(attributes: RawAttributes, name: string): string {
  const value = text(attributes, name)
  if (value === undefined) throw new MessageUndecodableError(name, 'is missing')
  return value
}

/** A known attribute as text. Some producers write ids and keys as JSON numbers: they are taken as their digits. */
function text(attributes: RawAttributes, name: string): string | undefined {
  const value = attributes.get(name)
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value === 'string') return value.toWellFormed()
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new MessageUndecodableError(name, 'is neither text nor a number')
}

/** It goes into headers as it stands, so nothing that could end a header may be in it. */
function contentTypeOf(attributes: RawAttributes): string {
  const value = text(attributes, 'datacontenttype') ?? jsonContentType
  if (/^[\x20-\x7e]+$/.test(value)) return value
  throw new MessageUndecodableError('datacontenttype', 'is not printable ASCII')
}

function dataVersion(value: unknown): number {
  if (value === undefined || value === null || value === '') return 1
  const version = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value
  if (typeof version === 'number' && Number.isInteger(version) && version >= 1 && version < 2 ** 31) return version
  throw new MessageUndecodableError('dataversion', 'is not a whole number from 1')
}

function extensions(attributes: RawAttributes): Readonly<Record<string, AttributeValue>> | undefined {
  let found: Record<string, AttributeValue> | undefined
  for (const [name, value] of attributes) {
    if (isKnownAttribute(name) || value === null || value === '' || !isExtensionName(name)) continue
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      throw new MessageUndecodableError(name, 'is neither text, a number nor a boolean')
    }
    found ??= {}
    found[name] = typeof value === 'string' ? value.toWellFormed() : value
  }
  return found
}
