import { checkOptions } from '../committing/index.ts'
import type { Engine } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import {
  type AnySaga,
  checkedInput,
  type Journal,
  outcomeOf,
  outcomesOf,
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

/** Somebody who waits for the outcome of an instance. */
type Waiter = PromiseWithResolvers<SagaOutcome<unknown>>

/** Talks to the instances of a saga of a running app. */
export class LiveSaga implements SagaClient<unknown, unknown, Readonly<Record<string, never>>> {
  readonly #engine: Engine
  readonly #saga: AnySaga
  readonly #desk: SagaDesk
  readonly #check: () => void
  /** Aborts when the app stops or has failed; then the check says why. */
  readonly #end: AbortSignal
  readonly #waiters = new Set<Waiter>()
  readonly #namespace: string

  constructor(engine: Engine, app: string, saga: AnySaga, check: () => void, end: AbortSignal) {
    this.#engine = engine
    this.#saga = saga
    this.#desk = new SagaDesk(engine, app, saga.name)
    this.#namespace = sagaNamespace(app, saga.name)
    this.#check = check
    this.#end = end
    // In a turn of its own: a stop is under way only when the call that aborts has returned.
    const onEnd = (): void => queueMicrotask(() => this.#refuseAll())
    end.addEventListener('abort', onEnd, { once: true })
  }

  start(key: string, input: unknown): Promise<void> {
    return this.#tell(key, { kind: 'start', input: (input ?? null) as Json })
  }

  async run(
    key: string,
    input: unknown,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<SagaOutcome<unknown>> {
    checkOptions('options', options, ['signal'])
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

  async list(selection?: SagaSelection): Promise<readonly SagaInstance[]> {
    if (selection !== undefined) checkOptions('the selection', selection)
    return this.#desk.list(selection)
  }

  async outcome(key: string, options: { readonly signal?: AbortSignal } = {}): Promise<SagaOutcome<unknown>> {
    this.#check()
    checkOptions('options', options, ['signal'])
    const { signal } = options
    signal?.throwIfAborted()
    const waiter: Waiter = Promise.withResolvers()
    const abort = (): void => waiter.reject(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    this.#waiters.add(waiter)
    // Outcomes are told from here on: what was before is read.
    const stopFollowing = this.#follow(key, waiter)
    const read = async (): Promise<void> => look(await this.#desk.journal(key), waiter)
    read().catch(waiter.reject)
    try {
      return await waiter.promise
    } finally {
      signal?.removeEventListener('abort', abort)
      this.#waiters.delete(waiter)
      stopFollowing()
    }
  }

  /** Has a waiter told of what becomes of an instance from now on; the function returned ends that. */
  #follow(key: string, waiter: Waiter): () => void {
    // Where all members are in this process, whoever brings the instance to its outcome says so.
    if (this.#engine.capabilities.members === 'process') {
      return outcomesOf(this.#engine, this.#namespace).listen(key, waiter.resolve)
    }
    const watch = new AbortController()
    const changes = this.#engine.state.watch(this.#namespace, { key, signal: watch.signal })
    const follow = async (): Promise<void> => {
      for await (const { value } of changes) look(value as unknown as Journal | undefined, waiter)
    }
    follow().catch(waiter.reject)
    return () => watch.abort(nobodyWaits)
  }

  async #tell(key: string, input: SagaInput): Promise<void> {
    this.#check()
    checkedInput(this.#saga.definition, input)
    // As it was given: what the schema makes of it is made once, where it is taken in.
    await this.#desk.tell(key, input)
  }

  /** Nobody learns anything more. */
  #refuseAll(): void {
    for (const { reject } of this.#waiters) reject(this.#whyEnded())
  }

  /** The app says why. */
  #whyEnded(): unknown {
    try {
      this.#check()
    } catch (why) {
      return why
    }
    return this.#end.reason
  }
}

/** Tells a waiter the outcome of an instance, if it has come to one. */
function look(journal: Journal | undefined, { resolve }: Waiter): void {
  const outcome = journal === undefined ? undefined : outcomeOf(journal)
  if (outcome !== undefined) resolve(outcome)
}
