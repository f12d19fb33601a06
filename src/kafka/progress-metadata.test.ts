import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OffsetSet } from '../engine/index.ts'
import { decodeDone, encodeDone } from './progress-metadata.ts'

const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 2 ** 40 }), fc.integer({ min: 1, max: 2 ** 33 })), {
  maxLength: 300,
})

describe('progress in the metadata of an offset commit', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 44 }), steps, (next, gaps) => {
        const set = new OffsetSet({ next, done: [] })
        let at = next
        for (const [gap, length] of gaps) {
          set.add(at + gap, at + gap + length)
          at += gap + length
        }
        expect(decodeDone(next, encodeDone(next, set.ranges))).toEqual(set.snapshot())
      }),
    )
  })

  it('is empty where there is no gap', () => {
    expect(encodeDone(7, [])).toBe('')
    expect(decodeDone(7, '')).toEqual({ next: 7, done: [] })
    expect(decodeDone(7, null)).toEqual({ next: 7, done: [] })
  })

  it('has the form that the documentation gives', () => {
    const done = [
      { from: 12, to: 14 },
      { from: 314, to: 315 },
    ]
    // 2 and 2 behind offset 10; 300 (two bytes) and 1.
    expect(encodeDone(10, done)).toBe(`mr1:${Buffer.from([2, 2, 0xac, 2, 1]).toString('base64')}`)
  })

  it('holds a thousand gaps of every second message within the bound of a broker', () => {
    const done = Array.from({ length: 1000 }, (_, n) => ({ from: 2 * n + 1, to: 2 * n + 2 }))
    const text = encodeDone(0, done)
    expect(text.length).toBeLessThan(4096)
    expect(decodeDone(0, text).done).toEqual(done)
  })

  it.each(['hello', 'mr1:', 'mr1:gA==', 'mr1:AAE=', 'mr1:AQA=', 'mr1z:////', 'mr2:AgI='])(
    'says nothing when it is the text of somebody else, or damaged: %s',
    (metadata) => {
      expect(decodeDone(5, metadata)).toEqual({ next: 5, done: [] })
    },
  )

  it('never throws and never tells ranges out of order, whatever the text', () => {
    fc.assert(
      fc.property(fc.constantFrom('mr1:', 'mr1z:', ''), fc.uint8Array({ maxLength: 60 }), (prefix, bytes) => {
        const { done } = decodeDone(3, prefix + Buffer.from(bytes).toString('base64'))
        let at = 3
        for (const { from, to } of done) {
          expect(from).toBeGreaterThan(at)
          expect(to).toBeGreaterThan(from)
          at = to
        }
      }),
    )
  })
})
