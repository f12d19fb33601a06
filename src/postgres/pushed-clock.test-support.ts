import { type Duration, durationMs, systemClock, type Timer, VirtualClock } from '../kernel/index.ts'

interface PushedTimer {
  readonly dueMs: number
  readonly fire: () => void
}

/**
 * A clock for an engine that waits for a server, to which that of a simulator would stand still. Its timers fire by themselves
 * as time goes by, and at once when a push makes them due; the time of day moves with pushes alone, so that what is
 * reckoned from it is exact.
 */
export class PushedClock extends VirtualClock {
  readonly #timers = new Set<PushedTimer>()
  readonly #startMs = systemClock.nowMs()
  /** The time of day. */
  #pushedMs = 0
  /** What timers and durations are ahead of the machine. */
  #aheadMs = 0

  override nowMs(): number {
    return Math.floor(this.#startMs + this.#pushedMs)
  }

  override monotonicMs(): number {
    return systemClock.monotonicMs() + this.#aheadMs
  }

  override setTimer(fn: () => void, delayMs: number): Timer {
    const timer = {
      dueMs: this.monotonicMs() + delayMs,
      fire: (): void => {
        cancel()
        fn()
      },
    }
    const real = systemClock.setTimer(timer.fire, delayMs, { unref: true })
    const cancel = (): void => {
      real.cancel()
      this.#timers.delete(timer)
    }
    this.#timers.add(timer)
    return { cancel }
  }

  /**
   * Pushes the time forward, as where a machine slept: what is due by then is called afterwards, one after the other, and has been called when
   * this resolves, but not what it asked of the server. What meanwhile sets a timer or asks for the time finds all of the push behind it.
   */
  override async advance(duration: Duration): Promise<void> {
    const pushMs = durationMs(duration)
    this.#pushedMs += pushMs
    this.#aheadMs += pushMs
    const endMs = this.monotonicMs()
    for (;;) {
      const [next] = [...this.#timers].filter(({ dueMs }) => dueMs <= endMs).toSorted((a, b) => a.dueMs - b.dueMs)
      if (next === undefined) break
      next.fire()
      // What follows from it without the server goes on before the next timer.
      await new Promise((resolve) => setImmediate(resolve))
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
}
