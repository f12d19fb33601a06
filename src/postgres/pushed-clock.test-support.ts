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

  /** Pushes the time forward. What is due then has been called when this resolves, but not what it asked of the server. */
  override async advance(duration: Duration): Promise<void> {
    const endMs = this.monotonicMs() + durationMs(duration)
    this.#pushedMs += durationMs(duration)
    for (;;) {
      const [next] = [...this.#timers].filter(({ dueMs }) => dueMs <= endMs).toSorted((a, b) => a.dueMs - b.dueMs)
      if (next === undefined) break
      this.#aheadMs += Math.max(0, next.dueMs - this.monotonicMs())
      next.fire()
      // What follows from it without the server goes on before the next timer.
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#aheadMs += Math.max(0, endMs - this.monotonicMs())
    await new Promise((resolve) => setImmediate(resolve))
  }
}
