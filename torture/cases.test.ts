import { describe, expect, it } from 'vitest'
import { runCases } from './cases.ts'
import type { Failure } from './kind.ts'

const endless = { casesMax: 5, stopsAtFirst: false, endMs: Number.POSITIVE_INFINITY }

describe('cases that are run beside each other', () => {
  it('are as many as there are to be', async () => {
    const begun: number[] = []
    const count = await runCases(
      { budget: endless, failures: [], atOnce: 2 },
      async (number) => void begun.push(number),
    )
    expect([count, begun]).toEqual([5, [0, 1, 2, 3, 4]])
  })

  it('are no more than exist', async () => {
    expect(await runCases({ budget: endless, failures: [], atOnce: 2, count: 3 }, async () => undefined)).toBe(3)
  })

  it('go on where one throws, which has failed', async () => {
    const failures: Failure[] = []
    const done: number[] = []
    const count = await runCases({ budget: endless, failures, atOnce: 2 }, async (number) => {
      await new Promise((resolve) => setImmediate(resolve))
      if (number === 1) throw new RangeError('beyond the end')
      done.push(number)
    })
    expect([count, done]).toEqual([5, [0, 2, 3, 4]])
    expect(failures).toMatchObject([{ name: 'case 1', problem: expect.stringContaining('RangeError: beyond the end') }])
  })

  it('are no more after one that failed, where that is wanted', async () => {
    const failures: Failure[] = []
    const budget = { ...endless, stopsAtFirst: true }
    const fail = (): Promise<void> => Promise.reject(new Error('no'))
    expect([await runCases({ budget, failures, atOnce: 1 }, fail), failures.length]).toEqual([1, 1])
  })
})
