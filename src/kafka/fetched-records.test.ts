import { gzipSync, zstdCompressSync } from 'node:zlib'
import * as library from '@platformatic/kafka'
import { describe, expect, it } from 'vitest'
import { RecordBatchBuilder, setBaseOffset, setProducer, writeCrc } from '../record/index.ts'
import { recordsOf } from './fetched-records.ts'
import type { AbortedTransaction } from './raw-requests.ts'

interface BatchOf {
  readonly offset: number
  readonly values: readonly string[]
  readonly producerId?: number
  /** `commit` and `abort` make it a marker. */
  readonly kind?: 'transactional' | 'commit' | 'abort'
}

function batchOf({ offset, values, producerId = -1, kind }: BatchOf): Buffer {
  const builder = new RecordBatchBuilder()
  const key = kind === 'commit' ? Buffer.from([0, 0, 0, 1]) : kind === 'abort' ? Buffer.from([0, 0, 0, 0]) : null
  for (const value of values) builder.appendRaw({ key, value, timestampMs: 1 })
  const bytes = builder.seal({ transactional: kind !== undefined, crc: false })
  setProducer(bytes, { id: producerId, epoch: 0, baseSequence: 0 })
  setBaseOffset(bytes, offset)
  if (kind === 'commit' || kind === 'abort') (bytes as Buffer)[22] = ((bytes as Buffer)[22] as number) | 0x20
  writeCrc(bytes)
  return Buffer.from(bytes)
}

function read(batches: readonly (BatchOf | Buffer)[], aborted: readonly AbortedTransaction[] = [], offset = 0) {
  const bytes = Buffer.concat(batches.map((one) => (Buffer.isBuffer(one) ? one : batchOf(one))))
  const gaps: [number, number][] = []
  const answer = {
    topic: 't',
    partition: 0,
    errorCode: 0,
    lastStableOffset: 100,
    logStartOffset: 0,
    aborted,
    bytes,
  }
  const { records, nextOffset } = recordsOf(library, answer, offset, (from, to) => gaps.push([from, to]))
  const values = records.map((record) => (record.kind === 'undecodable' ? Buffer.from(record.value).toString() : '?'))
  return { values, offsets: records.map((record) => record.offset), nextOffset, gaps }
}

/** The batch with its records in a compression, and a checksum that is right. */
function packed(plain: Buffer, name: 'gzip' | 'snappy' | 'lz4' | 'zstd', records: Uint8Array): Buffer {
  const batch = Buffer.concat([plain.subarray(0, 61), records])
  batch[22] = ((batch[22] as number) & ~7) | library.compressionsAlgorithms[name].bitmask
  batch.writeInt32BE(batch.length - 12, 8)
  writeCrc(batch)
  return batch
}

/** 200 MiB of zeros, compressed by stages: no more than the result is ever held. */
function bomb(name: 'gzip' | 'zstd'): Buffer {
  const zeros = Buffer.alloc(50 * 1024 * 1024)
  const pack = (): Buffer => (name === 'gzip' ? gzipSync(zeros) : zstdCompressSync(zeros))
  return Buffer.concat([pack(), pack(), pack(), pack()])
}

describe('records of an answer', () => {
  it('leave out markers, and tell them as gaps', () => {
    const found = read([
      { offset: 0, values: ['a', 'b'], producerId: 7, kind: 'transactional' },
      { offset: 2, values: ['x'], producerId: 7, kind: 'commit' },
      { offset: 3, values: ['c'] },
    ])
    expect(found).toEqual({ values: ['a', 'b', 'c'], offsets: [0, 1, 3], nextOffset: 4, gaps: [[2, 3]] })
  })

  it('leave out what was aborted, of that producer and up to its marker only', () => {
    const found = read(
      [
        { offset: 0, values: ['kept'], producerId: 7, kind: 'transactional' },
        { offset: 1, values: ['x'], producerId: 7, kind: 'commit' },
        { offset: 2, values: ['gone'], producerId: 7, kind: 'transactional' },
        { offset: 3, values: ['other'], producerId: 8, kind: 'transactional' },
        { offset: 4, values: ['gone too'], producerId: 7, kind: 'transactional' },
        { offset: 5, values: ['x'], producerId: 7, kind: 'abort' },
        { offset: 6, values: ['again'], producerId: 7, kind: 'transactional' },
        { offset: 7, values: ['plain'], producerId: 7 },
      ],
      [{ producerId: 7, firstOffset: 2 }],
    )
    expect(found.values).toEqual(['kept', 'other', 'again', 'plain'])
    expect(found.nextOffset).toBe(8)
  })

  it('begin where they were asked for, within a batch, and end with the last whole batch', () => {
    const last = batchOf({ offset: 3, values: ['d'] })
    const found = read([{ offset: 0, values: ['a', 'b', 'c'] }, last.subarray(0, last.length - 1)], [], 1)
    expect(found).toEqual({ values: ['b', 'c'], offsets: [1, 2], nextOffset: 3, gaps: [] })
  })

  it('tell what compaction took away between batches', () => {
    const found = read([
      { offset: 2, values: ['a'] },
      { offset: 9, values: ['b'] },
    ])
    expect(found.gaps).toEqual([
      [0, 2],
      [3, 9],
    ])
  })

  it.each(['snappy', 'lz4'] as const)('are read from batches that other producers compressed with %s', (name) => {
    const plain = batchOf({ offset: 5, values: ['one', 'two', 'three'] })
    const batch = packed(plain, name, library.compressionsAlgorithms[name].compressSync(plain.subarray(61)))
    expect(read([batch]).values).toEqual(['one', 'two', 'three'])
    batch[batch.length - 1] = (batch[batch.length - 1] as number) ^ 1
    expect(() => read([batch])).toThrow(/damaged/)
  })
  it.each([
    ['snappy', 'DECOMPRESSED_TOO_LARGE', () => Buffer.from([0x80, 0x80, 0x80, 0x80, 0x0f, 0])],
    ['gzip', 'DECOMPRESSED_TOO_LARGE', () => bomb('gzip')],
    ['zstd', 'DECOMPRESSED_TOO_LARGE', () => bomb('zstd')],
    ['lz4', 'RECORD_BATCH_DAMAGED', () => Buffer.from('no stream at all')],
  ] as const)('are one undecodable record where a batch of %s cannot be read (%s)', (name, code, records) => {
    const whole = batchOf({ offset: 5, values: ['one', 'two', 'three'] })
    const bad = packed(whole, name, records())
    const answer = { topic: 't', partition: 0, errorCode: 0, lastStableOffset: 9, logStartOffset: 0, aborted: [] }
    const bytes = Buffer.concat([bad, batchOf({ offset: 8, values: ['next'] })])
    const gaps: [number, number][] = []
    const found = recordsOf(library, { ...answer, bytes }, 5, (from, to) => gaps.push([from, to]))
    const [poison, next] = found.records
    expect(poison).toMatchObject({ kind: 'undecodable', offset: 5, timestampMs: 1, key: null })
    expect(poison?.kind === 'undecodable' && (poison.error.cause as { code: string }).code).toBe(code)
    expect(poison?.kind === 'undecodable' && Buffer.from(poison.value).equals(bad.subarray(61))).toBe(true)
    // The others of the batch are no records of their own, or nobody would ever do them.
    expect(gaps).toEqual([[6, 8]])
    expect(next?.offset).toBe(8)
  })

  it('are kept up to the one that a batch is broken at', () => {
    const whole = batchOf({ offset: 5, values: ['one', 'two', 'three'] })
    whole.write('\xff', whole.indexOf('two') - 2, 'latin1')
    writeCrc(whole)
    const found = read([whole], [], 5)
    expect(found.values[0]).toBe('one')
    expect(found.offsets).toEqual([5, 6])
    expect(found.nextOffset).toBe(8)
  })
})
