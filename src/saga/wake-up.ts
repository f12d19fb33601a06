import type { SagaHost } from './saga-host.ts'

/** Lets a run of a body rest until something has changed. A change while nobody rests is not lost: the next rest is over at once. */
export class WakeUp {
  readonly #host: SagaHost
  #changed: PromiseWithResolvers<void> = Promise.withResolvers()

  constructor(host: SagaHost) {
    this.#host = host
    host.signal.addEventListener('abort', this.ring, { once: true })
  }

  /** Something has changed. */
  readonly ring = (): void => this.#changed.resolve()

  /** Nobody rests any more. */
  end(): void {
    this.#host.signal.removeEventListener('abort', this.ring)
  }

  /**
   * Resolves when something has changed, or the time has come: `false`. Times are in milliseconds since 1970.
   *
   * @throws the reason of the host's signal, once it has aborted
   */
  async rest(untilMs: number | undefined): Promise<boolean> {
    const { clock, signal } = this.#host
    let isInTime = true
    const late = (): void => {
      isInTime = false
      this.ring()
    }
    const timer =
      untilMs === undefined ? undefined : clock.setTimer(late, Math.max(0, untilMs - clock.nowMs()), { unref: true })
    await this.#changed.promise
    this.#changed = Promise.withResolvers()
    timer?.cancel()
    signal.throwIfAborted()
    return isInTime
  }
}
