import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  BatchBufferPool,
  checkCrc,
  decodeBatch,
  RecordArgumentInvalidError,
  RecordBatchBuilder,
  RecordBatchDamagedError,
  type RecordInput,
  RecordTooLargeError,
  readBatchHeader,
  setBaseOffset,
  setProducer,
  writeCrc,
} from './index.ts'

const small: RecordInput = { key: 'k', value: 'v', timestampMs: 5 }

function bytesOf(content: Uint8Array | string | null): Uint8Array | null {
  return content === null ? null : Uint8Array.from(Buffer.from(content))
}

const content = fc.oneof(
  fc.constant(null),
  fc.string({ unit: 'grapheme', maxLength: 90 }),
  fc.uint8Array({ maxLength: 300 }),
)
const records: fc.Arbitrary<readonly RecordInput[]> = fc.array(
  fc.record({
    key: content,
    value: content,
    headers: fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), content), { maxLength: 80 }),
    timestampMs: fc.oneof(fc.nat(), fc.integer({ min: -(2 ** 51), max: 2 ** 51 })),
  }),
  { minLength: 1, maxLength: 20 },
)

describe('RecordBatchBuilder', () => {
  it('writes records that are read back as they were, whatever the compression', () => {
    const pool = new BatchBufferPool()
    const builder = new RecordBatchBuilder({ pool })
    fc.assert(
      fc.property(records, fc.nat(), fc.constantFrom('none', 'gzip', 'zstd'), (inputs, baseOffset, compression) => {
        for (const input of inputs) builder.appendRaw(input)
        const batch = builder.seal({ baseOffset, compression })
        const read = decodeBatch(batch).map((record) => ({
          ...record,
          key: bytesOf(record.key),
          value: bytesOf(record.value),
          headers: record.headers.map(([name, value]) => [name, bytesOf(value)]),
        }))
        const expected = inputs.map(({ key, value, headers = [], timestampMs }, index) => ({
          offset: baseOffset + index,
          timestampMs,
          key: bytesOf(key),
          value: bytesOf(value),
          headers: headers.map(([name, one]) => [name, bytesOf(one)]),
        }))
        expect(read).toEqual(expected)
        pool.release(batch)
      }),
      { numRuns: 200 },
    )
  })

  it('tells its size, its count and its times while it grows', () => {
    const builder = new RecordBatchBuilder()
    expect(builder).toMatchObject({ recordCount: 0, batchBytes: 61 })
    const first = builder.appendRaw({ ...small, timestampMs: 20 })
    const second = builder.appendRaw({ ...small, timestampMs: 10 })
    expect(builder).toMatchObject({
      recordCount: 2,
      batchBytes: 61 + first + second,
      minTimestampMs: 10,
      maxTimestampMs: 20,
    })
    const batch = builder.seal()
    expect(batch).toHaveLength(61 + first + second)
    expect(readBatchHeader(batch)).toMatchObject({ baseTimestampMs: 20, maxTimestampMs: 20, recordCount: 2 })
    expect(builder).toMatchObject({ recordCount: 0, batchBytes: 61 })
  })

  it('writes what Kafka’s Java client writes where there is no producer', () => {
    const builder = new RecordBatchBuilder()
    builder.appendRaw(small)
    expect(readBatchHeader(builder.seal())).toMatchObject({ producerId: -1, producerEpoch: -1, baseSequence: -1 })
  })

  it('carries producer, epoch of the leader, time of the log and transactions', () => {
    const builder = new RecordBatchBuilder()
    builder.appendRaw(small)
    const batch = builder.seal({
      baseOffset: Number.MAX_SAFE_INTEGER,
      producer: { id: 2 ** 40, epoch: 7, baseSequence: 9 },
      partitionLeaderEpoch: 3,
      logAppendTimeMs: 1234,
      transactional: true,
    })
    expect(readBatchHeader(batch)).toMatchObject({
      baseOffset: Number.MAX_SAFE_INTEGER,
      producerId: 2 ** 40,
      producerEpoch: 7,
      baseSequence: 9,
      partitionLeaderEpoch: 3,
      timestampType: 'log-append',
      maxTimestampMs: 1234,
      isTransactional: true,
    })
    expect(decodeBatch(batch)[0]?.timestampMs).toBe(1234)
  })

  it('leaves the checksum to whoever has the time', () => {
    const builder = new RecordBatchBuilder()
    builder.appendRaw(small)
    const batch = builder.seal({ crc: false })
    expect(readBatchHeader(batch).crc).toBe(0)
    expect(() => checkCrc(batch)).toThrow(RecordBatchDamagedError)
    setProducer(batch, { id: 1, epoch: 2, baseSequence: 3 })
    writeCrc(batch)
    setBaseOffset(batch, 2 ** 45)
    expect(decodeBatch(batch)[0]?.offset).toBe(2 ** 45)
    expect(readBatchHeader(batch)).toMatchObject({ producerId: 1, producerEpoch: 2, baseSequence: 3 })
  })

  it('goes back to a mark', () => {
    const builder = new RecordBatchBuilder()
    builder.appendRaw(small)
    const mark = builder.mark()
    builder.appendRaw({ key: null, value: 'x'.repeat(50_000), timestampMs: -7 })
    builder.appendRaw({ ...small, timestampMs: 99 })
    builder.rewind(mark)
    expect(builder).toMatchObject({ recordCount: 1, minTimestampMs: 5, maxTimestampMs: 5 })
    builder.appendRaw({ ...small, value: 'w' })
    const values = decodeBatch(builder.seal()).map((record) => String(record.value))
    expect(values).toEqual(['v', 'w'])
  })

  it('rewinds to nothing, so that the next record sets the base time', () => {
    const builder = new RecordBatchBuilder()
    const empty = builder.mark()
    builder.appendRaw(small)
    builder.rewind(empty)
    builder.appendRaw({ ...small, timestampMs: 7 })
    expect(readBatchHeader(builder.seal())).toMatchObject({ baseTimestampMs: 7, maxTimestampMs: 7, recordCount: 1 })
  })

  it('refuses a record that is too large, before or after its size is known, and keeps nothing of it', () => {
    const builder = new RecordBatchBuilder({ recordBytesMax: 100 })
    const frameBytes = builder.appendRaw({ ...small, value: '' })
    expect(builder.appendRaw({ ...small, value: 'x'.repeat(100 - frameBytes - 2) })).toBeLessThanOrEqual(100)
    const before = builder.batchBytes
    expect(() => builder.appendRaw({ ...small, value: 'x'.repeat(101) })).toThrow(RecordTooLargeError)
    // 50 letters, but 150 bytes.
    expect(() => builder.appendRaw({ ...small, value: '東'.repeat(50) })).toThrow(RecordTooLargeError)
    expect(builder).toMatchObject({ recordCount: 2, batchBytes: before })
    expect(decodeBatch(builder.seal())).toHaveLength(2)
  })

  it('takes records up to Kafka’s own bound unless told otherwise', () => {
    const builder = new RecordBatchBuilder()
    const fits = 1_048_588 - 20
    expect(builder.appendRaw({ key: null, value: 'x'.repeat(fits), timestampMs: 0 })).toBeLessThanOrEqual(1_048_588)
    expect(() => builder.appendRaw({ key: null, value: 'x'.repeat(1_048_588), timestampMs: 0 })).toThrow(
      RecordTooLargeError,
    )
  })

  it.each([0, -1, 1.5, 64 * 1024 * 1024 + 1, Number.NaN])('refuses a bound of %d bytes', (recordBytesMax) => {
    expect(() => new RecordBatchBuilder({ recordBytesMax })).toThrow(RecordArgumentInvalidError)
  })

  it('refuses what a batch cannot hold, and keeps its records', () => {
    const builder = new RecordBatchBuilder()
    expect(() => builder.seal()).toThrow(RecordArgumentInvalidError)
    expect(() => builder.appendRaw({ ...small, timestampMs: 0.5 })).toThrow(/timestampMs is 0.5/)
    expect(() => builder.appendRaw({ ...small, timestampMs: Number.NaN })).toThrow(RecordArgumentInvalidError)
    builder.appendRaw(small)
    expect(() => builder.seal({ logAppendTimeMs: 0.5 })).toThrow(/logAppendTimeMs is 0.5/)
    expect(() => builder.seal({ partitionLeaderEpoch: 2 ** 31 })).toThrow(/partitionLeaderEpoch is/)
    expect(() => builder.seal({ baseOffset: -1 })).toThrow(/baseOffset is -1/)
    expect(() => builder.seal({ producer: { id: 1, epoch: 32_768, baseSequence: 0 } })).toThrow(/producer has/)
    expect(() => builder.seal({ producer: { id: 1, epoch: 0, baseSequence: 2 ** 31 } })).toThrow(/producer has/)
    expect(() => builder.seal({ producer: { id: 0.5, epoch: 0, baseSequence: 0 } })).toThrow(/producer has/)
    expect(decodeBatch(builder.seal())).toHaveLength(1)
  })

  it('refuses a time so far from the first that their difference is not exact', () => {
    const builder = new RecordBatchBuilder()
    builder.appendRaw({ ...small, timestampMs: Number.MIN_SAFE_INTEGER })
    expect(() => builder.appendRaw({ ...small, timestampMs: 1 })).toThrow(RecordArgumentInvalidError)
    expect(builder.recordCount).toBe(1)
  })
})

describe('BatchBufferPool', () => {
  it('serves a released batch’s memory again', () => {
    const pool = new BatchBufferPool()
    const builder = new RecordBatchBuilder({ pool })
    builder.appendRaw(small)
    const batch = builder.seal()
    pool.release(batch)
    expect(pool.pooledBytes).toBe(16_384)
    builder.appendRaw(small)
    expect(pool.pooledBytes).toBe(0)
    expect(builder.seal().buffer).toBe(batch.buffer)
  })

  it('never lets two batches share memory, while records grow', () => {
    const pool = new BatchBufferPool()
    const one = new RecordBatchBuilder({ pool })
    const two = new RecordBatchBuilder({ pool })
    for (let index = 0; index < 200; index++) {
      one.appendRaw({ key: null, value: 'a'.repeat(index * 10), timestampMs: 0 })
      two.appendRaw({ key: null, value: 'b'.repeat(index * 7), timestampMs: 0 })
    }
    const first = one.seal()
    const second = two.seal()
    expect(first.buffer).not.toBe(second.buffer)
    for (const [batch, letter, size] of [[first, 'a', 10] as const, [second, 'b', 7] as const]) {
      const values = decodeBatch(batch).map((record) => String(record.value))
      expect(values).toEqual(values.map((_, index) => letter.repeat(index * size)))
    }
  })

  it('holds no more than its bound, and nothing that is not its own', () => {
    const pool = new BatchBufferPool({ pooledBytesMax: 40_000 })
    const buffers = [pool.acquire(1), pool.acquire(16_384), pool.acquire(10_000)]
    for (const buffer of buffers) pool.release(buffer)
    expect(pool.pooledBytes).toBe(32_768)
    expect(pool.acquire(20_000)).toHaveLength(32_768)
    pool.release(new Uint8Array(1000))
    pool.release(new Uint8Array(new SharedArrayBuffer(16_384)))
    const moved = pool.acquire(16_384)
    structuredClone(moved.buffer, { transfer: [moved.buffer] })
    pool.release(moved)
    expect(pool.pooledBytes).toBe(16_384)
  })

  it('gets a builder’s buffer back when the builder is released', () => {
    const pool = new BatchBufferPool()
    const builder = new RecordBatchBuilder({ pool })
    builder.appendRaw(small)
    builder.release()
    builder.release()
    expect(pool.pooledBytes).toBe(16_384)
    expect(builder.recordCount).toBe(0)
  })
})
