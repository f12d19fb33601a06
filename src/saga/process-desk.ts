import type { Engine } from '../engine/index.ts'
import { handlerNamespace } from '../runtime/index.ts'
import { type ProcessInstance, processInstanceOf } from './process-instance.ts'
import { type ProcessPast, processPastOf } from './process-past.ts'
import { isProcessState, type ProcessState, type ProcessStatus, processStatuses } from './process-state.ts'
import { type Selection, select } from './selection.ts'

/** Which processes are meant. All that is given has to hold. */
export type ProcessSelection = Selection<ProcessStatus>

/** A desk for the processes of one choreography: looks at them, beside a running app and without one. */
export class ProcessDesk {
  /** Consumer group of the choreography. */
  readonly group: string
  readonly choreography: string
  readonly #engine: Engine
  readonly #namespace: string

  constructor(engine: Engine, group: string, choreography: string) {
    this.group = group
    this.choreography = choreography
    this.#engine = engine
    this.#namespace = handlerNamespace(group)
  }

  /** Whether what is kept here are processes: a handler of another kind keeps what it likes. */
  async isOne(): Promise<boolean> {
    const [first] = await this.#engine.state.range(this.#namespace, { limit: 1 })
    return isProcessState(first?.value)
  }

  async get(key: string): Promise<ProcessInstance | undefined> {
    const state = await this.#state(key)
    return state === undefined ? undefined : processInstanceOf(this.choreography, key, state)
  }

  /** What happened to a process, and how it was at any point. */
  async past(key: string): Promise<ProcessPast | undefined> {
    const state = await this.#state(key)
    return state === undefined ? undefined : processPastOf(this.choreography, key, state)
  }

  /**
   * In the order of their keys. Looks through all keys with the prefix until there are enough.
   *
   * @throws OptionsInvalidError `OPTIONS_INVALID`
   */
  async list(selection: ProcessSelection = {}): Promise<readonly ProcessInstance[]> {
    const found = await select<ProcessState>(this.#engine, this.#namespace, selection, processStatuses)
    return found.map(({ key, kept }) => processInstanceOf(this.choreography, key, kept))
  }

  async #state(key: string): Promise<ProcessState | undefined> {
    const entry = await this.#engine.state.get(this.#namespace, key)
    return entry?.value as unknown as ProcessState | undefined
  }
}
