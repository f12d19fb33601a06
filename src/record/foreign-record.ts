import { decodeKafka } from '../message/index.ts'
import type { RecordOutcome } from './record.ts'
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
