import { type Clock, systemClock, type Timer } from '../../src/kernel/index.ts'

/** The machine's clock, whose wall can be set: only what the wall says jumps; what measures spans does not. */
export class JumpingClock implements Clock {
  #aheadMs = 0
  #beforeJumpMs = Number.NEGATIVE_INFINITY

  nowMs(): number {
    return systemClock.nowMs() + this.#aheadMs
  }

  monotonicMs(): number {
    return systemClock.monotonicMs()
  }

  setTimer(...timer: Parameters<Clock['setTimer']>): Timer {
    return systemClock.setTimer(...timer)
  }

  /** Sets the wall so far ahead of the machine's, in milliseconds; negative: behind it. */
  jumpTo(aheadMs: number): void {
    this.#beforeJumpMs = this.nowMs()
    this.#aheadMs = aheadMs
  }

  /**
   * The latest time that the wall has said since the jump before the last one: what was found due before a jump may still be under way
   * after it.
   */
  get latestMs(): number {
    return Math.max(this.nowMs(), this.#beforeJumpMs)
  }
}
