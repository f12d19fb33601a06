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

/** The batches in one piece, in the middle of a larger buffer. */
function joined(batches: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([Uint8Array.of(7, 7, 7), ...batches, Uint8Array.of(7)]).subarray(3, -1)
}

describe('batches that lie one behind the other', () => {
  it('give the records that each gives by itself', () => {
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 8 }), (batches) => {
        const reader = new JoinedBatches(joined(batches))
        expect(batches.map(() => reader.next())).toEqual(batches.map(firstOf))
        expect(reader.isAtEnd).toBe(true)
        expect(() => reader.next()).toThrow(RecordBatchDamagedError)
      }),
    )
  })

  it('are damaged where a byte was altered, and not before', () => {
    const batches = [1, 2, 3].map((n) => {
      const builder = new RecordBatchBuilder()
      builder.appendMessage(messageOf('A', `${n}`, n), timestampMs)
      return builder.seal().slice()
    })
    const [start, bytes] = [batches[0]?.length ?? 0, joined(batches)]
    const offsetBytes = 8
    const epochAt = 12
    for (let at = offsetBytes; at < (batches[1]?.length ?? 0); at++) {
      // No checksum covers the place in a log, nor the epoch of a leader.
      if (at >= epochAt && at < 16) continue
      for (const bit of [0, 4, 7]) {
        const altered = bytes.slice()
        altered[start + at] = (altered[start + at] as number) ^ (1 << bit)
        const reader = new JoinedBatches(altered)
        expect(reader.next()).toMatchObject({ message: { data: 1 } })
        expect(() => reader.next()).toThrow(RecordBatchDamagedError)
      }
    }
  })

  it('have no record where the batch marks the end of a transaction', () => {
    const builder = new RecordBatchBuilder()
    builder.appendRaw({ key: 'k', value: 'v', timestampMs })
    const marker = Buffer.from(builder.seal({ crc: false }))
    marker.writeInt16BE(0x30, 21)
    writeCrc(marker)
    expect(new JoinedBatches(marker).next()).toBeUndefined()
  })
})
