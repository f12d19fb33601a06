/** A promise that somebody else resolves. */
export interface WakeUp {
  /** Resolves when something may have changed, or the signal aborts. Never rejects. */
  readonly promise: Promise<void>
  /** Stops waiting; has to be called in the end. */
  cancel(): void
}

/** Waits for what calls the function that `subscribe` is given, or for the signal to abort. */
export function wakeUp(subscribe: (waiter: () => void) => () => void, signal: AbortSignal): WakeUp {
  const { promise, resolve } = Promise.withResolvers<void>()
  const onAbort = (): void => resolve()
  const forget = subscribe(resolve)
  signal.addEventListener('abort', onAbort, { once: true })
  const cancel = (): void => {
    forget()
    signal.removeEventListener('abort', onAbort)
    resolve()
  }
  return { promise, cancel }
}
