import type { Clock } from '../kernel/index.ts'
import type { Checkpoints } from './checkpoints.ts'
import { CheckpointRefusedError } from './errors.ts'
import type { HandlerContext } from './handler.ts'
import type { OutsideCalls } from './outside-calls.ts'
import type { SubscriptionParts } from './subscription-parts.ts'
import type { Task } from './task.ts'

/**
 * What a handler is told in one attempt. Made for each attempt, so it makes what is rarely used only when it is asked for.
 * Its members can be taken out of it: none needs `this`.
 */
export class AttemptContext implements HandlerContext {
  readonly attempt: number
  readonly #task: Task
  readonly #group: string
  readonly #clock: Clock
  readonly #calls: OutsideCalls
  readonly #checkpoints: Checkpoints
  readonly #query: SubscriptionParts['query']
  readonly #behind: (task: Task) => readonly Task[]
  #isOver = false
  #controller: AbortController | undefined
  #abortedBy: { readonly reason: unknown } | undefined
  /** Checkpoints that are under way: nobody may find out by waiting for ever that the attempt is of no more interest. */
  readonly #checkpointing = new Set<PromiseWithResolvers<void>>()

  constructor(
    task: Task,
    parts: Pick<SubscriptionParts, 'group' | 'clock' | 'outside' | 'behind' | 'query'>,
    checkpoints: Checkpoints,
  ) {
    this.attempt = task.attempt
    this.#task = task
    this.#group = parts.group
    this.#clock = parts.clock
    this.#calls = parts.outside
    this.#behind = parts.behind
    this.#query = parts.query
    this.#checkpoints = checkpoints
  }

  get key(): string {
    const { timer, message } = this.#task
    return timer === undefined
      ? `${this.#group}:${message.source}:${message.id}`
      : `${this.#group}:timer:${timer.id}:${timer.revision}:${timer.dueMs}`
  }

  get topic(): string {
    return this.#task.topic
  }

  get partition(): number {
    return this.#task.partition
  }

  get offset(): number {
    return this.#task.offset
  }

  get timestampMs(): number {
    return this.#task.timestampMs
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#abortedBy !== undefined) this.#controller.abort(this.#abortedBy.reason)
    }
    return this.#controller.signal
  }

  get nowMs(): () => number {
    return () => this.#clock.nowMs()
  }

  get waitsBehind(): HandlerContext['waitsBehind'] {
    return (fits) =>
      this.#behind(this.#task).some(
        ({ kind, message, unreadable }) => kind === 'record' && unreadable === undefined && fits(message),
      )
  }

  get call(): HandlerContext['call'] {
    return (fn) => this.#calls.call(fn, this.signal)
  }

  get query(): HandlerContext['query'] {
    return async (query, ...[params]) => (await this.#query(query, params, this.signal)) as never
  }

  get checkpoint(): HandlerContext['checkpoint'] {
    return async (effects) => {
      if (this.#isOver) throw new CheckpointRefusedError(this.#group, 'the handler had returned')
      if (this.#abortedBy !== undefined) throw this.#abortedBy.reason
      const durable: PromiseWithResolvers<void> = Promise.withResolvers()
      this.#checkpointing.add(durable)
      try {
        const isOver = (): boolean => this.#isOver || this.#abortedBy !== undefined
        this.#checkpoints.take(this.#task, effects, isOver).then(durable.resolve, durable.reject)
        await durable.promise
      } finally {
        this.#checkpointing.delete(durable)
      }
    }
  }

  /** The handler has returned: what it still does has no effects. */
  end(): void {
    this.#isOver = true
  }

  /** Tells the handler, if it looks, that nobody waits for it any more. */
  abort(reason: unknown): void {
    this.#abortedBy ??= { reason }
    this.#controller?.abort(reason)
    for (const { reject } of this.#checkpointing) reject(this.#abortedBy.reason)
  }
}
