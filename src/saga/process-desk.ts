import type { Engine } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import { handlerNamespace } from '../runtime/index.ts'
import { isProcessState, type ProcessState, type ProcessStatus, processStatuses } from './process.ts'
import { type Selection, select } from './selection.ts'

/** One process of a choreography, as it was committed last. */
export interface ProcessInstance {
  readonly choreography: string
  readonly key: string
  readonly status: ProcessStatus
  /** Data of the last event of each type that has come. */
  readonly seen: Readonly<Record<string, Json>>
  /** When the first event of each type came, in milliseconds since 1970. */
  readonly cameMs: Readonly<Record<string, number>>
  /** Names of the rules that have applied. */
  readonly applied: readonly string[]
  /** Types of events that wait: for the beginning, or until the end is forgotten. */
  readonly waiting: readonly string[]
  /** How it ended. */
  readonly outcome: string | null
  /** When it began; of one that is expected, since when events wait for it. In milliseconds since 1970. */
  readonly startedMs: number
  readonly endedMs: number | null
  /** When a time makes a difference next (a time-out, the end of what is kept), in milliseconds since 1970. */
  readonly dueMs: number | null
}

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
    const entry = await this.#engine.state.get(this.#namespace, key)
    return entry === undefined ? undefined : this.#process(key, entry.value as unknown as ProcessState)
  }

  /**
   * In the order of their keys. Looks through all keys with the prefix until there are enough.
   *
   * @throws OptionsInvalidError `OPTIONS_INVALID`
   */
  async list(selection: ProcessSelection = {}): Promise<readonly ProcessInstance[]> {
    const found = await select<ProcessState>(this.#engine, this.#namespace, selection, processStatuses)
    return found.map(({ key, kept }) => this.#process(key, kept))
  }

  #process(key: string, state: ProcessState): ProcessInstance {
    const { status, seen, cameMs, applied, held, outcome, startedMs, changedMs, lookMs } = state
    return {
      choreography: this.choreography,
      key,
      status,
      seen,
      cameMs,
      applied,
      waiting: held.map(({ type }) => type),
      outcome,
      startedMs,
      endedMs: status === 'ended' ? changedMs : null,
      dueMs: lookMs ?? null,
    }
  }
}
