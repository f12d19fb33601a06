import type { Engine } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import {
  type AnySaga,
  checkedInput,
  type Journal,
  outcomeOf,
  SagaDesk,
  type SagaInput,
  type SagaInstance,
  type SagaOutcome,
  type SagaSelection,
  sagaNamespace,
} from '../saga/index.ts'
import type { SagaClient } from './running-app.ts'

interface Waiter {
  readonly look: (journal: Journal) => void
  readonly end: (error: unknown) => void
}

/** Talks to the instances of a saga of a running app. */
export class LiveSaga implements SagaClient<unknown, unknown, Readonly<Record<string, never>>> {
  readonly #engine: Engine
  readonly #saga: AnySaga
  readonly #desk: SagaDesk
  readonly #check: () => void
  /** Aborts when the app stops or has failed; then the check says why. */
  readonly #end: AbortSignal
  readonly #waiters = new Map<string, Set<Waiter>>()
  #watching: AbortController | undefined

  constructor(engine: Engine, app: string, saga: AnySaga, check: () => void, end: AbortSignal) {
    this.#engine = engine
    this.#saga = saga
    this.#desk = new SagaDesk(engine, app, saga.name)
    this.#check = check
    this.#end = end
  }

  start(key: string, input: unknown): Promise<void> {
    return this.#tell(key, { kind: 'start', input: (input ?? null) as Json })
  }

  async run(key: string, input: unknown, options?: { readonly signal?: AbortSignal }): Promise<SagaOutcome<unknown>> {
    await this.start(key, input)
    return await this.outcome(key, options)
  }

  signal(key: string, name: string, data?: unknown): Promise<void> {
    return this.#tell(key, { kind: 'signal', name, data: (data ?? null) as Json })
  }

  cancel(key: string, reason = 'it was asked for'): Promise<void> {
    return this.#tell(key, { kind: 'cancel', reason })
  }

  retry(key: string): Promise<void> {
    return this.#tell(key, { kind: 'retry' })
  }

  skip(key: string, step: string, output?: unknown): Promise<void> {
    return this.#tell(key, { kind: 'skip', step, output: (output ?? null) as Json })
  }

  compensate(key: string, reason = 'it was asked for'): Promise<void> {
    return this.#tell(key, { kind: 'compensate', reason })
  }

  get(key: string): Promise<SagaInstance | undefined> {
    return this.#desk.get(key)
  }

  list(selection?: SagaSelection): Promise<readonly SagaInstance[]> {
    return this.#desk.list(selection)
  }

  async outcome(key: string, { signal }: { readonly signal?: AbortSignal } = {}): Promise<SagaOutcome<unknown>> {
    this.#check()
    signal?.throwIfAborted()
    const over = Promise.withResolvers<SagaOutcome<unknown>>()
    const look = (journal: Journal): void => {
      const outcome = outcomeOf(journal)
      if (outcome !== undefined) over.resolve(outcome)
    }
    const abort = (): void => over.reject(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    const waiter: Waiter = { look, end: (error) => over.reject(error) }
    const waiters = this.#waiters.get(key) ?? new Set()
    this.#waiters.set(key, waiters.add(waiter))
    this.#watch()
    try {
      // Changes are told from here on: what was before is read.
      const journal = await this.#desk.journal(key)
      if (journal !== undefined) look(journal)
      return await over.promise
    } finally {
      signal?.removeEventListener('abort', abort)
      waiters.delete(waiter)
      if (waiters.size === 0) this.#waiters.delete(key)
      if (this.#waiters.size === 0) this.#unwatch()
    }
  }

  async #tell(key: string, input: SagaInput): Promise<void> {
    this.#check()
    await this.#desk.tell(key, checkedInput(this.#saga.definition, input))
  }

  /** One watch of the store serves all who wait. */
  #watch(): void {
    if (this.#watching !== undefined) return
    const abort = new AbortController()
    this.#watching = abort
    const changes = this.#engine.state.watch(sagaNamespace(this.#desk.app, this.#desk.saga), {
      prefix: '',
      signal: abort.signal,
    })
    const follow = async (): Promise<void> => {
      for await (const { key, value } of changes) {
        const waiters = value === undefined ? undefined : this.#waiters.get(key)
        for (const { look } of [...(waiters ?? [])]) look(value as unknown as Journal)
      }
    }
    follow().catch((error: unknown) => this.#endAll(error))
    // In a turn of its own: a stop is under way only when the call that aborts has returned.
    const end = (): void => queueMicrotask(() => this.#endAll(undefined))
    this.#end.addEventListener('abort', end, { once: true, signal: abort.signal })
  }

  /** Nobody learns anything more: the app says why. */
  #endAll(error: unknown): void {
    let reason = error
    try {
      this.#check()
    } catch (why) {
      reason = why
    }
    for (const waiters of this.#waiters.values()) for (const { end } of waiters) end(reason)
  }

  #unwatch(): void {
    this.#watching?.abort()
    this.#watching = undefined
  }
}
