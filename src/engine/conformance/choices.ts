import { type Random, SeededRandom, systemRandom } from '../../kernel/index.ts'
import type { ConformanceCase } from './conformance-case.ts'
import type { Fixture } from './fixture.ts'

/** What a case chooses at random. The same seed chooses the same; how calls fall in time is the engine's own. */
export class Choices {
  readonly seed: number
  readonly #random: Random

  constructor(seed: number) {
    this.seed = seed
    this.#random = new SeededRandom(seed)
  }

  /** A whole number; both bounds are possible. */
  between(min: number, max: number): number {
    return min + Math.floor(this.#random.nextFloat() * (max - min + 1))
  }

  chance(probability: number): boolean {
    return this.#random.nextFloat() < probability
  }

  either<T>(list: readonly T[]): T {
    return list[this.between(0, list.length - 1)] as T
  }

  /** `min` to `max` different elements, in any order. */
  some<T>(list: readonly T[], min: number, max: number): T[] {
    const left = [...list]
    const count = Math.min(left.length, this.between(min, max))
    return Array.from({ length: count }, () => left.splice(this.between(0, left.length - 1), 1)[0] as T)
  }

  /** Choices of their own for somebody who works beside others: what he chooses does not hang on when they do. */
  fork(): Choices {
    return new Choices(this.#random.nextUint32())
  }
}

/**
 * A case that chooses at random. When it fails, its error names the seed; a ground with that `seed` makes the same
 * choices again.
 */
export function choosing(
  one: Omit<ConformanceCase, 'run'> & { run(f: Fixture, choices: Choices): Promise<void> },
): ConformanceCase {
  return {
    ...one,
    run: async (f) => {
      const seed = f.seed ?? systemRandom.nextUint32()
      try {
        await one.run(f, new Choices(seed))
      } catch (error) {
        throw new Error(`with seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        })
      }
    },
  }
}

/**
 * Runs readers beside writers. `stop` tells the readers that there is nothing more to come; they are waited for whatever
 * the writers meet, and what the writers meet goes before what the readers found.
 */
export async function beside<T>(reading: Promise<T>, writing: () => Promise<unknown>, stop: () => void): Promise<T> {
  const read = Promise.allSettled([reading])
  try {
    await writing()
  } finally {
    stop()
    await read
  }
  return reading
}
