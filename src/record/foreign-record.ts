import { decodeKafka } from '../message/index.ts'
import type { RecordOutcome, TombstoneRecord } from './record.ts'
import type { RecordCursor } from './record-cursor.ts'
import { headersCopy, keyAt, undecodableAt, valueCopy } from './record-outcome.ts'

/**
 * Reads a record that is not laid out as Millrace writes it: another producer's binary or structured CloudEvents, or
 * none at all. Slower, and tolerant of all that `decodeKafka` tolerates.
 *
 * Besides, the record's time stands in for a missing `time`.
 */
export function decodeForeignRecord(cursor: RecordCursor): RecordOutcome {
  const key = keyAt(cursor)
  const { offset, timestampMs } = cursor
  const headers = headersCopy(cursor)
  const result = decodeKafka({ key, value: valueCopy(cursor), headers }, { clock: { nowMs: () => timestampMs } })
  if (!result.ok) return undecodableAt(cursor, result.error)
  // A null value was told apart before.
  if (result.value === null) return { kind: 'tombstone', offset, timestampMs, key, headers }
  return { kind: 'message', offset, timestampMs, key, message: result.value }
}

/** Reads a record without a value, and the event that it may be. */
export function decodeTombstone(cursor: RecordCursor): TombstoneRecord {
  const { offset, timestampMs } = cursor
  const key = keyAt(cursor)
  const headers = headersCopy(cursor)
  const tombstone = { kind: 'tombstone', offset, timestampMs, key, headers } as const
  const result = decodeKafka({ key, value: null, headers }, { clock: { nowMs: () => timestampMs } })
  return result.ok && result.value !== null ? { ...tombstone, message: result.value } : tombstone
}
