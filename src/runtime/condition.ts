/**
 * Lets callers wait until something may have changed: check, wait, check again.
 *
 * @example
 * ```ts
 * while (!ready()) await condition.changed()
 * ```
 */
export class Condition {
  #waiters: (() => void)[] = []

  /** Resolves at the next {@link Condition.notify}. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
    })
  }

  /** Wakes all who wait. */
  notify(): void {
    if (this.#waiters.length === 0) return
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }

  /** Resolves as soon as `holds()` is true, checked now and after each change. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await this.changed()
  }
}

/** Lets timers, input and the other subscriptions have a turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
