import { murmur2 as theirMurmur2 } from '@platformatic/kafka'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RecordArgumentInvalidError } from './errors.ts'
import { murmur2, partitionFor } from './murmur2.ts'

describe('murmur2', () => {
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('gives Kafka’s hash of %s', (key, hash) => {
    expect(murmur2(key)).toBe(hash)
    expect(murmur2(Buffer.from(key))).toBe(hash)
    expect(partitionFor(key, 12)).toBe((hash & 0x7fffffff) % 12)
  })

  it('hashes any text as its UTF-8 bytes, as a Kafka client does', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (key) => {
        const bytes = Buffer.from(key, 'utf8')
        expect(murmur2(key)).toBe(murmur2(bytes))
        expect(murmur2(key)).toBe(theirMurmur2(bytes) | 0)
      }),
    )
  })
})

describe('partitionFor', () => {
  it('stays within the partitions', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 1000 }), (key, partitionCount) => {
        const partition = partitionFor(key, partitionCount)
        expect(partition).toBeGreaterThanOrEqual(0)
        expect(partition).toBeLessThan(partitionCount)
      }),
    )
  })

  it.each([0, -1, 1.5, Number.NaN])('refuses %d partitions', (partitionCount) => {
    expect(() => partitionFor('key', partitionCount)).toThrow(RecordArgumentInvalidError)
  })
})
