import { RecordBatchDamagedError } from './errors.ts'
import { VarintCursor } from './varint.ts'

/** What a cursor must know of the batch whose records it walks over. */
export interface RecordSection {
  /** The records, decompressed. */
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly baseTimestampMs: number
  /** Set if the log's clock counts: then all records have this time. */
  readonly logAppendTimeMs: number | undefined
  readonly recordCount: number
}

/**
 * Walks over the records of a batch and says where each part lies, without allocating anything.
 *
 * Lengths of keys and values are -1 for null. Headers are walked over by {@link forEachHeader}, or by a reader that knows
 * better.
 */
export class RecordCursor {
  section: RecordSection
  offset = -1
  timestampMs = 0
  recordStart = 0
  recordEnd = 0
  keyStart = 0
  keyBytes = -1
  valueStart = 0
  valueBytes = -1
  headersStart = 0
  headerCount = 0
  readonly #varints: VarintCursor
  #remaining = 0

  constructor(section: RecordSection) {
    this.section = section
    this.#varints = new VarintCursor(section.bytes, section.start, section.end)
    this.enter(section)
  }

  /** Goes before the first record of a section, which lies in the same bytes as the one before. */
  enter(section: RecordSection): void {
    this.section = section
    this.#remaining = section.recordCount
    this.offset = section.baseOffset - 1
    this.recordEnd = section.start
  }

  /**
   * Goes to the next record; `false` behind the last one.
   *
   * @throws RecordBatchDamagedError `RECORD_BATCH_DAMAGED` if the record does not add up, or bytes are left at the end.
   */
  next(): boolean {
    const { section } = this
    const varints = this.#varints
    const start = this.recordEnd
    if (this.#remaining === 0) {
      if (start === section.end) return false
      throw new RecordBatchDamagedError(
        'record-count',
        start,
        `${section.end - start} bytes stand behind its last record`,
      )
    }
    this.#remaining--
    this.recordStart = start
    varints.position = start
    varints.end = section.end
    const length = varints.readVarint()
    const end = varints.position + length
    if (length < 0 || end > section.end) {
      throw new RecordBatchDamagedError('record', start, `a record of ${length} bytes does not fit into the batch`)
    }
    this.recordEnd = end
    varints.end = end
    // One byte of attributes, in which nothing is defined.
    varints.position++
    this.timestampMs = section.baseTimestampMs + varints.readVarlong()
    if (section.logAppendTimeMs !== undefined) this.timestampMs = section.logAppendTimeMs
    this.#advance(section.baseOffset + varints.readVarint())
    this.#readParts(varints, end)
    return true
  }

  #advance(offset: number): void {
    if (offset <= this.offset || offset > this.section.lastOffset) {
      const finding = `the offset ${offset} follows ${this.offset}, and the last one is ${this.section.lastOffset}`
      throw new RecordBatchDamagedError('record', this.recordStart, finding)
    }
    this.offset = offset
  }

  #readParts(varints: VarintCursor, end: number): void {
    const keyBytes = varints.readVarint()
    this.keyBytes = keyBytes
    this.keyStart = varints.position
    if (keyBytes > 0) varints.position += keyBytes
    const valueBytes = varints.readVarint()
    this.valueBytes = valueBytes
    this.valueStart = varints.position
    if (valueBytes > 0) varints.position += valueBytes
    this.headerCount = varints.readVarint()
    this.headersStart = varints.position
    if (keyBytes < -1 || valueBytes < -1 || this.headerCount < 0) {
      throw new RecordBatchDamagedError('record', this.recordStart, 'a length or count is negative')
    }
    if (this.headerCount === 0 && varints.position !== end) {
      throw new RecordBatchDamagedError('record', this.recordStart, 'a record is longer than its parts')
    }
  }

  /**
   * Calls `visit` for each header: where its name lies, and where its value lies (-1 bytes: null).
   *
   * @throws RecordBatchDamagedError `RECORD_BATCH_DAMAGED` if the headers do not fill the rest of the record exactly.
   */
  forEachHeader(visit: (nameStart: number, nameBytes: number, valueStart: number, valueBytes: number) => void): void {
    const varints = this.#varints
    varints.position = this.headersStart
    varints.end = this.recordEnd
    for (let index = 0; index < this.headerCount; index++) {
      const nameBytes = varints.readVarint()
      const nameStart = varints.position
      if (nameBytes < 0) throw new RecordBatchDamagedError('record', nameStart, 'a header has no name')
      varints.position += nameBytes
      const valueBytes = varints.readVarint()
      const valueStart = varints.position
      if (valueBytes > 0) varints.position += valueBytes
      if (valueBytes < -1 || varints.position > this.recordEnd) {
        throw new RecordBatchDamagedError('record', nameStart, 'a header does not fit into its record')
      }
      visit(nameStart, nameBytes, valueStart, valueBytes)
    }
    if (varints.position !== this.recordEnd) {
      throw new RecordBatchDamagedError('record', this.recordStart, 'a record is longer than its headers')
    }
  }
}
