import type { Engine } from '../engine/index.ts'
import { frozenJson, type Json } from '../kernel/index.ts'
import { SagaSkipRefusedError } from './errors.ts'
import { inputMessage, type SagaInput, sagaTopic } from './inputs.ts'
import { instanceOf, type SagaInstance } from './instance.ts'
import { type Journal, type SagaStatus, sagaStatuses } from './journal.ts'
import { pastOf, type SagaPast } from './past.ts'
import { sagaNamespace } from './saga-handler.ts'
import { type Selection, select } from './selection.ts'
import { skipProblem } from './skip.ts'

/** Which instances are meant. All that is given has to hold. */
export interface SagaSelection extends Selection<SagaStatus> {}

/** A desk for the instances of one saga: looks at them, and tells them things. Works beside a running app and without one. */
export class SagaDesk {
  readonly app: string
  readonly saga: string
  readonly #engine: Engine
  readonly #namespace: string

  constructor(engine: Engine, app: string, saga: string) {
    this.app = app
    this.saga = saga
    this.#engine = engine
    this.#namespace = sagaNamespace(app, saga)
  }

  async journal(key: string): Promise<Journal | undefined> {
    const entry = await this.#engine.state.get(this.#namespace, key)
    return entry?.value as unknown as Journal | undefined
  }

  async get(key: string): Promise<SagaInstance | undefined> {
    const journal = await this.journal(key)
    return journal === undefined ? undefined : instanceOf(this.saga, key, journal)
  }

  /** What happened to an instance, and how it was at any point. */
  async past(key: string): Promise<SagaPast | undefined> {
    const journal = await this.journal(key)
    return journal === undefined ? undefined : pastOf(this.saga, key, journal)
  }

  /**
   * In the order of their keys. Looks through all keys with the prefix until there are enough.
   *
   * @throws OptionsInvalidError `OPTIONS_INVALID`
   */
  async list(selection: SagaSelection = {}): Promise<readonly SagaInstance[]> {
    const found = await select<Journal>(this.#engine, this.#namespace, selection, sagaStatuses)
    return found.map(({ key, kept }) => instanceOf(this.saga, key, kept))
  }

  /**
   * Resolves when the message is durable; the app takes it in when it runs.
   *
   * @throws SagaSkipRefusedError `SAGA_SKIP_REFUSED`: to skip would change nothing, as the instance is now
   */
  async tell(key: string, input: SagaInput): Promise<void> {
    if (input.kind === 'skip') await this.#checkSkip(key, input.step)
    const checked = frozenJson(input as unknown as Json, 'what the saga is told') as unknown as SagaInput
    const messages = [inputMessage(this.app, this.saga, key, checked)]
    await this.#engine.commit({ publish: [{ topic: sagaTopic(this.app, this.saga), messages }] })
  }

  async #checkSkip(key: string, step: string): Promise<void> {
    const journal = await this.journal(key)
    // Of what is not there the app tells, by a dead letter: it may be started meanwhile.
    const problem = journal === undefined ? undefined : skipProblem(journal, step)
    if (problem !== undefined) throw new SagaSkipRefusedError(this.saga, key, step, problem)
  }
}
