import { type Random, SeededRandom } from '../src/kernel/index.ts'

/** Decisions drawn from a seed. Parts of a run draw from forks, so that one more draw in one part shifts no other. */
export class Draw {
  readonly random: Random

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
  }

  /** A stream of decisions of its own. */
  fork(): Draw {
    return new Draw(this.random.nextUint32() * 2 ** 20 + (this.random.nextUint32() >>> 12))
  }

  chance(probability: number): boolean {
    return this.random.nextFloat() < probability
  }

  /** A whole number, both ends included. */
  int(min: number, max: number): number {
    return min + Math.floor(this.random.nextFloat() * (max - min + 1))
  }

  /** A number from `min` up to `max`; small ones are far more frequent, as with the times that machines take. */
  skewed(min: number, max: number): number {
    return min * (max / min) ** (this.random.nextFloat() ** 2)
  }

  pick<T>(list: readonly [T, ...T[]] | readonly T[]): T {
    return list[this.int(0, list.length - 1)] as T
  }
}
