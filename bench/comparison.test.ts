import { describe, expect, it } from 'vitest'
import { comparisonOf, type Entry } from './comparison.ts'
import { isMet } from './row.ts'

const entries = (values: readonly [number, number, number, number]): readonly Entry[] => [
  { name: 'Millrace', part: 'own', value: values[0] },
  { name: 'slow', part: 'rival', value: values[1] },
  { name: 'quick', part: 'rival', value: values[2], notes: ['a note'] },
  { name: 'careless', part: 'weaker', value: values[3] },
]

describe('a comparison', () => {
  it('asks Millrace to be no slower than the best that is as durable', () => {
    const [first, slow, quick, careless] = comparisonOf(
      { what: 'publish', unit: 'events/s', better: 'more' },
      entries([20, 5, 20, 90]),
    )
    expect(first).toMatchObject({ what: 'publish: Millrace', limit: { what: 'quick, the best as durable', value: 20 } })
    expect(first && isMet(first)).toBe(true)
    expect(slow).toEqual({ what: 'publish: slow', value: 5, unit: 'events/s', limit: { what: 'Millrace', value: 20 } })
    expect(quick?.notes).toEqual(['a note'])
    expect(careless?.notes).toEqual(['a power cut may take what it acknowledged'])
  })

  it('asks it to need no more than the best, where less is better', () => {
    const less = { what: 'memory', unit: 'MiB', better: 'less' } as const
    const [least] = comparisonOf(less, entries([5, 5, 20, 1]))
    expect(least).toMatchObject({ limit: { what: 'slow, the best as durable', value: 5 } })
    expect(least && isMet(least)).toBe(true)
    const [more] = comparisonOf(less, entries([5.1, 5, 20, 1]))
    expect(more && isMet(more)).toBe(false)
  })

  it('is none without a rival that is as durable', () => {
    const alone = entries([1, 1, 1, 1]).filter(({ part }) => part !== 'rival')
    expect(() => comparisonOf({ what: 'publish', unit: 'events/s', better: 'more' }, alone)).toThrow('nobody')
  })
})
