import { type Clock, systemClock, type Timer } from '../../src/kernel/index.ts'

/**
 * A wall that moves only when it is told to, and spans as they are: what is kept for a while is kept for so many rounds of a load, however
 * fast it goes.
 */
export class SteppingClock implements Clock {
  #nowMs = systemClock.nowMs()

  nowMs(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return systemClock.monotonicMs()
  }

  setTimer(...timer: Parameters<Clock['setTimer']>): Timer {
    return systemClock.setTimer(...timer)
  }

  step(ms: number): void {
    this.#nowMs += ms
  }
}
