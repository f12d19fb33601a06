import { describe, expect, it } from 'vitest'
import { type Duration, durationMs } from './duration.ts'

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
