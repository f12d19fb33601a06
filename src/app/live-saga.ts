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
  type SagaPast,
  type SagaSelection,
  sagaNamespace,
} from '../saga/index.ts'
import type { SagaClient } from './running-app.ts'

/** Made once: it says nothing about where. */
const nobodyWaits: DOMException = new DOMException('Nobody waits any more.', 'AbortError')

/** Talks to the instances of a saga of a running app. */
export class LiveSaga implements SagaClient<unknown, unknown, Readonly<Record<string, never>>> {
  readonly #engine: Engine
  readonly #saga: AnySaga
  readonly #desk: SagaDesk
  readonly #check: () => void
  /** Aborts when the app stops or has failed; then the check says why. */
  readonly #end: AbortSignal
  readonly #namespace: string

  constructor(engine: Engine, app: string, saga: AnySaga, check: () => void, end: AbortSignal) {
    this.#engine = engine
    this.#saga = saga
    this.#desk = new SagaDesk(engine, app, saga.name)
    this.#namespace = sagaNamespace(app, saga.name)
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

  past(key: string): Promise<SagaPast | undefined> {
    return this.#desk.past(key)
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
    const end = (): void => over.reject(this.#whyEnded())
    // In a turn of its own: a stop is under way only when the call that aborts has returned.
    const onEnd = (): void => queueMicrotask(end)
    this.#end.addEventListener('abort', onEnd, { once: true })
    const watch = new AbortController()
    const changes = this.#engine.state.watch(this.#namespace, { key, signal: watch.signal })
    const follow = async (): Promise<void> => {
      for await (const { value } of changes) if (value !== undefined) look(value as unknown as Journal)
    }
    // Changes are told from here on: what was before is read.
    const read = async (): Promise<void> => {
      const journal = await this.#desk.journal(key)
      if (journal !== undefined) look(journal)
    }
    follow().catch(over.reject)
    read().catch(over.reject)
    try {
      return await over.promise
    } finally {
      signal?.removeEventListener('abort', abort)
      this.#end.removeEventListener('abort', onEnd)
      watch.abort(nobodyWaits)
    }
  }

  async #tell(key: string, input: SagaInput): Promise<void> {
    this.#check()
    checkedInput(this.#saga.definition, input)
    // As it was given: what the schema makes of it is made once, where it is taken in.
    await this.#desk.tell(key, input)
  }

  /** Nobody learns anything more: the app says why. */
  #whyEnded(): unknown {
    try {
      this.#check()
    } catch (why) {
      return why
    }
    return this.#end.reason
  }
}
