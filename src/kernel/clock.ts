import { type Duration, durationMs } from './duration.ts'

/** A pending call that can still be called off. */
export interface Timer {
  /** Calls it off. Does nothing once the timer has fired or was cancelled. */
  cancel(): void
}

/** How a timer behaves. */
export interface TimerOptions {
  /** `true` lets the process exit while this timer still waits. Default `false`. */
  readonly unref?: boolean
}

/**
 * Where all time comes from, so that tests and the simulator can hold it in their hands.
 *
 * The wall clock may jump in both directions; timers and {@link Clock.monotonicMs} never do.
 */
export interface Clock {
  /** Wall clock: whole milliseconds since 1970-01-01T00:00:00Z. */
  nowMs(): number
  /** Milliseconds, with fractions, since an arbitrary start. Never goes backwards: measure durations with it. */
  monotonicMs(): number
  /** Calls `fn` once, not before `delayMs` milliseconds have passed. Any delay is allowed, also beyond 24.8 days. */
  setTimer(fn: () => void, delayMs: number, options?: TimerOptions): Timer
}

/** Node's `setTimeout` keeps its delay in 32 bits and fires at once beyond. */
const nodeDelayMsMax = 2 ** 31 - 1

class SystemTimer implements Timer {
  #handle: NodeJS.Timeout | undefined
  readonly #fn: () => void
  readonly #unref: boolean

  constructor(fn: () => void, delayMs: number, unref: boolean) {
    this.#fn = fn
    this.#unref = unref
    this.#arm(Math.max(0, delayMs))
  }

  cancel(): void {
    clearTimeout(this.#handle)
    this.#handle = undefined
  }

  #arm(delayMs: number): void {
    const step = Math.min(delayMs, nodeDelayMsMax)
    this.#handle = setTimeout(() => {
      if (delayMs > step) this.#arm(delayMs - step)
      else this.#fn()
    }, step)
    if (this.#unref) this.#handle.unref()
  }
}

/** The machine's own clock: the only place in Millrace that reads it. */
export const systemClock: Clock = Object.freeze({
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer: (fn: () => void, delayMs: number, options?: TimerOptions) =>
    new SystemTimer(fn, delayMs, options?.unref === true),
})

interface VirtualTimer extends Timer {
  readonly dueMs: number
  readonly sequence: number
  readonly fn: () => void
}

/** `2026-01-01T00:00:00Z`: a start that is easy to recognise in output. */
const virtualStartMs = 1_767_225_600_000

/**
 * A clock that stands still until it is told to move: for tests and for the simulator.
 *
 * Timers fire in the order of their due time, those of the same time in the order in which they were set. After each
 * timer all promise callbacks run to their end, so what they set or publish happens at that virtual instant.
 *
 * @example
 * ```ts
 * const clock = new VirtualClock()
 * clock.setTimer(() => remind(), 900_000)
 * await clock.advance('15m') // remind() has run, and everything that it awaited in memory
 * ```
 */
export class VirtualClock implements Clock {
  /** Sorted by due time, then by age. */
  readonly #timers: VirtualTimer[] = []
  #wallOffsetMs: number
  #elapsedMs = 0
  #sequence = 0

  constructor(startMs: number = virtualStartMs) {
    this.#wallOffsetMs = startMs
  }

  /** How many timers wait. */
  get pendingTimerCount(): number {
    return this.#timers.length
  }

  /** Milliseconds until the next timer fires; `undefined`: none waits. */
  get nextTimerMs(): number | undefined {
    const next = this.#timers[0]
    return next === undefined ? undefined : next.dueMs - this.#elapsedMs
  }

  nowMs(): number {
    return Math.floor(this.#wallOffsetMs + this.#elapsedMs)
  }

  monotonicMs(): number {
    return this.#elapsedMs
  }

  setTimer(fn: () => void, delayMs: number): Timer {
    const timers = this.#timers
    const timer: VirtualTimer = {
      dueMs: this.#elapsedMs + Math.max(0, delayMs),
      sequence: this.#sequence++,
      fn,
      cancel() {
        const index = timers.indexOf(timer)
        if (index >= 0) timers.splice(index, 1)
      },
    }
    // A new timer is the youngest, so it goes behind all that are due at the same time.
    let low = 0
    let high = timers.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((timers[middle] as VirtualTimer).dueMs <= timer.dueMs) low = middle + 1
      else high = middle
    }
    timers.splice(low, 0, timer)
    return timer
  }

  /**
   * Moves time forward by a duration and fires what falls due on the way, also timers that are set meanwhile.
   *
   * Calls must not overlap: await one before the next. What a timer throws is thrown from here, at its instant.
   */
  async advance(duration: Duration): Promise<void> {
    await this.#advanceTo(this.#elapsedMs + durationMs(duration))
  }

  /** Moves to the next timer and fires it with all others of that instant. `false` if no timer waits. */
  async advanceToNextTimer(): Promise<boolean> {
    await settled()
    const next = this.#timers[0]
    if (next === undefined) return false
    await this.#advanceTo(next.dueMs)
    return true
  }

  /** Sets the wall clock alone, in either direction, as an operator or NTP does. Timers do not notice. */
  setWallClock(nowMs: number): void {
    this.#wallOffsetMs = nowMs - this.#elapsedMs
  }

  /** To an instant as `monotonicMs` counts them, also between two whole milliseconds. */
  async #advanceTo(endMs: number): Promise<void> {
    await settled()
    for (let next = this.#timers[0]; next !== undefined && next.dueMs <= endMs; next = this.#timers[0]) {
      this.#timers.shift()
      this.#elapsedMs = Math.max(this.#elapsedMs, next.dueMs)
      next.fn()
      await settled()
    }
    this.#elapsedMs = endMs
  }
}

/** The turn after this one: by then every promise callback that could run has run, also those queued by others. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
