/** Reads in one turn of the event loop before others get their turn. */
const readsPerTurn = 256

/** Lets others have their turn between reads that are answered at once. */
export class ReadPace {
  #readsInTurn = 0

  /**
   * Counts a read, and makes it wait for the next turn after many in this one: who looks again and again for what a commit
   * will bring must not keep that commit from being made. `weight` 1 is a look at one thing.
   */
  breathe(weight = 1): Promise<void> | undefined {
    if (this.#readsInTurn === 0) {
      setImmediate(() => {
        this.#readsInTurn = 0
      })
    }
    this.#readsInTurn += weight
    return this.#readsInTurn > readsPerTurn ? new Promise((resolve) => setImmediate(resolve)) : undefined
  }
}
