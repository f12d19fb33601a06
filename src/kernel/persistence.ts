import { sleep } from './abort.ts'
import type { Clock } from './clock.ts'

const pauseMinMs = 100
const pauseMaxMs = 10_000

/** What {@link persist} needs. */
export interface PersistOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Hears of what went wrong, and how long the pause is; what it throws ends everything. Not called once the signal has aborted. */
  readonly onFailed: (error: unknown, pauseMs: number) => void
}

/**
 * Does the work again whenever it has ended or failed, until the signal aborts. After an error it pauses for 100 ms, and twice as
 * long after each further one up to 10 s, until the work calls `onProgress`.
 *
 * @example
 * ```ts
 * await persist((onProgress) => session(onProgress), { clock, signal, onFailed: tell })
 * ```
 */
export async function persist(
  work: (onProgress: () => void) => Promise<void>,
  { clock, signal, onFailed }: PersistOptions,
): Promise<void> {
  let pauseMs = pauseMinMs
  const onProgress = (): void => {
    pauseMs = pauseMinMs
  }
  while (!signal.aborted) {
    try {
      await work(onProgress)
    } catch (error) {
      if (signal.aborted) return
      onFailed(error, pauseMs)
      await sleep(pauseMs, clock, signal).catch(() => undefined)
      pauseMs = Math.min(pauseMaxMs, pauseMs * 2)
    }
  }
}
