import { freezeParsedJson } from '../kernel/index.ts'
import { jsonContentType, MessageUndecodableError, sealMessage } from '../message/index.ts'
import { viewOf } from './batch-header.ts'
import { decodeForeignRecord, decodeTombstone } from './foreign-record.ts'
import { KnownHeadersCache } from './known-headers.ts'
import type { RecordKey, RecordOutcome } from './record.ts'
import type { RecordCursor } from './record-cursor.ts'
import { keyAt, undecodableAt, utf8TextAt } from './record-outcome.ts'
import { VariableHeaders } from './variable-headers.ts'

const knownHeaders = new KnownHeadersCache()

/** Decodes the record at which a cursor stands, as a message that is frozen through and through. */
export class RecordDecoder {
  readonly cursor: RecordCursor
  readonly #view: DataView
  readonly #variable: VariableHeaders

  constructor(cursor: RecordCursor) {
    const { bytes } = cursor.section
    this.cursor = cursor
    this.#view = viewOf(bytes)
    this.#variable = new VariableHeaders(bytes, this.#view)
  }

  decode(): RecordOutcome {
    const { cursor } = this
    if (cursor.valueBytes < 0) return decodeTombstone(cursor)
    const known = knownHeaders.match(cursor, this.#view)
    if (known === undefined) return decodeForeignRecord(cursor)
    const variable = this.#variable
    const variableStart = cursor.headersStart + known.bytes.length
    const isOrdinary = variable.read(variableStart, cursor.recordEnd, cursor.headerCount - known.headerCount)
    const { id, time } = variable
    if (!isOrdinary || id === undefined || time === undefined) return decodeForeignRecord(cursor)
    const key = this.#key()
    variable.partitionkey ??= typeof key === 'string' && key !== '' ? key : undefined
    variable.dataschema = known.dataschema
    variable.dataclassification = known.dataclassification
    const { type, source, dataversion } = known
    const { offset, timestampMs } = cursor
    let data: unknown
    try {
      data = jsonAt(cursor)
    } catch (error) {
      if (error instanceof MessageUndecodableError) return undecodableAt(cursor, error)
      throw error
    }
    const { extensions } = variable
    const message = sealMessage(type, id, source, time, jsonContentType, dataversion, data, variable, extensions)
    return { kind: 'message', offset, timestampMs, key, message }
  }

  /** The key is nearly always the attribute `partitionkey` once more: then its text need not be made twice. */
  #key(): RecordKey {
    const { cursor } = this
    const { keyStart, keyBytes } = cursor
    const { partitionkey, partitionkeyStart, partitionkeyBytes } = this.#variable
    const isSame =
      partitionkey !== undefined &&
      keyBytes === partitionkeyBytes &&
      areBytesEqual(this.#view, keyStart, partitionkeyStart, keyBytes)
    return isSame ? partitionkey : keyAt(cursor)
  }
}

/** Compares four bytes at a time; the last four may overlap those before. */
function areBytesEqual(view: DataView, one: number, other: number, length: number): boolean {
  if (length < 4) {
    for (let at = 0; at < length; at++) if (view.getInt8(one + at) !== view.getInt8(other + at)) return false
    return true
  }
  for (let at = 0; at < length - 4; at += 4) if (view.getInt32(one + at) !== view.getInt32(other + at)) return false
  return view.getInt32(one + length - 4) === view.getInt32(other + length - 4)
}

/** The value of the record as frozen data; throws `MessageUndecodableError` if it is none. */
function jsonAt(cursor: RecordCursor): unknown {
  const { valueStart, valueBytes } = cursor
  if (valueBytes === 0) return undefined
  const text = utf8TextAt(cursor.section.bytes, valueStart, valueStart + valueBytes)
  if (text === undefined) throw new MessageUndecodableError('the value', 'is not valid utf-8')
  try {
    return freezeParsedJson(JSON.parse(text) as unknown)
  } catch (cause) {
    throw new MessageUndecodableError('the value', 'is not JSON that can be read', { cause })
  }
}
