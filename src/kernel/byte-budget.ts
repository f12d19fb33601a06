import { ByteBudgetExceededError, InvariantError } from './errors.ts'

interface Waiter {
  readonly bytes: number
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
  readonly signal: AbortSignal | undefined
  readonly abort: () => void
}

/**
 * A bound on bytes in flight, with back-pressure: who would exceed it waits, first come, first served.
 *
 * Take bytes before you buffer them, give them back when they have left. Never more than `bytesMax` are out.
 *
 * @example
 * ```ts
 * if (!budget.tryAcquire(size)) await budget.acquire(size, signal)
 * try { await write(chunk) } finally { budget.release(size) }
 * ```
 */
export class ByteBudget {
  readonly subject: string
  readonly bytesMax: number
  #usedBytes = 0
  #closedBy: Error | undefined
  readonly #waiters: Waiter[] = []

  /** `subject` names the buffer in errors; `bytesMax` is a whole number of bytes, at least 1. */
  constructor(subject: string, bytesMax: number) {
    this.subject = subject
    this.bytesMax = bytesMax
  }

  /** Bytes that are out now. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** How many requests wait. */
  get waitingCount(): number {
    return this.#waiters.length
  }

  /** Takes the bytes if that needs no waiting: `false` if it does. Never overtakes those who wait. */
  tryAcquire(bytes: number): boolean {
    if (this.#closedBy !== undefined) throw this.#closedBy
    if (bytes > this.bytesMax) throw new ByteBudgetExceededError(this.subject, bytes, this.bytesMax)
    if (this.#waiters.length > 0 || this.#usedBytes + bytes > this.bytesMax) return false
    this.#usedBytes += bytes
    return true
  }

  /**
   * Takes the bytes, after waiting for them if need be.
   *
   * Rejects with the signal's reason when it aborts first, with the reason given to {@link ByteBudget.close}, and with
   * `ByteBudgetExceededError` (`BYTE_BUDGET_EXCEEDED`) for a request that could never be met.
   */
  async acquire(bytes: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (this.tryAcquire(bytes)) return
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = { bytes, resolve, reject, signal, abort: () => this.#abort(waiter) }
      signal?.addEventListener('abort', waiter.abort, { once: true })
      this.#waiters.push(waiter)
    })
  }

  /**
   * Takes more bytes for a request that was let in, without waiting and even beyond the bound: for sizes that are known
   * only once the work is done. Whoever comes next waits until all is back under the bound.
   */
  overdraw(bytes: number): void {
    this.#usedBytes += bytes
  }

  /** Gives bytes back that were acquired before and lets the next ones in. */
  release(bytes: number): void {
    if (bytes > this.#usedBytes) throw new InvariantError(`${this.subject} gets back only bytes that it gave out`)
    this.#usedBytes -= bytes
    this.#admit()
  }

  /** Turns away everybody who waits and who comes later, with this error. The first call decides. */
  close(reason: Error): void {
    if (this.#closedBy !== undefined) return
    this.#closedBy = reason
    for (const waiter of this.#waiters.splice(0)) {
      waiter.signal?.removeEventListener('abort', waiter.abort)
      waiter.reject(reason)
    }
  }

  #admit(): void {
    let admitted = 0
    for (const waiter of this.#waiters) {
      if (this.#usedBytes + waiter.bytes > this.bytesMax) break
      this.#usedBytes += waiter.bytes
      admitted++
      waiter.signal?.removeEventListener('abort', waiter.abort)
      waiter.resolve()
    }
    if (admitted > 0) this.#waiters.splice(0, admitted)
  }

  #abort(waiter: Waiter): void {
    const index = this.#waiters.indexOf(waiter)
    if (index < 0) return
    this.#waiters.splice(index, 1)
    waiter.reject(waiter.signal?.reason)
    // A large request that left may have held back smaller ones behind it.
    this.#admit()
  }
}
