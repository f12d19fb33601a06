import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OffsetSet } from './offset-set.ts'

describe('a set of offsets', () => {
  const range = fc.tuple(fc.nat({ max: 40 }), fc.nat({ max: 8 })).map(([from, length]) => ({ from, to: from + length }))

  it('holds what was added and nothing else, as few ranges as there can be', () => {
    fc.assert(
      fc.property(fc.nat({ max: 20 }), fc.array(range, { maxLength: 30 }), (start, ranges) => {
        const set = new OffsetSet({ next: start, done: [] })
        const model = new Set(Array.from({ length: start }, (_, i) => i))
        for (const { from, to } of ranges) {
          set.add(from, to)
          for (let offset = from; offset < to; offset++) model.add(offset)
          let next = 0
          while (model.has(next)) next++
          expect(set.next).toBe(next)
          expect(set.end).toBe(Math.max(next, ...[...model].map((offset) => offset + 1)))
          for (let offset = 0; offset < 60; offset++) expect(set.has(offset), `${offset}`).toBe(model.has(offset))
          let before = set.next
          for (const one of set.ranges) {
            expect(one.from).toBeGreaterThan(before)
            expect(one.to).toBeGreaterThan(one.from)
            before = one.to
          }
        }
        const copy = new OffsetSet(set.snapshot())
        expect(copy.snapshot()).toEqual(set.snapshot())
      }),
      { numRuns: 300 },
    )
  })

  it('is not reached through its snapshot, nor through what it was made of', () => {
    const progress = { next: 1, done: [{ from: 3, to: 4 }] }
    const set = new OffsetSet(progress)
    const snapshot = set.snapshot()
    set.add(4, 6)
    expect(snapshot).toEqual({ next: 1, done: [{ from: 3, to: 4 }] })
    expect(progress.done).toEqual([{ from: 3, to: 4 }])
  })

  it('takes offsets up to the largest there are', () => {
    const set = new OffsetSet({ next: Number.MAX_SAFE_INTEGER - 2, done: [] })
    set.add(Number.MAX_SAFE_INTEGER - 2, Number.MAX_SAFE_INTEGER)
    expect(set.next).toBe(Number.MAX_SAFE_INTEGER)
  })
})
