import type { Clock } from './clock.ts'

/**
 * Waits `delayMs` milliseconds of the given clock.
 *
 * Rejects with the signal's reason as soon as the signal aborts, at once if it has aborted before.
 *
 * @example
 * ```ts
 * await sleep(250, clock, signal)
 * ```
 */
export function sleep(delayMs: number, clock: Clock, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason)
      return
    }
    const timer = clock.setTimer(() => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }, delayMs)
    function abort(): void {
      timer.cancel()
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', abort, { once: true })
  })
}
