import type { Random } from '../kernel/index.ts'

const delayMsLeast = 25
const delayMsMost = 2_000

/** How long to wait before the next try: twice as long each time up to 2 s, and by chance up to a half less. */
export class Backoff {
  readonly #random: Random
  #tries = 0

  constructor(random: Random) {
    this.#random = random
  }

  nextDelayMs(): number {
    const delayMs = Math.min(delayMsLeast * 2 ** this.#tries, delayMsMost)
    this.#tries++
    return delayMs * (0.5 + this.#random.nextFloat() / 2)
  }
}
