import type { ByteBudget } from '../kernel/index.ts'

/** Somebody who waits to be let in, after those who came before. */
interface Entrant {
  /** What it takes from the budget to be let in. */
  readonly bytes: number
  enter(): void
  refuse(error: Error): void
}

/**
 * Back-pressure: calls that found a budget spent, in their order. Nobody overtakes, and who is aborted leaves at once.
 *
 * It lets in within the turn in which bytes come back, so that nobody who calls later can slip in between.
 */
export class WaitingLine {
  readonly #budget: ByteBudget
  /** A set keeps the order and lets anybody leave without a search. */
  readonly #entrants = new Set<Entrant>()

  constructor(budget: ByteBudget) {
    this.#budget = budget
  }

  get isEmpty(): boolean {
    return this.#entrants.size === 0
  }

  /** Calls `enter` once `bytes` are taken from the budget, or `reject` when the signal aborts or everybody is refused. */
  join(bytes: number, signal: AbortSignal | undefined, enter: () => void, reject: (error: Error) => void): void {
    const abort = (): void => {
      this.#entrants.delete(entrant)
      reject(signal?.reason as Error)
      this.admit()
    }
    const entrant: Entrant = {
      bytes,
      enter: () => {
        signal?.removeEventListener('abort', abort)
        try {
          enter()
        } catch (error) {
          reject(error as Error)
        }
      },
      refuse: (error) => {
        signal?.removeEventListener('abort', abort)
        reject(error)
      },
    }
    signal?.addEventListener('abort', abort, { once: true })
    this.#entrants.add(entrant)
  }

  /** Resolves when everybody who waits now has been let in or turned away. */
  async passed(): Promise<void> {
    if (this.isEmpty) return
    await new Promise<void>((resolve) => {
      this.#entrants.add({ bytes: 0, enter: resolve, refuse: () => resolve() })
    })
  }

  /** Lets in those for whom there is room. */
  admit(): void {
    for (const entrant of this.#entrants) {
      if (entrant.bytes > 0 && !this.#budget.tryAcquire(entrant.bytes)) return
      this.#entrants.delete(entrant)
      entrant.enter()
    }
  }

  /** Turns everybody away. */
  refuse(error: Error): void {
    const entrants = [...this.#entrants]
    this.#entrants.clear()
    for (const entrant of entrants) entrant.refuse(error)
  }
}
