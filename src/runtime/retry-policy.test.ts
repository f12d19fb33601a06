import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../kernel/index.ts'
import { byError, exponential, fixed, none, type RetryPolicy } from './index.ts'

const random = new SeededRandom(1)

function delays(policy: RetryPolicy, error: unknown = new Error('no')): number[] {
  const found: number[] = []
  let elapsedMs = 0
  for (let attempt = 1; attempt <= 100; attempt++) {
    const delayMs = policy.delayMs({ error, attempt, elapsedMs }, random)
    if (delayMs === undefined) return found
    found.push(delayMs)
    elapsedMs += delayMs
  }
  return found
}

describe('retry policies', () => {
  it('none gives up at once', () => {
    expect(delays(none)).toEqual([])
  })

  it('fixed waits the same time between attempts', () => {
    expect(delays(fixed({ delay: '2s', max: 4 }))).toEqual([2000, 2000, 2000])
    expect(delays(fixed({ delay: '90s', max: 3 }))).toEqual([90_000, 90_000])
    expect(delays(fixed({}))).toEqual([1000, 1000, 1000, 1000])
  })

  it('exponential waits longer each time, up to a bound', () => {
    const policy = exponential({ initial: 100, factor: 3, max: 6, maxDelay: '1s', jitter: 0 })
    expect(delays(policy)).toEqual([100, 300, 900, 1000, 1000])
    expect(delays(exponential({ jitter: 0 }))).toEqual([100, 200, 400, 800])
  })

  it('gives up when the next attempt would start too late', () => {
    expect(delays(exponential({ initial: 100, max: 50, maxTime: '1s', jitter: 0 }))).toEqual([100, 200, 400])
    expect(delays(fixed({ delay: 400, max: 50, maxTime: '1s' }))).toEqual([400, 400])
  })

  it('leaves a share of each pause to chance', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer(), (jitter, seed) => {
        const policy = exponential({ initial: 1000, factor: 1, max: 2, jitter })
        const failed = { error: null, attempt: 1, elapsedMs: 0 }
        const delayMs = policy.delayMs(failed, new SeededRandom(seed)) ?? -1
        expect(delayMs).toBeGreaterThanOrEqual(Math.floor(1000 * (1 - jitter)))
        expect(delayMs).toBeLessThanOrEqual(1000)
      }),
    )
  })

  it('goes on without pauses as long as it is told to', () => {
    const policy = exponential({ initial: 0, max: 1_000_000 })
    expect(policy.delayMs({ error: null, attempt: 5000, elapsedMs: 0 }, random)).toBe(0)
    expect(delays(fixed())).toHaveLength(4)
  })

  it('names all options that are wrong', () => {
    const wrong = { initial: 'soon', maxDelay: -1, maxTime: 'never', factor: 0, max: 0, jitter: 2 } as never
    const names = ['initial', 'maxDelay', 'maxTime', 'factor', 'max', 'jitter']
    const problems = expect.arrayContaining(names.map((option): unknown => expect.objectContaining({ option })))
    expect(() => exponential(wrong)).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ problems }) }),
    )
    const rules = [{ on: 5, use: none }, { on: TypeError }] as never
    expect(() => byError(rules, 7 as never)).toThrow(/rules\[0\]\.on .*rules\[1\]\.use .*otherwise /)
  })

  it('byError takes the first rule that fits, by class or by code', () => {
    class Busy extends Error {
      readonly code = 'BUSY'
    }
    const policy = byError(
      [
        { on: [TypeError, RangeError], use: none },
        { on: 'BUSY', use: fixed({ delay: 7, max: 3 }) },
      ],
      fixed({ delay: 1, max: 2 }),
    )
    expect(delays(policy, new TypeError('x'))).toEqual([])
    expect(delays(policy, new Busy('x'))).toEqual([7, 7])
    expect(delays(policy, new Error('x'))).toEqual([1])
    expect(delays(policy, null)).toEqual([1])
  })

  it('byError counts the attempts that came to each rule', () => {
    const policy = byError([{ on: TypeError, use: fixed({ delay: 7, max: 100 }) }], fixed({ delay: 1, max: 3 }))
    const errors = [...Array<Error>(8).fill(new TypeError('away')), new Error('a'), new Error('b'), new Error('c')]
    const counts = new Map<string, number>()
    const delay = (error: Error, index: number): number | undefined =>
      policy.delayMs({ error, attempt: index + 1, elapsedMs: 0, counts }, random)
    expect(errors.map(delay)).toEqual([...Array<number>(8).fill(7), 1, 1, undefined])
  })

  it('name all options that are wrong', () => {
    expect(() => exponential({ factor: 0, max: 0, jitter: 2 })).toThrow(/factor .*max .*jitter/)
    expect(() => fixed({ delay: 'soon' as never, max: 0 })).toThrow(/ delay is soon.*; max is 0/)
  })
})
