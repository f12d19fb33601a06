import { describe, expect, it } from 'vitest'
import { inputLines, lineText } from './input-lines.ts'
import { byteCount, duration } from './option-values.ts'
import { parsePosition, startOf } from './positions.ts'
import { clipped, columnsOf, shown, shownAge, shownBytes, shownTime } from './text.ts'

describe('text', () => {
  it('shows nothing that moves a cursor or turns the direction of writing', () => {
    expect(shown('a\u001b[31mb\r\n\tc\u0007\u009b\u202ed\u2028')).toBe(
      'a\\u001b[31mb\\u000d\\n\\tc\\u0007\\u009b\\u202ed\\u2028',
    )
    expect(shown('\ud800x')).toBe('\ufffdx')
    expect(shown('Zürich 東京 👍')).toBe('Zürich 東京 👍')
  })

  it('counts columns', () => {
    expect(['abc', '東京', 'e\u0301', '👍', '\u001b[1mab\u001b[0m'].map(columnsOf)).toEqual([3, 4, 1, 2, 2])
    expect([clipped('abcdef', 4), clipped('👍👍', 2), clipped('', 3)]).toEqual(['abc…', '👍👍', ''])
  })

  it('writes bytes, ages and times', () => {
    expect([0, 1023, 1024, 1_572_864, 2 ** 50].map(shownBytes)).toEqual([
      '0 B',
      '1023 B',
      '1.0 KiB',
      '1.5 MiB',
      '1024.0 TiB',
    ])
    expect([0, 0.25, 59.6, 60, 3661, 90_000, 86_400].map(shownAge)).toEqual([
      '0s',
      '0.3s',
      '60s',
      '1m',
      '1h 1m',
      '1d 1h',
      '1d',
    ])
    expect([shownTime(0), shownTime(1e17)]).toEqual(['1970-01-01T00:00:00.000Z', '100000000000000000'])
  })
})

describe('option values', () => {
  it('read what is written', () => {
    expect(['250ms', '15m', '1500'].map(duration)).toEqual([250, 900_000, 1500])
    expect(['1', '1KiB', '64 MiB'].map(byteCount)).toEqual([1, 1024, 64 * 2 ** 20])
    for (const text of ['', '-1', '1.5', '1MB', '9999999TiB']) expect(() => byteCount(text)).toThrow('Give bytes')
  })

  it('read positions', () => {
    expect(['earliest', 'latest', '0', '@2026-01-31', '@1767225600000', '@-1.5h'].map(parsePosition)).toEqual([
      'earliest',
      'latest',
      { offset: 0 },
      { timeMs: Date.parse('2026-01-31T00:00:00Z') },
      { timeMs: 1_767_225_600_000 },
      { agoMs: 5_400_000 },
    ])
    expect(startOf({ agoMs: 1000 }, 5000)).toEqual({ timestampMs: 4000 })
    expect(startOf({ agoMs: 9000 }, 5000)).toEqual({ timestampMs: 0 })
    for (const text of ['', '-1', '@', '@-', '@now', '1.5', '@2026-13-01', '@-1w']) {
      expect(() => parsePosition(text)).toThrow("Give 'earliest', 'latest'")
    }
  })
})

describe('input lines', () => {
  const lines = async (chunks: readonly (string | Uint8Array)[], bytesMax?: number): Promise<unknown[]> => {
    const found: unknown[] = []
    const input = (async function* () {
      yield* chunks
    })()
    for await (const line of inputLines(input, bytesMax)) {
      found.push('tooLong' in line ? line : [line.number, lineText(line.bytes)])
    }
    return found
  }

  it('split at line feeds, wherever the chunks end', async () => {
    expect(await lines(['a\r\nb', '', 'c\n\nü'.slice(0, 3), 'ü'])).toEqual([
      [1, 'a'],
      [2, 'bc'],
      [3, ''],
      [4, 'ü'],
    ])
    const bytes = Buffer.from('ü\n東\n')
    expect(await lines([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual([
      [1, 'ü'],
      [2, '東'],
    ])
    expect(await lines([])).toEqual([])
    expect(await lines([Uint8Array.of(0xff), '\nok'])).toEqual([
      [1, undefined],
      [2, 'ok'],
    ])
  })

  it('do not grow without bound', async () => {
    expect(await lines(['12345\n1234', '56\n1'], 5)).toEqual([[1, '12345'], { number: 2, tooLong: true }])
  })
})
