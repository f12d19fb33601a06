/** A stretch of time between two rewinds: what began in one is of no interest in the next. */
export class Epoch {
  #current = 0
  #end = new AbortController()

  /** Number of the epoch at hand. */
  get current(): number {
    return this.#current
  }

  /** Aborts at the end of the epoch at hand. */
  get signal(): AbortSignal {
    return this.#end.signal
  }

  /** Begins the next one. */
  end(): void {
    this.#current++
    this.#end.abort()
    this.#end = new AbortController()
  }
}
