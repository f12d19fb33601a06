import { type Clock, sleep } from '../kernel/index.ts'
import { channels } from '../telemetry/index.ts'
import { commitFailureOf } from './commit-failure.ts'

const pauseMsLeast = 250
const pauseMsMost = 10_000

/** Whom a {@link Patience} is for. */
export interface PatienceOptions {
  readonly clock: Clock
  readonly app: string
  /** Its consumer group; `null`: the app itself. */
  readonly handler: string | null
}

/**
 * Waits where an engine cannot do something for a reason that passes, such as a full disk or a lock, and lets it be done again:
 * after 250 ms, then after twice as long each time, up to 10 s. Each wait is told on the channel `waiting`.
 */
export class Patience {
  readonly #options: PatienceOptions
  readonly #end = new AbortController()
  #isBegun = false

  constructor(options: PatienceOptions) {
    this.#options = options
  }

  /** Until then nothing is waited for: who starts something is told that it cannot be done. */
  begin(): this {
    this.#isBegun = true
    return this
  }

  /** From here on nothing is waited for any more: what cannot be done now is told as it is. */
  end(): void {
    this.#end.abort()
  }

  /** Does the work, again and again while it fails for a reason that passes, until it is done or the signal aborts. */
  async during<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await work()
    } catch (error) {
      return this.after(error, work, signal)
    }
  }

  /** The same after a first try that failed. */
  async after<T>(firstError: unknown, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const ended = signal === undefined ? this.#end.signal : AbortSignal.any([signal, this.#end.signal])
    let error = firstError
    for (let tryCount = 1; ; tryCount++) {
      if (commitFailureOf(error) !== 'passing' || !this.#isBegun || ended.aborted) throw error
      await sleep(this.pauseMs(error, tryCount), this.#options.clock, ended).catch(() => undefined)
      if (ended.aborted) throw error
      try {
        return await work()
      } catch (again) {
        error = again
      }
    }
  }

  /** How long to wait after a try that failed so; `tryCount` is 1 after the first. Tells who listens that somebody does. */
  pauseMs(error: unknown, tryCount: number): number {
    const delayMs = Math.min(pauseMsMost, pauseMsLeast * 2 ** (tryCount - 1))
    const { app, handler } = this.#options
    if (channels.waiting.hasSubscribers) channels.waiting.publish({ app, handler, error, delayMs })
    return delayMs
  }
}
