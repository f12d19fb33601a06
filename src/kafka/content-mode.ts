import { checkMessage } from '../committing/index.ts'
import type { PublishWrite, RawRecord, WriteBatch } from '../engine/index.ts'
import { encodeKafkaStructured } from '../message/index.ts'

/**
 * How messages become records: attributes as headers and data as the value, or all of it as one JSON document (CloudEvents Kafka
 * binding 1.0.2, sections 3.2 and 3.3). Both are read, whichever is written.
 */
export type KafkaContentMode = 'binary' | 'structured'

/**
 * The batch with its messages as records in structured mode.
 *
 * @throws ArgumentInvalidError if one is no message
 */
export function inStructuredMode(batch: WriteBatch): WriteBatch {
  if (batch.publish === undefined) return batch
  return { ...batch, publish: batch.publish.map(writeInStructuredMode) }
}

function writeInStructuredMode(write: PublishWrite): PublishWrite {
  const { messages, records = [], ...rest } = write
  // What is no list is refused with everything else that is wrong with a batch.
  if (!Array.isArray(messages) || !Array.isArray(records)) return write
  const encoded = messages.map((message): RawRecord => {
    checkMessage(message)
    return encodeKafkaStructured(message)
  })
  return { ...rest, records: [...encoded, ...records] }
}
