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
import { BreakerOpenError, HandlerTimeoutError } from './errors.ts'
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
 * The breaker counts failures in a row over all keys of the handler in one start of the app. Calls that end because their
 * attempt took too long count; those that were aborted for another reason, as when the app stops, do not.
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
    const guarded = (): PromiseLike<Result> | Result =>
      breaker === undefined ? fn(signal) : breaker.execute(() => withReason(fn, signal), signal)
    try {
      return await (this.#bulkhead === undefined ? guarded() : this.#bulkhead.execute(guarded, signal))
    } catch (error) {
      if (error instanceof BrokenCircuitError) throw new BreakerOpenError(this.#group, { cause: error })
      throw error
    }
  }
}

/** Clients answer an aborted signal with an error of their own: whether the outside was too slow is told by its reason. */
async function withReason<Result>(
  fn: (signal: AbortSignal) => PromiseLike<Result> | Result,
  signal: AbortSignal,
): Promise<Result> {
  try {
    return await fn(signal)
  } catch (error) {
    if (isAbort(error) && signal.reason instanceof HandlerTimeoutError) throw signal.reason
    throw error
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}
