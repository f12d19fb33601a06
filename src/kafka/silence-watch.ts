import type { Clock, Timer } from '../kernel/index.ts'

/** Tells when the owner of a member has said nothing for a session, and when it is heard of again. */
export class SilenceWatch {
  readonly #clock: Clock
  readonly #sessionTimeoutMs: number
  readonly #silent: () => void
  #lastHeardMs: number
  #timer: Timer | undefined
  #heard: (() => void) | undefined
  #isSilent = false

  /** @param silent Called when a session has passed without a word. */
  constructor(clock: Clock, sessionTimeoutMs: number, silent: () => void) {
    this.#clock = clock
    this.#sessionTimeoutMs = sessionTimeoutMs
    this.#silent = silent
    this.#lastHeardMs = clock.monotonicMs()
  }

  /** From when a session has passed without a word until whoever waits for {@link heardAgain} goes on. */
  get isSilent(): boolean {
    return this.#isSilent
  }

  /** Begins to watch. */
  start(): void {
    this.#lastHeardMs = this.#clock.monotonicMs()
    this.#look()
  }

  /** The owner lives. */
  heard(): void {
    this.#lastHeardMs = this.#clock.monotonicMs()
    this.#heard?.()
  }

  /** Resolves when the owner has been heard of again, or when this ends; only then its silence is over. */
  async heardAgain(): Promise<void> {
    if (this.#isSilent && this.#leftMs() <= 0) {
      await new Promise<void>((resolve) => {
        this.#heard = resolve
      })
    }
    this.#heard = undefined
    if (!this.#isSilent) return
    this.#isSilent = false
    this.#look()
  }

  /** Watches no more. */
  end(): void {
    this.#timer?.cancel()
    this.#isSilent = false
    this.#heard?.()
  }

  #look(): void {
    const leftMs = this.#leftMs()
    if (leftMs > 0) {
      this.#timer = this.#clock.setTimer(() => this.#look(), leftMs + 1, { unref: true })
      return
    }
    this.#isSilent = true
    this.#silent()
  }

  #leftMs(): number {
    return this.#lastHeardMs + this.#sessionTimeoutMs - this.#clock.monotonicMs()
  }
}
