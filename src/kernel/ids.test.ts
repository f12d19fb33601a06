import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VirtualClock } from './clock.ts'
import { formatUuidv7, isUuid, uuidTimeText, uuidv7 } from './ids.ts'
import { SeededRandom } from './random.ts'

describe('uuidv7', () => {
  it('has the layout of RFC 9562: time, version 7, variant 10', () => {
    const next = uuidv7(new VirtualClock(0x0192_3456_789a), new SeededRandom(1))
    expect(next()).toMatch(/^01923456-789a-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  it('ascends strictly whatever the clock does, and keeps its time near it', () => {
    const jumps = fc.array(fc.integer({ min: -5000, max: 5000 }), { minLength: 1, maxLength: 50 })
    fc.assert(
      fc.property(jumps, fc.integer(), (steps, seed) => {
        let nowMs = 1_700_000_000_000
        let highestMs = 0
        let last = ''
        const next = uuidv7({ nowMs: () => nowMs }, new SeededRandom(seed))
        for (const step of steps) {
          nowMs += step
          highestMs = Math.max(highestMs, nowMs)
          for (let n = 0; n < 3; n++) {
            const id = next()
            expect(id > last).toBe(true)
            expect(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toBe(highestMs)
            last = id
          }
        }
      }),
    )
  })

  it('moves its time ahead when the counter runs over within one millisecond', () => {
    // The random start is at most 25 bits of ones: the rest of the counter has to be drawn to reach its end.
    const draws = [2 ** 32 - 1]
    const next = uuidv7({ nowMs: () => 1000 }, { nextUint32: () => draws.pop() ?? 0 })
    for (let n = 0; n < 2 ** 25; n++) next()
    expect(next()).toBe('00000000-03e8-7fff-bfff-000000000000')
    expect(next()).toBe('00000000-03e9-7000-8000-000000000000')
    expect(next()).toBe('00000000-03e9-7000-8001-000000000000')
  }, 60_000)

  it('crosses each border between the groups of its counter', () => {
    const next = uuidv7({ nowMs: () => 5 }, { nextUint32: () => 0 })
    const ids = Array.from({ length: 2 ** 14 + 2 }, next)
    expect(ids[0]).toBe('00000000-0005-7000-8000-000000000000')
    expect(ids[2 ** 14 - 1]).toBe('00000000-0005-7000-bfff-000000000000')
    expect(ids[2 ** 14]).toBe('00000000-0005-7001-8000-000000000000')
  })
})

describe('formatUuidv7', () => {
  it('uses 74 bits and no more', () => {
    const time = uuidTimeText(2 ** 48 - 1)
    expect(formatUuidv7(time, 0xffffffff, 0xffffffff, 0xffffffff)).toBe('ffffffff-ffff-7fff-bfff-ffffffffffff')
    expect(formatUuidv7(uuidTimeText(0), 0xfc000000, 0, 0x0000ffff)).toBe('00000000-0000-7000-8000-000000000000')
  })
})

describe('isUuid', () => {
  it.each([
    ['0192f3c8-6e5a-7cc3-98c4-dc0c0c07398f', true],
    ['0192F3C8-6E5A-4CC3-98C4-DC0C0C07398F', true],
    ['0192f3c86e5a7cc398c4dc0c0c07398f', false],
    ['0192f3c8-6e5a-7cc3-98c4-dc0c0c07398', false],
    ['0192f3c8-6e5a-7cc3-98c4-dc0c0c07398g', false],
    ['', false],
  ])('%s: %s', (text, expected) => {
    expect(isUuid(text)).toBe(expected)
  })
})
