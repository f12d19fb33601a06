import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Compression,
  decodeBatch,
  filterBatch,
  RecordBatchBuilder,
  RecordBatchDamagedError,
  readBatchHeader,
} from './index.ts'

function sample(compression: Compression = 'none', logAppendTimeMs?: number): Uint8Array {
  const builder = new RecordBatchBuilder()
  for (let index = 0; index < 6; index++) {
    builder.appendRaw({
      key: `k${index % 3}`,
      value: `v${index}`,
      headers: [['n', `${index}`]],
      timestampMs: 100 - index,
    })
  }
  const producer = { id: 9, epoch: 1, baseSequence: 77 }
  const time = logAppendTimeMs === undefined ? {} : { logAppendTimeMs }
  return builder.seal({ baseOffset: 1000, compression, producer, ...time })
}

describe('filterBatch', () => {
  it.each<Compression>(['none', 'gzip', 'zstd'])('keeps offsets, times and the producer of what stays (%s)', (kind) => {
    const batch = sample(kind)
    const before = decodeBatch(batch)
    const filtered = filterBatch(batch, (record) => record.offset % 2 === 1) ?? new Uint8Array()
    expect(readBatchHeader(filtered)).toMatchObject({
      baseOffset: 1000,
      lastOffset: 1005,
      recordCount: 3,
      maxTimestampMs: 99,
      baseTimestampMs: 100,
      compression: kind,
      producerId: 9,
      producerEpoch: 1,
      baseSequence: 77,
    })
    expect(decodeBatch(filtered)).toEqual(before.filter((record) => record.offset % 2 === 1))
  })

  it('keeps the last offset though the last record goes, and can be applied again', () => {
    const once = filterBatch(sample(), (record) => record.offset < 1004) ?? new Uint8Array()
    const twice = filterBatch(once, (record) => record.offset === 1002) ?? new Uint8Array()
    expect(readBatchHeader(twice)).toMatchObject({ baseOffset: 1000, lastOffset: 1005, recordCount: 1 })
    expect(decodeBatch(twice).map((record) => record.offset)).toEqual([1002])
  })

  it('keeps the time of the log', () => {
    const filtered = filterBatch(sample('none', 555), (record) => record.offset === 1001) ?? new Uint8Array()
    expect(readBatchHeader(filtered)).toMatchObject({ timestampType: 'log-append', maxTimestampMs: 555 })
    expect(decodeBatch(filtered)[0]?.timestampMs).toBe(555)
  })

  it('gives the same batch if all stay, and null if none does', () => {
    const batch = sample()
    expect(filterBatch(batch, () => true)).toBe(batch)
    expect(filterBatch(batch, () => false)).toBeNull()
  })

  it('keeps exactly any subset', () => {
    const batch = sample()
    const before = decodeBatch(batch)
    fc.assert(
      fc.property(fc.subarray([0, 1, 2, 3, 4, 5], { minLength: 1 }), (kept) => {
        const filtered = filterBatch(batch, (record) => kept.includes(record.offset - 1000)) ?? new Uint8Array()
        expect(decodeBatch(filtered)).toEqual(before.filter((record) => kept.includes(record.offset - 1000)))
      }),
    )
  })

  it('does not carry damage on', () => {
    const batch = Uint8Array.from(sample())
    batch[batch.length - 1] = 0
    expect(() => filterBatch(batch, () => true)).toThrow(RecordBatchDamagedError)
  })
})
