import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Compression, decodeBatch, KeyCompaction, RecordBatchBuilder, RecordBatchDamagedError } from './index.ts'

type Entry = readonly [key: string | Uint8Array | null, value: string | null, timestampMs?: number]

function batchOf(baseOffset: number, entries: readonly Entry[], compression: Compression = 'none'): Uint8Array {
  const builder = new RecordBatchBuilder()
  for (const [key, value, timestampMs = 0] of entries) builder.appendRaw({ key, value, timestampMs })
  return builder.seal({ baseOffset, compression })
}

const offsetsOf = (batch: Uint8Array | null): number[] =>
  batch === null ? [] : decodeBatch(batch).map(({ offset }) => offset)

describe('compaction by key', () => {
  it('keeps the last record of each key, over batches and within one', () => {
    const one = batchOf(0, [
      ['a', '1'],
      ['b', '1'],
      ['a', '2'],
    ])
    const two = batchOf(3, [
      ['b', '2'],
      ['c', '1'],
    ])
    const compaction = new KeyCompaction(0)
    for (const batch of [one, two]) compaction.note(batch)
    expect(compaction.keyCount).toBe(3)
    const first = compaction.compact(one)
    expect([offsetsOf(first.bytes), first.droppedCount]).toEqual([[2], 2])
    expect(compaction.compact(two)).toEqual({ bytes: two, droppedCount: 0 })
  })

  it('leaves nothing of a batch whose keys all come again', () => {
    const compaction = new KeyCompaction(0)
    const [one, two] = [batchOf(0, [['a', '1']]), batchOf(1, [['a', '2']])]
    compaction.note(one)
    compaction.note(two)
    expect(compaction.compact(one)).toEqual({ bytes: null, droppedCount: 1 })
  })

  it('keeps a tombstone until it is too old, and tells the time of the oldest that stays', () => {
    const batch = batchOf(0, [
      ['a', null, 100],
      ['b', null, 300],
      ['c', null, 200],
      ['d', '1', 160],
    ])
    const compaction = new KeyCompaction(150)
    compaction.note(batch)
    expect(compaction.oldestTombstoneMs).toBeUndefined()
    expect(offsetsOf(compaction.compact(batch).bytes)).toEqual([1, 2, 3])
    expect(compaction.oldestTombstoneMs).toBe(200)
  })

  it('compares keys as bytes: text and bytes are the same, halves of characters differ', () => {
    const batch = batchOf(0, [
      ['é', '1'],
      [Uint8Array.of(0xc3, 0xa9), '2'],
      [Uint8Array.of(0xc3), '3'],
      [Uint8Array.of(0xe9), '4'],
    ])
    const compaction = new KeyCompaction(0)
    compaction.note(batch)
    expect(offsetsOf(compaction.compact(batch).bytes)).toEqual([1, 2, 3])
  })

  it('drops records without a key, which nothing can ever replace', () => {
    const batch = batchOf(0, [
      [null, '1'],
      ['a', '1'],
    ])
    const compaction = new KeyCompaction(0)
    compaction.note(batch)
    expect(offsetsOf(compaction.compact(batch).bytes)).toEqual([1])
  })

  it('says so when a batch is damaged', () => {
    const batch = batchOf(0, [['a', '1']])
    batch[batch.length - 1] = 0xff
    const compaction = new KeyCompaction(0)
    expect(() => compaction.note(batch)).toThrow(RecordBatchDamagedError)
    expect(() => compaction.compact(batch)).toThrow(RecordBatchDamagedError)
  })

  it('leaves exactly the last value of each key, whatever was written in whatever batches and noted in how many rounds', () => {
    const entry = fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2', null))
    const batches = fc.array(fc.array(entry, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(
        batches,
        fc.constantFrom<Compression>('none', 'gzip'),
        fc.nat({ max: 6 }),
        (all, compression, split) => {
          let offset = 0
          let log: (Uint8Array | null)[] = []
          const last = new Map<string, readonly [number, string | null]>()
          for (const entries of all) {
            log.push(batchOf(offset, entries, compression))
            for (const [key, value] of entries) last.set(key, [offset++, value])
          }
          for (const [from, to] of [
            [0, split],
            [split, log.length],
          ] as const) {
            const compaction = new KeyCompaction(1)
            for (const batch of log.slice(from, to)) if (batch !== null) compaction.note(batch)
            log = log.map((batch, i) => (batch === null || i >= to ? batch : compaction.compact(batch).bytes))
          }
          const expected = [...last.values()].filter(([, value]) => value !== null).map(([at]) => at)
          expect(log.flatMap(offsetsOf)).toEqual(expected.toSorted((a, b) => a - b))
        },
      ),
    )
  })
})
