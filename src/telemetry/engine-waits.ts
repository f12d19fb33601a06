import type { Clock } from '../kernel/index.ts'
import { channels } from './channels.ts'

/** Shorter waits are of no interest to anybody, in milliseconds. */
const untoldMs = 3000
/** How often an engine tells that it waits, in milliseconds. */
const everyMs = 10_000

/** Tells on the channel `engine-waiting` that one engine waits for its server, however many of its callers do. */
export class EngineWaits {
  readonly #engine: string
  readonly #clock: Clock
  #toldMs = Number.NEGATIVE_INFINITY

  constructor(engine: string, clock: Clock) {
    this.#engine = engine
    this.#clock = clock
  }

  /** Something was tried in vain once more, and has been for so long. */
  note(error: unknown, waitedMs: number): void {
    if (waitedMs < untoldMs || !channels.engineWaiting.hasSubscribers) return
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#toldMs < everyMs) return
    this.#toldMs = nowMs
    channels.engineWaiting.publish({ engine: this.#engine, error, waitedMs })
  }
}
