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

/** CRC-32 (as in gzip) of the name of the table and the values of a row, with NUL between them; null counts as empty. */
export function checksumOf(table: ChecksummedTable, ...values: readonly unknown[]): number {
  return crc32(`${table}\0${values.join('\0')}`)
}

/** Whether a row is as it was written. It holds its checksum, and all values by the names of their columns. */
export function isIntact(table: Exclude<ChecksummedTable, 'state'>, row: Record<string, unknown>): boolean {
  return row['checksum'] === checksumOf(table, ...checksummedValues[table].map((column) => row[column]))
}
