import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OffsetSet, type StateWrite } from '../engine/index.ts'
import { CommitBatch } from './commit-batch.ts'
import type { PartitionReader } from './partition-reader.ts'
import type { CachedState } from './state-cache.ts'
import { nobody } from './task.ts'

function entryOf(key: string, revision: number): CachedState {
  return { key, value: revision === 0 ? undefined : 'old', revision, pendingCount: 0, openWrite: undefined, used: true }
}

const claim = { group: 'g', topic: 't', partition: 0, epoch: 1 }

function readerOf(): PartitionReader {
  const reader = { claim, committed: new OffsetSet({ next: 0, done: [] }), openBatch: undefined, openRanges: [] }
  return reader as unknown as PartitionReader
}

describe('a commit batch', () => {
  it('writes each key once: the last value, expecting the first revision', () => {
    const batch = new CommitBatch(1)
    const entry = entryOf('k', 4)
    batch.addState('n', entry, { kind: 'set', value: 1 }, claim)
    batch.addState('n', entry, { kind: 'remove' }, claim)
    batch.addState('n', entry, { kind: 'set', value: 2 }, claim)
    expect(entry).toMatchObject({ value: 2, revision: 5, pendingCount: 1 })
    expect(batch.seal().state).toEqual([
      { kind: 'set', namespace: 'n', key: 'k', value: 2, expectedRevision: 4, owner: claim },
    ])
    const next = new CommitBatch(2)
    next.addState('n', entry, { kind: 'remove' }, claim)
    expect(entry).toMatchObject({ value: undefined, revision: 0, pendingCount: 2 })
    expect(next.seal().state).toEqual([
      { kind: 'delete', namespace: 'n', key: 'k', value: undefined, expectedRevision: 5, owner: claim },
    ])
    batch.committed()
    next.committed()
    expect(entry.pendingCount).toBe(0)
  })

  it('agrees with a store that applies every change, whatever the changes and the commits between them', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('set', 'remove', 'commit')), fc.boolean(), (steps, exists) => {
        let stored = exists ? { value: 'old' as unknown, revision: 3 } : undefined
        const entry = entryOf('k', exists ? 3 : 0)
        let batch = new CommitBatch(1)
        const commit = (): void => {
          for (const write of batch.seal().state ?? []) {
            const expected = (write as StateWrite & { expectedRevision: number }).expectedRevision
            expect(expected).toBe(stored?.revision ?? 0)
            stored = write.kind === 'set' ? { value: write.value, revision: expected + 1 } : undefined
          }
          batch.committed()
          batch = new CommitBatch(2)
        }
        for (const [index, step] of [...steps, 'commit'].entries()) {
          if (step === 'commit') commit()
          else batch.addState('n', entry, step === 'set' ? { kind: 'set', value: index } : { kind: 'remove' }, claim)
        }
        expect(entry).toMatchObject({ value: stored?.value, revision: stored?.revision ?? 0, pendingCount: 0 })
      }),
    )
  })

  it('joins offsets into ranges, in whatever order they are done', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(Array.from({ length: 30 }, (_, offset) => offset)), (offsets) => {
        const reader = readerOf()
        const batch = new CommitBatch(1)
        for (const offset of offsets) batch.addProgress(reader, offset, offset + 1)
        const ranges = batch.seal().progress?.[0]?.done ?? []
        const covered = ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, index) => from + index))
        expect(covered).toEqual(offsets.toSorted((a, b) => a - b))
        for (let index = 1; index < ranges.length; index++) {
          expect(ranges[index]?.from).toBeGreaterThan(ranges[index - 1]?.to ?? 0)
        }
        batch.committed()
        for (const offset of offsets) expect(reader.committed.has(offset)).toBe(true)
      }),
    )
  })

  it('gathers messages by topic and partition in their order', () => {
    const batch = new CommitBatch(1)
    const [a, b, c] = ['a', 'b', 'c'].map((id) => ({ ...nobody, id })) as [typeof nobody, typeof nobody, typeof nobody]
    batch.addPublish({ topic: 'x', partition: undefined, messages: [a] })
    batch.addPublish({ topic: 'y', partition: 2, messages: [b] })
    batch.addPublish({ topic: 'x', partition: undefined, messages: [c] })
    expect(batch.seal().publish).toEqual([
      { topic: 'x', messages: [a, c] },
      { topic: 'y', partition: 2, messages: [b] },
    ])
    expect(batch.publishedCount).toBe(3)
  })
})
