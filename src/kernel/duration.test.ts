import { describe, expect, it } from 'vitest'
import { type Duration, durationMs, durationText } from './duration.ts'

describe('durationMs', () => {
  it.each([
    [0, 0],
    [250, 250],
    ['250ms', 250],
    ['15s', 15_000],
    ['1.005s', 1005],
    ['15m', 900_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
  ] as const)('reads %s', (duration, ms) => {
    expect(durationMs(duration)).toBe(ms)
  })

  it.each([
    -1,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    '',
    '15',
    '15 s',
    '-1s',
    '1e3s',
    '0.5ms',
    '15min',
    '9999999999d',
    null,
  ])('refuses %s', (duration) => {
    expect(() => durationMs(duration as Duration)).toThrow(
      expect.objectContaining({ code: 'DURATION_INVALID', remedy: expect.stringContaining("'15m'") }),
    )
  })
})

describe('durationText', () => {
  it('says a duration as it can be given again, in the largest unit that takes it whole', () => {
    const durations = [0, 1, 1500, 30_000, 60_000, 5_400_000, 604_800_000, 31_536_000_000]
    expect(durations.map(durationText)).toEqual(['0ms', '1ms', '1500ms', '30s', '1m', '90m', '7d', '365d'])
    expect(durations.map(durationText).map(durationMs)).toEqual(durations)
  })
})
