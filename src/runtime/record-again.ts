import { type Engine, OffsetOutOfRangeError } from '../engine/index.ts'
import type { RecordOutcome, UndecodableRecord } from '../record/index.ts'
import { originalRecord } from './dead-letter-entry.ts'
import { RecordGoneError } from './errors.ts'
import type { Unreadable } from './task.ts'

/** Where a record stands. */
export interface RecordPlace {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/**
 * Reads a record once more that was too large to be kept elsewhere, or that could not be decoded then.
 *
 * @throws RecordGoneError `RECORD_GONE`, TopicUnknownError `TOPIC_UNKNOWN`
 */
export async function readAgain(
  engine: Engine,
  { topic, partition, offset }: RecordPlace,
): Promise<Exclude<RecordOutcome, { readonly kind: 'tombstone' }>> {
  let records: readonly RecordOutcome[] = []
  try {
    records = (await engine.topics.read({ topic, partition, offset, bytesMax: 1 })).records
  } catch (error) {
    if (!(error instanceof OffsetOutOfRangeError)) throw error
  }
  const record = records.find((one) => one.offset === offset)
  if (record?.kind === 'tombstone' && record.message !== undefined) {
    return { ...record, kind: 'message', message: record.message }
  }
  if (record === undefined || record.kind === 'tombstone') throw new RecordGoneError(topic, partition, offset)
  return record
}

/** What a task is told of a record that is no message. */
export function unreadableRecord(record: UndecodableRecord): Unreadable {
  const key = typeof record.key === 'string' ? record.key : null
  return { error: record.error, record: { key, original: originalRecord(record.value) } }
}
