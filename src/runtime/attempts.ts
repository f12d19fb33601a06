import { isThenable } from '../kernel/index.ts'
import { contextFor, type HandlingOptions, type MessageContext, runInContext } from '../message/index.ts'
import { AttemptContext } from './attempt-context.ts'
import type { Checkpoints } from './checkpoints.ts'
import { Condition } from './condition.ts'
import { HandlerTimeoutError, TimerUnknownError } from './errors.ts'
import type { DueTimer } from './handler.ts'
import type { SubscriptionParts } from './subscription-parts.ts'
import type { Task } from './task.ts'
import type { TimerPayload } from './timer-service.ts'

/** Runs a handler once, with its context, its time limit and its signal. */
export class Attempts {
  readonly #parts: SubscriptionParts
  readonly #handling: HandlingOptions
  readonly #checkpoints: Checkpoints
  readonly #running = new Set<AttemptContext>()
  readonly #changed = new Condition()

  constructor(parts: SubscriptionParts, checkpoints: Checkpoints) {
    this.#parts = parts
    this.#checkpoints = checkpoints
    this.#handling = { source: parts.source, clock: parts.clock, handlerId: parts.group }
  }

  /**
   * What the handler returns, or a promise of it that rejects after the handler's timeout. Throws what the handler throws.
   * `state` is the state of the task's key, `undefined` where there is none.
   */
  run(task: Task, state: unknown): unknown {
    const { handler } = this.#parts
    const context = new AttemptContext(task, this.#parts, this.#checkpoints)
    const subject = task.timer === undefined ? task.message : undefined
    const result =
      subject === undefined
        ? runInContext(this.#timerContext(task), () => this.#runTimer(task, state, context))
        : runInContext(contextFor(subject, this.#handling), () =>
            handler.countsByKey
              ? handler.handle(subject, state, context, task.key)
              : handler.handle(subject, state, context),
          )
    if (isThenable(result)) return this.#inTime(result, context)
    context.end()
    return result
  }

  /** Tells all handlers that are running that nobody waits for them any more. */
  abort(reason: unknown): void {
    for (const context of this.#running) context.abort(reason)
  }

  /** Resolves when no handler is running. */
  async quiet(): Promise<void> {
    await this.#changed.until(() => this.#running.size === 0)
  }

  #runTimer(task: Task, state: unknown, context: AttemptContext): unknown {
    const { handler, group } = this.#parts
    const payload = task.timer?.payload as unknown as TimerPayload
    const run = handler.timers[payload.id]
    if (run === undefined) throw new TimerUnknownError(group, payload.id)
    const due: DueTimer = Object.freeze({
      id: payload.id,
      key: payload.key,
      data: payload.data,
      dueMs: task.timestampMs,
    })
    return run(due, state, context)
  }

  /** Each firing of a timer creates ids of its own. */
  #timerContext(task: Task): MessageContext {
    const { timer, message } = task
    const handlerId = `${this.#parts.group}:timer:${timer?.id}:${timer?.revision}:${timer?.dueMs}`
    return contextFor(message, { ...this.#handling, handlerId })
  }

  #inTime(result: PromiseLike<unknown>, context: AttemptContext): Promise<unknown> {
    const { clock, handler, group } = this.#parts
    this.#running.add(context)
    return new Promise((resolve, reject) => {
      const timer = clock.setTimer(() => {
        const error = new HandlerTimeoutError(group, handler.timeoutMs)
        this.#over(context)
        context.abort(error)
        reject(error)
      }, handler.timeoutMs)
      result.then(
        (value) => {
          timer.cancel()
          this.#over(context)
          resolve(value)
        },
        (error: unknown) => {
          timer.cancel()
          this.#over(context)
          reject(error)
        },
      )
    })
  }

  #over(context: AttemptContext): void {
    context.end()
    if (this.#running.delete(context)) this.#changed.notify()
  }
}
