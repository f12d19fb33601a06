import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sealMessage } from '../message/index.ts'
import {
  type Compression,
  decodeMessages,
  JoinedBatches,
  RecordBatchBuilder,
  RecordBatchDamagedError,
  type RecordOutcome,
  writeCrc,
} from './index.ts'

const timestampMs = 1_764_547_200_000

/** Zeroes, and bytes that are no text, lie in every header of a batch; these are records of all kinds behind it. */
const record = fc.oneof(
  fc.record({ kind: fc.constant('message' as const), type: fc.constantFrom('A', 'Bé'), data: fc.jsonValue() }),
  fc.record({ kind: fc.constant('foreign' as const), value: fc.uint8Array({ maxLength: 40 }) }),
  fc.record({ kind: fc.constant('tombstone' as const) }),
)
const batch = fc
  .record({
    records: fc.array(record, { minLength: 1, maxLength: 3 }),
    compression: fc.constantFrom<Compression>('none', 'none', 'none', 'gzip', 'zstd'),
    baseOffset: fc.nat(1000),
  })
  .map(({ records, compression, baseOffset }) => {
    const builder = new RecordBatchBuilder()
    for (const [index, one] of records.entries()) {
      if (one.kind === 'message') builder.appendMessage(messageOf(one.type, `${index}`, one.data), timestampMs + index)
      else builder.appendRaw({ key: 'k', value: one.kind === 'tombstone' ? null : one.value, timestampMs })
    }
    return builder.seal({ compression, baseOffset }).slice()
  })

function messageOf(type: string, id: string, data: unknown): Parameters<RecordBatchBuilder['appendMessage']>[0] {
  return sealMessage(type, id, '/s', '2026-01-01T00:00:00.000Z', 'application/json', 1, data, {}, undefined)
}

function firstOf(bytes: Uint8Array): RecordOutcome | undefined {
  let first: RecordOutcome | undefined
  decodeMessages(bytes, (outcome) => {
    first = outcome
    return false
  })
  return first
}

/** The batches in one piece, in the middle of a larger buffer, and where each ends. */
function joined(batches: readonly Uint8Array[]): { readonly bytes: Uint8Array; readonly ends: readonly number[] } {
  let end = 0
  const ends = batches.map((one) => (end += one.length))
  return { bytes: Buffer.concat([Uint8Array.of(7, 7, 7), ...batches]).subarray(3), ends }
}

describe('batches that lie one behind the other', () => {
  it('give the records that each gives by itself, in any order', () => {
    fc.assert(
      fc.property(fc.array(batch, { minLength: 1, maxLength: 8 }), (batches) => {
        const { bytes, ends } = joined(batches)
        const reader = new JoinedBatches(bytes)
        for (const index of [...batches.keys(), ...[...batches.keys()].reverse()]) {
          const found = reader.firstRecord(ends[index - 1] ?? 0, ends[index] as number)
          expect(found).toEqual(firstOf(batches[index] as Uint8Array))
        }
      }),
    )
  })

  it('are damaged one by one: a byte that was altered touches no neighbour', () => {
    const batches = [1, 2, 3].map((n) => {
      const builder = new RecordBatchBuilder()
      builder.appendMessage(messageOf('A', `${n}`, n), timestampMs)
      return builder.seal().slice()
    })
    const { bytes, ends } = joined(batches)
    const [start, end] = [ends[0] as number, ends[1] as number]
    // The base offset and the epoch of the leader, 12 bytes with the length between them, are not under the checksum.
    for (let at = start + 16; at < end; at++) {
      const altered = bytes.slice()
      altered[at] = (altered[at] as number) ^ 1
      const reader = new JoinedBatches(altered)
      expect(reader.firstRecord(0, start)).toMatchObject({ message: { data: 1 } })
      expect(() => reader.firstRecord(start, end)).toThrow(RecordBatchDamagedError)
      expect(reader.firstRecord(end, ends[2] as number)).toMatchObject({ message: { data: 3 } })
    }
  })

  it('have no record where the batch marks the end of a transaction', () => {
    const builder = new RecordBatchBuilder()
    builder.appendRaw({ key: 'k', value: 'v', timestampMs })
    const marker = Buffer.from(builder.seal({ crc: false }))
    marker.writeInt16BE(0x30, 21)
    writeCrc(marker)
    expect(new JoinedBatches(marker).firstRecord(0, marker.length)).toBeUndefined()
  })
})
