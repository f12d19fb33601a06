import { isExtensionName, isKnownAttribute, kafkaHeaderPrefix, type OptionalAttributes } from '../message/index.ts'
import { utf8TextOf } from './native-text.ts'
import { utf8TextAt } from './record-outcome.ts'

/**
 * Reads the headers that differ from message to message. One reader serves all records of a batch: `read` leaves what it
 * found in the fields, so that nothing is allocated but the texts themselves.
 */
export class VariableHeaders implements OptionalAttributes {
  id: string | undefined
  time: string | undefined
  subject: string | undefined
  partitionkey: string | undefined
  /** Where the bytes of `partitionkey` lie, if it is there. */
  partitionkeyStart = 0
  partitionkeyBytes = 0
  correlationid: string | undefined
  causationid: string | undefined
  traceparent: string | undefined
  tracestate: string | undefined
  sequence: string | undefined
  dataschema: string | undefined
  dataclassification: string | undefined
  extensions: Record<string, string> | undefined
  readonly #bytes: Buffer
  readonly #view: DataView

  /** @param view Over the very `bytes`. */
  constructor(bytes: Buffer, view: DataView) {
    this.#bytes = bytes
    this.#view = view
  }

  /**
   * @param start Where the headers begin, behind the constant ones.
   * @param headerCount How many there are.
   * @returns Whether all of them are as Millrace writes them; if not, a more patient reader must look at the record.
   */
  read(start: number, end: number, headerCount: number): boolean {
    this.#clear()
    const bytes = this.#bytes
    // One call into native code for all headers: if their text is ASCII, each value is a part of it. Such parts keep the
    // whole text alive, which is why it is never longer than the headers of one record.
    const text = utf8TextOf(bytes, start, end)
    const isAscii = text.length === end - start && !text.includes('\ufffd')
    let at = start
    for (let left = headerCount; left > 0; left--) {
      const nameStart = at + 1
      const twiceNameBytes = bytes[at] as number
      at = nameStart + (twiceNameBytes >> 1)
      // An empty value is no attribute, so two more bytes must follow.
      if (at + 2 > end) return false
      let twiceValueBytes = bytes[at++] as number
      // Names over 63 bytes, null values and values over 8,191 bytes are for the patient reader.
      if (((twiceNameBytes & 0x81) | (twiceValueBytes & 1)) !== 0) return false
      if (twiceValueBytes >= 0x80) {
        const second = bytes[at++] as number
        if (second >= 0x80) return false
        twiceValueBytes = (twiceValueBytes & 0x7f) | (second << 7)
      }
      const valueEnd = at + (twiceValueBytes >> 1)
      if (valueEnd > end) return false
      const value = isAscii ? text.substring(at - start, valueEnd - start) : utf8TextAt(bytes, at, valueEnd)
      if (value === undefined || !this.#take(nameStart, twiceNameBytes >> 1, value, at, valueEnd)) return false
      at = valueEnd
    }
    return at === end
  }

  #clear(): void {
    this.id = undefined
    this.time = undefined
    this.subject = undefined
    this.partitionkey = undefined
    this.correlationid = undefined
    this.causationid = undefined
    this.traceparent = undefined
    this.tracestate = undefined
    this.sequence = undefined
    this.extensions = undefined
  }

  /** Assigns a value by its header's name: the length tells most of the known names apart, the bytes confirm. */
  #take(nameStart: number, nameBytes: number, value: string, valueStart: number, valueEnd: number): boolean {
    switch (nameBytes) {
      case 5:
        if (this.id !== undefined || !this.#isName(nameStart, idName)) break
        this.id = value
        return true
      case 7:
        if (this.time !== undefined || !this.#isName(nameStart, timeName)) break
        this.time = value
        return true
      case 10:
        if (this.subject !== undefined || !this.#isName(nameStart, subjectName)) break
        this.subject = value
        return true
      case 11:
        if (this.sequence !== undefined || !this.#isName(nameStart, sequenceName)) break
        this.sequence = value
        return true
      case 13:
        if (this.tracestate !== undefined || !this.#isName(nameStart, tracestateName)) break
        this.tracestate = value
        return true
      case 14:
        if (this.causationid === undefined && this.#isName(nameStart, causationName)) {
          this.causationid = value
          return true
        }
        if (this.traceparent !== undefined || !this.#isName(nameStart, traceparentName)) break
        this.traceparent = value
        return true
      case 15:
        if (this.partitionkey !== undefined || !this.#isName(nameStart, partitionkeyName)) break
        this.partitionkey = value
        this.partitionkeyStart = valueStart
        this.partitionkeyBytes = valueEnd - valueStart
        return true
      case 16:
        if (this.correlationid !== undefined || !this.#isName(nameStart, correlationName)) break
        this.correlationid = value
        return true
    }
    return this.#takeExtension(this.#bytes.toString('latin1', nameStart, nameStart + nameBytes), value)
  }

  #takeExtension(headerName: string, value: string): boolean {
    const name = headerName.slice(kafkaHeaderPrefix.length)
    const isExtension = headerName.startsWith(kafkaHeaderPrefix) && isExtensionName(name) && !isKnownAttribute(name)
    if (!isExtension || this.extensions?.[name] !== undefined) return false
    this.extensions ??= {}
    this.extensions[name] = value
    return true
  }

  /** Compares a name by two loads that may overlap; none of the known names is longer than they reach. */
  #isName(start: number, name: HeaderName): boolean {
    const view = this.#view
    if (name.bytes < 8) {
      return (
        view.getInt32(start) === name.view.getInt32(0) &&
        view.getInt32(start + name.bytes - 4) === name.view.getInt32(name.bytes - 4)
      )
    }
    // Letters never make a NaN or a zero, so equal doubles are equal bytes.
    return (
      view.getFloat64(start) === name.view.getFloat64(0) &&
      view.getFloat64(start + name.bytes - 8) === name.view.getFloat64(name.bytes - 8)
    )
  }
}

/** A header's name of 4 to 16 ASCII letters. */
interface HeaderName {
  readonly bytes: number
  readonly view: DataView
}

function headerName(name: string): HeaderName {
  const bytes = Uint8Array.from(Buffer.from(name, 'latin1'))
  return { bytes: bytes.length, view: new DataView(bytes.buffer) }
}

const idName: HeaderName = headerName('ce_id')
const timeName: HeaderName = headerName('ce_time')
const subjectName: HeaderName = headerName('ce_subject')
const sequenceName: HeaderName = headerName('ce_sequence')
const tracestateName: HeaderName = headerName('ce_tracestate')
const causationName: HeaderName = headerName('ce_causationid')
const traceparentName: HeaderName = headerName('ce_traceparent')
const partitionkeyName: HeaderName = headerName('ce_partitionkey')
const correlationName: HeaderName = headerName('ce_correlationid')
