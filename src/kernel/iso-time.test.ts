import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isoTime, parseIsoTime } from './iso-time.ts'

describe('isoTime', () => {
  it('is read back as it was written', () => {
    fc.assert(
      fc.property(fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 }), (timeMs) => {
        expect(parseIsoTime(isoTime(timeMs))).toBe(timeMs)
      }),
    )
    expect(isoTime(0)).toBe('1970-01-01T00:00:00.000Z')
  })
})

describe('parseIsoTime', () => {
  it.each([
    ['2018-04-05T17:31:00Z', 1_522_949_460_000],
    ['2018-04-05T17:31:00.123456789Z', 1_522_949_460_123],
    ['2018-04-05t19:31:00+02:00', 1_522_949_460_000],
    ['2016-12-31T23:59:60Z', 1_483_228_799_000],
    ['2024-02-29T00:00:00Z', 1_709_164_800_000],
  ])('reads %s', (text, timeMs) => {
    expect(parseIsoTime(text)).toBe(timeMs)
  })

  it.each([
    '',
    '2018-04-05',
    '2018-04-05 17:31:00Z',
    '2018-04-05T17:31:00',
    '2023-02-29T00:00:00Z',
    '2023-13-01T00:00:00Z',
  ])('refuses %s', (text) => {
    expect(parseIsoTime(text)).toBeUndefined()
  })
})
