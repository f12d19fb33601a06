import { describe, expect, it } from 'vitest'
import { type Random, SeededRandom, systemRandom } from './random.ts'

describe.each<[string, Random]>([
  ['SeededRandom', new SeededRandom(42)],
  ['systemRandom', systemRandom],
])('%s', (_name, random) => {
  it('spreads evenly over its ranges', () => {
    const count = 20_000
    const bits = Array.from({ length: 32 }, () => 0)
    let sum = 0
    for (let draw = 0; draw < count; draw++) {
      const word = random.nextUint32()
      for (let bit = 0; bit < 32; bit++) bits[bit] = (bits[bit] as number) + ((word >>> bit) & 1)
      const float = random.nextFloat()
      if (float < 0 || float >= 1) throw new Error(`${float} is out of range`)
      sum += float
    }
    // Six standard deviations of a fair coin: fails by chance about once in 10⁷ runs.
    for (const ones of bits) expect(Math.abs(ones - count / 2)).toBeLessThan(3 * Math.sqrt(count))
    expect(Math.abs(sum / count - 0.5)).toBeLessThan(0.02)
  })

  it('fills all bytes of whatever length', () => {
    for (const length of [0, 1, 3, 4, 7]) {
      const seen = Array.from({ length }, () => false)
      for (let round = 0; round < 50; round++) {
        const bytes = new Uint8Array(length)
        random.fillBytes(bytes)
        for (const [index, byte] of bytes.entries()) seen[index] ||= byte !== 0
      }
      expect(seen).not.toContain(false)
    }
  })
})

describe('SeededRandom', () => {
  it('repeats itself for a seed and differs between seeds, also beyond 32 bits', () => {
    const draw = (seed: number): number[] => {
      const random = new SeededRandom(seed)
      return Array.from({ length: 8 }, () => random.nextUint32())
    }
    expect(draw(7)).toEqual(draw(7))
    expect(new Set([0, 1, 7, 2 ** 32 + 7, -7].map((seed) => draw(seed).join())).size).toBe(5)
  })
})
