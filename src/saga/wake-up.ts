import type { SagaHost } from './saga-host.ts'

/** Lets a run of a body rest until something has changed. A change while nobody rests is not lost: the next rest is over at once. */
export class WakeUp {
  readonly #host: SagaHost
  #changed: PromiseWithResolvers<void> = Promise.withResolvers()

  constructor(host: SagaHost) {
    this.#host = host
  }

  /** Something has changed. */
  ring(): void {
    this.#changed.resolve()
  }

  /**
   * Resolves when something has changed, or the time has come: `false`. Times are in milliseconds since 1970.
   *
   * @throws the reason of the host's signal, once it has aborted
   */
  async rest(untilMs: number | undefined): Promise<boolean> {
    const { clock, signal } = this.#host
    let isInTime = true
    const ring = (): void => this.ring()
    const late = (): void => {
      isInTime = false
      ring()
    }
    const timer =
      untilMs === undefined ? undefined : clock.setTimer(late, Math.max(0, untilMs - clock.nowMs()), { unref: true })
    signal.addEventListener('abort', ring, { once: true })
    await this.#changed.promise
    this.#changed = Promise.withResolvers()
    signal.removeEventListener('abort', ring)
    timer?.cancel()
    signal.throwIfAborted()
    return isInTime
  }
}
