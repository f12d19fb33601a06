import type { Message } from '../message/index.ts'
import { exponential, HandlerTimeoutError, type RetryPolicy } from '../runtime/index.ts'
import { TablesUnavailableError } from './errors.ts'

/** The database may be away for as long as it likes. */
const untilItCan = exponential({ initial: '100ms', max: 1_000_000, maxDelay: '5s' })

/** Tells apart what an event is to blame for and what its database is: only the first counts as an attempt. */
export class ChangeFailures {
  readonly policy: RetryPolicy
  readonly #countOf = new WeakMap<Message, number>()
  readonly #attemptOf = new WeakMap<object, number>()

  constructor(ofEvents: RetryPolicy) {
    this.policy = Object.freeze({
      delayMs: (failed, random) => {
        const { error } = failed
        if (isOfDatabase(error)) return untilItCan.delayMs(failed, random)
        const attempt = typeof error === 'object' && error !== null ? this.#attemptOf.get(error) : undefined
        return ofEvents.delayMs({ ...failed, attempt: attempt ?? failed.attempt }, random)
      },
      description: `${ofEvents.description}; for as long as it takes while the database cannot`,
    } satisfies RetryPolicy)
  }

  /** What an attempt at an event comes to. */
  async counted(event: Message, attempt: Promise<void>): Promise<void> {
    try {
      await attempt
    } catch (error) {
      if (!isOfDatabase(error) && typeof error === 'object' && error !== null) {
        const count = (this.#countOf.get(event) ?? 0) + 1
        this.#countOf.set(event, count)
        this.#attemptOf.set(error, count)
      }
      throw error
    }
  }
}

/** Who waits too long waits for the database. */
function isOfDatabase(error: unknown): boolean {
  return error instanceof TablesUnavailableError || error instanceof HandlerTimeoutError
}
