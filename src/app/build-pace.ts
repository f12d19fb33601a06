import { type Clock, sleep } from '../kernel/index.ts'

/** How long work that was not done may be made up for, in milliseconds. */
const catchUpMs = 100

/** Spreads events evenly over time, as the rate says that stands at the moment. */
export class BuildPace {
  readonly #clock: Clock
  readonly #eventsPerSecond: () => number | null
  #nextMs = 0

  constructor(clock: Clock, eventsPerSecond: () => number | null) {
    this.#clock = clock
    this.#eventsPerSecond = eventsPerSecond
  }

  /**
   * Waits until so many events may be taken, or until the signal aborts.
   *
   * @param share Of the rate that is for this process, above 0 to 1.
   */
  async take(eventCount: number, share: number, signal: AbortSignal | undefined): Promise<void> {
    const rate = this.#eventsPerSecond()
    if (rate === null) return
    const nowMs = this.#clock.monotonicMs()
    const startMs = Math.max(this.#nextMs, nowMs - catchUpMs)
    this.#nextMs = startMs + (eventCount * 1000) / (rate * share)
    // A change of the rate ends a long wait early: it waits in pieces.
    for (let leftMs = startMs - nowMs; leftMs > 0; leftMs = startMs - this.#clock.monotonicMs()) {
      if (signal?.aborted === true) return
      if (this.#eventsPerSecond() !== rate) {
        this.#nextMs = 0
        return
      }
      await sleep(Math.min(leftMs, catchUpMs), this.#clock, signal).catch(() => undefined)
    }
  }
}
