import { randomFillSync } from 'node:crypto'

/** Where all randomness comes from, so that a simulation can be repeated from its seed. */
export interface Random {
  /** A number from 0 (included) to 1 (excluded), with 53 random bits. */
  nextFloat(): number
  /** A whole number from 0 to 2³² − 1. */
  nextUint32(): number
  /** Fills all of `target` with random bytes. */
  fillBytes(target: Uint8Array): void
}

const wordCount = 2048
const pool = new Uint32Array(wordCount)
let nextWord = wordCount

/** A call into the generator of the operating system costs about a microsecond: 2048 words share one. */
function systemUint32(): number {
  if (nextWord === wordCount) {
    randomFillSync(pool)
    nextWord = 0
  }
  const word = pool[nextWord] as number
  // A word that was handed out does not stay in memory.
  pool[nextWord++] = 0
  return word
}

/** Cryptographically strong randomness of the operating system, drawn in pools. */
export const systemRandom: Random = Object.freeze({
  nextFloat: () => float53(systemUint32(), systemUint32()),
  nextUint32: systemUint32,
  fillBytes: (target: Uint8Array) => {
    randomFillSync(target)
  },
})

/**
 * Randomness that repeats itself for the same seed: for tests, simulations and benches. Never for secrets.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, of which 32 are a counter, so no seed
 * leads into a short cycle.
 */
export class SeededRandom implements Random {
  readonly seed: number
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number) {
    this.seed = seed
    this.#a = 0
    this.#b = seed | 0
    this.#c = Math.floor(seed / 2 ** 32) | 0
    // The first outputs of similar seeds are similar: they are thrown away.
    for (let round = 0; round < 12; round++) this.nextUint32()
  }

  nextUint32(): number {
    const result = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0
    return result >>> 0
  }

  nextFloat(): number {
    return float53(this.nextUint32(), this.nextUint32())
  }

  fillBytes(target: Uint8Array): void {
    for (let index = 0; index < target.length; index += 4) {
      let word = this.nextUint32()
      for (let byte = index; byte < index + 4 && byte < target.length; byte++) {
        target[byte] = word & 0xff
        word >>>= 8
      }
    }
  }
}

function float53(high: number, low: number): number {
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53
}
