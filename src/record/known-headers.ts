import { attributeTextProblem } from '../message/index.ts'
import { headerBytes } from './constant-headers.ts'
import type { RecordHeader } from './record.ts'
import { rawHeadersAt } from './record-batch-reader.ts'
import type { RecordCursor } from './record-cursor.ts'

/** Constant headers as they were met in a record, with what they say. */
export interface KnownHeaders {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly headerCount: number
  readonly type: string
  readonly source: string
  readonly dataversion: number
  readonly dataschema: string | undefined
  readonly dataclassification: string | undefined
}

/** Pieces kept; the oldest goes first. */
const knownMax = 64

/**
 * Recognises the constant headers at the start of a record by comparing bytes, four at a time, with those met before:
 * reading them anew would cost more than all the rest of the headers.
 */
export class KnownHeadersCache {
  #last: KnownHeaders | undefined
  #known: KnownHeaders[] = []

  /** The constant headers of the record at which `cursor` stands, or `undefined` if it has none as Millrace writes them. */
  match(cursor: RecordCursor, view: DataView): KnownHeaders | undefined {
    const start = cursor.headersStart
    const bytesAtMost = cursor.recordEnd - start
    const last = this.#last
    if (last !== undefined && isAt(last, view, start, bytesAtMost)) return last
    const found = this.#known.find((known) => isAt(known, view, start, bytesAtMost)) ?? this.#learn(cursor)
    if (found !== undefined) this.#last = found
    return found
  }

  #learn(cursor: RecordCursor): KnownHeaders | undefined {
    const known = readConstantHeaders(cursor)
    if (known === undefined) return undefined
    if (this.#known.length >= knownMax) this.#known.shift()
    this.#known.push(known)
    return known
  }
}

/**
 * Compares eight bytes at a time, as doubles. That is exact: a piece of text holds no eight zero bytes, the only ones
 * that equal others (-0), and where it reads as NaN it equals nothing, so that the record is merely read anew.
 */
function isAt(known: KnownHeaders, view: DataView, start: number, bytesAtMost: number): boolean {
  const length = known.bytes.length
  if (length > bytesAtMost) return false
  const wanted = known.view
  for (let at = 0; at < length - 8; at += 8) {
    if (wanted.getFloat64(at, true) !== view.getFloat64(start + at, true)) return false
  }
  // The last eight may overlap those before.
  return wanted.getFloat64(length - 8, true) === view.getFloat64(start + length - 8, true)
}

const wantedFirst = ['ce_specversion', 'ce_type', 'ce_source', 'content-type', 'ce_dataversion'] as const
const optionalNext = ['ce_dataschema', 'ce_dataclassification'] as const

/** Reads the piece, if it stands there in the very order and with the very values with which Millrace writes it. */
function readConstantHeaders(cursor: RecordCursor): KnownHeaders | undefined {
  if (cursor.headerCount < wantedFirst.length) return undefined
  const headers = rawHeadersAt(cursor)
  if (wantedFirst.some((name, index) => headers[index]?.[0] !== name)) return undefined
  const [specversion, type, source, contentType, dataversion] = headers.map(valueText)
  const version = Number(dataversion)
  const isOurs =
    specversion === '1.0' &&
    contentType === 'application/json' &&
    dataversion === String(version) &&
    Number.isSafeInteger(version) &&
    version >= 1 &&
    attributeTextProblem(type) === undefined &&
    attributeTextProblem(source) === undefined
  if (!isOurs || type === undefined || source === undefined) return undefined
  let headerCount: number = wantedFirst.length
  const optional = optionalNext.map((name) => {
    const header = headers[headerCount]
    if (header?.[0] !== name) return undefined
    headerCount++
    return valueText(header)
  })
  const bytes = headerBytes(headers.slice(0, headerCount))
  if (!bytes.equals(cursor.section.bytes.subarray(cursor.headersStart, cursor.headersStart + bytes.length))) {
    return undefined
  }
  return {
    bytes,
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    headerCount,
    type,
    source,
    dataversion: version,
    dataschema: optional[0],
    dataclassification: optional[1],
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The value as text, or `undefined` if it is null or no UTF-8. */
function valueText([, value]: RecordHeader): string | undefined {
  if (value === null) return undefined
  try {
    return strictUtf8.decode(value)
  } catch {
    return undefined
  }
}
