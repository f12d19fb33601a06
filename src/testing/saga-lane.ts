import type { Json } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import type { Effect, Handler } from '../runtime/index.ts'
import { handlerContext } from './handler-context.ts'

/** What comes up for one instance: a message, or one of its timers. */
export type SagaTask =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'timer'; readonly id: string; readonly data: unknown; readonly dueMs: number }

/** Whether a process dies at a commit: before it is real, or right after. */
export type Interruption = 'before' | 'after' | undefined

/** What a lane needs of the test that it belongs to. */
export interface LaneOptions {
  readonly handler: Handler
  readonly key: string
  readonly nowMs: () => number
  readonly journal: () => Json
  /** Makes effects real. */
  readonly apply: (effects: readonly Effect<unknown>[]) => Promise<void>
  readonly interrupt: () => Interruption
  readonly origin: () => Message
  readonly inContext: <Result>(message: Message, fn: () => Result) => Result
}

/** Ends an attempt whose process dies, as a test wants it. */
const dies: DOMException = new DOMException('The process dies.', 'AbortError')

/** Runs what comes up for one instance, one after the other, as the runtime does; and again, when it was interrupted. */
export class SagaLane {
  readonly #options: LaneOptions
  /** The one that runs, and those behind it. */
  readonly #tasks: SagaTask[] = []
  #last: Promise<void> = Promise.resolve()

  constructor(options: LaneOptions) {
    this.#options = options
  }

  /** Resolves when the task is done; rejects with what the handler throws. */
  push(task: SagaTask): Promise<void> {
    this.#tasks.push(task)
    const run = this.#last.then(() => this.#run(task)).finally(() => void this.#tasks.shift())
    this.#last = run.catch(() => undefined)
    return run
  }

  async #run(task: SagaTask): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#attempt(task, attempt)
        return
      } catch (error) {
        if (error !== dies) throw error
      }
    }
  }

  async #attempt(task: SagaTask, attempt: number): Promise<void> {
    const { handler, key, nowMs, journal, apply, interrupt, inContext, origin } = this.#options
    const process = new AbortController()
    const commit = async (effects: readonly Effect<unknown>[]): Promise<Interruption> => {
      const interruption = interrupt()
      if (interruption !== 'before') await apply(effects)
      return interruption
    }
    const message = task.kind === 'message' ? task.message : origin()
    const ctx = handlerContext({
      key: `${handler.name}:${message.id}`,
      signal: process.signal,
      attempt,
      nowMs,
      behind: () => this.#tasks.slice(1).flatMap((one) => (one.kind === 'message' ? [one.message] : [])),
      checkpoint: async (effects: unknown): Promise<void> => {
        process.signal.throwIfAborted()
        if ((await commit(listOf(effects))) === undefined) return
        process.abort(dies)
        throw dies
      },
    })
    const state = journal()
    const effects = await inContext(message, async () =>
      task.kind === 'message'
        ? handler.handle(message, state, ctx)
        : handler.timers[task.id]?.({ id: task.id, key, data: task.data, dueMs: task.dueMs }, state, ctx),
    )
    if ((await commit(listOf(effects))) === 'before') throw dies
  }
}

function listOf(effects: unknown): readonly Effect<unknown>[] {
  return [effects]
    .flat()
    .filter((effect) => typeof effect === 'object' && effect !== null) as readonly Effect<unknown>[]
}
