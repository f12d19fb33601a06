import { crc32 } from 'node:zlib'

/** The values that the checksum of a row is over, in this order. See docs/formats/embedded-file.md. */
export const checksummedValues = {
  topic: ['id', 'name', 'config'],
  partition: ['id', 'topic_id', 'number', 'start_offset', 'end_floor', 'compacted_to', 'gaps_to'],
  producer: ['id', 'name', 'epoch'],
  producer_partition: ['producer_id', 'partition_id', 'epoch', 'recent'],
  progress: ['group_name', 'partition_id', 'next_offset', 'done'],
  stream: ['id', 'name', 'version_floor', 'truncated_before', 'deleted_at', 'tombstoned'],
  event: ['position', 'stream_id', 'version', 'time_ms', 'tags'],
  namespace: ['id', 'name'],
  // By the name of its namespace: should its id be altered, in either table, no value is taken for that of another namespace.
  state: ['(SELECT name FROM namespace WHERE id = namespace_id)', 'key', 'revision', 'value'],
  timer: ['owner', 'id', 'due_ms', 'revision', 'payload'],
  counter: ['name', 'value'],
} as const

export type ChecksummedTable = keyof typeof checksummedValues

/** Up to this many characters the steps below take less time than a call of native code. */
const shortMax = 64

/** What the CRC-32 of a byte adds, for the polynomial of gzip (RFC 1952, section 8), and of one that 1, 2 or 3 bytes follow. */
const [steps, steps1, steps2, steps3] = tables()

function tables(): readonly [Int32Array, Int32Array, Int32Array, Int32Array] {
  const last = Int32Array.from({ length: 256 }, (_, byte) => {
    let sum = byte
    for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 0 ? sum >>> 1 : (sum >>> 1) ^ 0xedb88320
    return sum
  })
  const before = (table: Int32Array): Int32Array => table.map((sum) => (last[sum & 0xff] as number) ^ (sum >>> 8))
  const one = before(last)
  const two = before(one)
  return [last, one, two, before(two)]
}

/** Goes on with a CRC-32, which is kept inverted between its steps, behind four bytes, the lowest first. */
function withWord(inverted: number, word: number): number {
  const sum = inverted ^ word
  return (
    (steps3[sum & 0xff] as number) ^
    (steps2[(sum >>> 8) & 0xff] as number) ^
    (steps1[(sum >>> 16) & 0xff] as number) ^
    (steps[sum >>> 24] as number)
  )
}

/** … behind a text in UTF-8, and NUL. */
function withText(inverted: number, text: string): number {
  let sum = inverted
  let isPlain = text.length <= shortMax
  for (let i = 0; isPlain && i < text.length; i++) {
    const code = text.charCodeAt(i)
    isPlain = code < 0x80
    sum = (steps[(sum ^ code) & 0xff] as number) ^ (sum >>> 8)
  }
  if (!isPlain) sum = ~crc32(text, ~inverted >>> 0)
  return (steps[sum & 0xff] as number) ^ (sum >>> 8)
}

/** … behind a whole number of 8 bytes. */
function withNumber(inverted: number, value: number): number {
  return withWord(withWord(inverted, value | 0), Math.floor(value / 2 ** 32))
}

/** … behind a value; null counts as an empty text. */
function withValue(inverted: number, value: unknown): number {
  if (typeof value === 'string') return withText(inverted, value)
  if (typeof value === 'number') return withNumber(inverted, value)
  if (typeof value === 'bigint') {
    return withWord(withWord(inverted, Number(BigInt.asIntN(32, value))), Number(BigInt.asIntN(32, value >> 32n)))
  }
  // Nothing that has a checksum is a blob: a text that became one is altered.
  return withText(inverted, value instanceof Uint8Array ? `blob ${Buffer.from(value).toString('hex')}` : '')
}

const starts = Object.fromEntries(
  Object.keys(checksummedValues).map((table) => [table, ~crc32(`${table}\0`)]),
) as Readonly<Record<ChecksummedTable, number>>

/**
 * CRC-32 (as in gzip) of the name of the table and the values of a row: whole numbers as 8 bytes, the lowest first; texts in UTF-8,
 * each with NUL behind it, as the name of the table; null as an empty text.
 */
export function checksumOf(table: ChecksummedTable, ...values: readonly unknown[]): number {
  let inverted = starts[table]
  for (const value of values) inverted = withValue(inverted, value)
  return ~inverted >>> 0
}

/** The same of an event, without a list of its values: many are read at once. */
export function eventChecksum(
  position: number,
  streamId: number,
  version: number,
  timeMs: number,
  tags: string,
): number {
  const inverted = withNumber(withNumber(withNumber(starts.event, position), streamId), version)
  return ~withText(withNumber(inverted, timeMs), tags) >>> 0
}

/** … and of a value of keyed state, which is read for each message. Damage may have left something else of it. */
export function stateChecksum(namespace: string, key: string, revision: unknown, value: unknown): number {
  if (typeof revision !== 'number' || typeof value !== 'string') {
    return checksumOf('state', namespace, key, revision, value)
  }
  return ~withText(withNumber(withText(withText(starts.state, namespace), key), revision), value) >>> 0
}

/** Whether a row is as it was written. It holds its checksum, and all values by the names of their columns. */
export function isIntact(table: Exclude<ChecksummedTable, 'state'>, row: Record<string, unknown>): boolean {
  return row['checksum'] === checksumOf(table, ...checksummedValues[table].map((column) => row[column]))
}
