import {
  BrokenCircuitError,
  BulkheadPolicy,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
} from 'cockatiel'
import { channels } from '../telemetry/index.ts'
import { BreakerOpenError } from './errors.ts'
import type { Handler } from './handler.ts'

const breakerStates = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Isolated]: 'open',
} as const

/**
 * Calls of a handler to the outside world, through its circuit breaker and its bulkhead (cockatiel).
 *
 * The breaker counts failures in a row over all keys of the handler in one start of the app. A call whose attempt takes too
 * long counts at that moment, also if it never returns; those that are aborted for another reason, as when the app stops,
 * do not. So it is with the bulkhead: a call has its place until it returns or its attempt is over.
 * Both keep time by the system's clock, whatever clock the app was given.
 */
export class OutsideCalls {
  readonly #group: string
  readonly #breaker: CircuitBreakerPolicy | undefined
  readonly #bulkhead: BulkheadPolicy | undefined
  readonly openForMs: number

  constructor(group: string, handler: Handler, onChange: () => void) {
    this.#group = group
    this.openForMs = handler.breaker?.openForMs ?? 0
    if (handler.bulkhead !== undefined) {
      // The queue needs no bound of its own: the handler's concurrency bounds it.
      this.#bulkhead = new BulkheadPolicy(handler.bulkhead.concurrent, Number.MAX_SAFE_INTEGER)
    }
    if (handler.breaker !== undefined) {
      this.#breaker = circuitBreaker(
        handleWhen((error) => !isAbort(error)),
        {
          halfOpenAfter: handler.breaker.openForMs,
          breaker: new ConsecutiveBreaker(handler.breaker.failures),
        },
      )
      this.#breaker.onStateChange((state) => {
        if (channels.breaker.hasSubscribers) channels.breaker.publish({ handler: group, state: breakerStates[state] })
        onChange()
      })
    }
  }

  get isOpen(): boolean {
    return this.#breaker?.state === CircuitState.Open
  }

  async call<Result>(fn: (signal: AbortSignal) => PromiseLike<Result> | Result, signal: AbortSignal): Promise<Result> {
    const breaker = this.#breaker
    const guarded = (): Promise<Result> => {
      const call = (): Promise<Result> => untilOver(fn, signal)
      // It may have waited for the bulkhead until its attempt was over: then no call is made, and none is counted.
      signal.throwIfAborted()
      return breaker === undefined ? call() : breaker.execute(call, signal)
    }
    try {
      signal.throwIfAborted()
      return await (this.#bulkhead === undefined ? guarded() : this.#bulkhead.execute(guarded, signal))
    } catch (error) {
      if (error instanceof BrokenCircuitError) throw new BreakerOpenError(this.#group, { cause: error })
      throw error
    }
  }
}

/**
 * Waits for a call no longer than its attempt lasts: then the call has failed, for the breaker and the bulkhead too, whether
 * it listens to its signal or not. Clients answer an aborted signal with an error of their own; what counts is its reason.
 */
function untilOver<Result>(
  fn: (signal: AbortSignal) => PromiseLike<Result> | Result,
  signal: AbortSignal,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const over = (): void => reject(signal.reason)
    signal.addEventListener('abort', over, { once: true })
    const called = (async () => fn(signal))()
    called.then(resolve, reject).finally(() => signal.removeEventListener('abort', over))
  })
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}
