import type { Message } from '../message/index.ts'
import { writeBytesOrText, writeText } from './text-writer.ts'
import { varintBytes, writeVarint } from './varint.ts'

/**
 * The headers that all messages of one type from one source share, encoded once and copied as one piece. They stand
 * first in a record, so that a reader recognises the piece by comparing it with the last one it saw.
 */
export interface ConstantHeaders {
  readonly specversion: string
  readonly type: string
  readonly source: string
  readonly dataversion: number | undefined
  readonly datacontenttype: string | undefined
  readonly dataschema: string | undefined
  readonly dataclassification: string | undefined
  readonly headerCount: number
  /** How many properties of the envelope these headers stand for. */
  readonly attributeCount: number
  readonly bytes: Uint8Array
}

/** Encoded headers kept, by type; beyond it the cache starts anew. Types come from code, so it is seldom reached. */
const typesMax = 512
/** Variants kept of one type (other sources, other versions). */
const variantsMax = 8

/** Finds the encoded constant headers of a message, or encodes them. Bounded: 512 types with 8 variants each. */
export class ConstantHeadersCache {
  readonly #byType = new Map<string, ConstantHeaders[]>()
  #last: ConstantHeaders | undefined

  get(message: Message): ConstantHeaders {
    const last = this.#last
    if (last !== undefined && fits(last, message)) return last
    const found = this.#byType.get(message.type)?.find((headers) => fits(headers, message)) ?? this.#add(message)
    this.#last = found
    return found
  }

  #add(message: Message): ConstantHeaders {
    if (this.#byType.size >= typesMax) this.#byType.clear()
    const encoded = encodeConstantHeaders(message)
    const variants = this.#byType.get(message.type)
    if (variants === undefined) this.#byType.set(message.type, [encoded])
    else {
      if (variants.length >= variantsMax) variants.shift()
      variants.push(encoded)
    }
    return encoded
  }
}

function fits(headers: ConstantHeaders, message: Message): boolean {
  return (
    headers.type === message.type &&
    headers.source === message.source &&
    headers.dataversion === message.dataversion &&
    headers.datacontenttype === message.datacontenttype &&
    headers.specversion === message.specversion &&
    headers.dataschema === message.dataschema &&
    headers.dataclassification === message.dataclassification
  )
}

function encodeConstantHeaders(message: Message): ConstantHeaders {
  const { specversion, type, source, dataversion, datacontenttype, dataschema, dataclassification } = message
  const headers: [name: string, value: string][] = [
    ['ce_specversion', specversion],
    ['ce_type', type],
    ['ce_source', source],
  ]
  if (datacontenttype !== undefined) headers.push(['content-type', datacontenttype])
  if (dataversion !== undefined) headers.push(['ce_dataversion', String(dataversion)])
  if (dataschema !== undefined) headers.push(['ce_dataschema', dataschema])
  if (dataclassification !== undefined) headers.push(['ce_dataclassification', dataclassification])
  return {
    specversion,
    type,
    source,
    dataversion,
    datacontenttype,
    dataschema,
    dataclassification,
    headerCount: headers.length,
    attributeCount: headers.length,
    bytes: headerBytes(headers),
  }
}

/** Headers as a record holds them, without their count. */
export function headerBytes(headers: readonly (readonly [string, string | Uint8Array | null])[]): Buffer {
  let bytesMax = 0
  for (const [name, value] of headers) bytesMax += (name.length + (value?.length ?? 0)) * 3 + 10
  const bytes = Buffer.alloc(bytesMax)
  let at = 0
  for (const [name, value] of headers) at = writeBytesOrText(bytes, writeText(bytes, at, name), value)
  return bytes.subarray(0, at)
}

/** Text as the record format has it: its length in bytes as a varint, then its UTF-8. */
export function encodeText(text: string): Uint8Array {
  const utf8 = Buffer.from(text, 'utf8')
  const encoded = new Uint8Array(varintBytes(utf8.length) + utf8.length)
  encoded.set(utf8, writeVarint(encoded, 0, utf8.length))
  return encoded
}
