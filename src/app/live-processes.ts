import { checkOptions } from '../committing/index.ts'
import type { Engine } from '../engine/index.ts'
import { ProcessDesk, type ProcessInstance, type ProcessPast, type ProcessSelection } from '../saga/index.ts'
import type { ProcessClient } from './running-app.ts'

/** Looks at the processes of a choreography of a running app. */
export class LiveProcesses implements ProcessClient {
  readonly #desk: ProcessDesk
  readonly #check: () => void

  /** @param check Throws once the app has stopped or failed. */
  constructor(engine: Engine, group: string, choreography: string, check: () => void) {
    this.#desk = new ProcessDesk(engine, group, choreography)
    this.#check = check
  }

  async get(key: string): Promise<ProcessInstance | undefined> {
    this.#check()
    return this.#desk.get(key)
  }

  async past(key: string): Promise<ProcessPast | undefined> {
    this.#check()
    return this.#desk.past(key)
  }

  async list(selection?: ProcessSelection): Promise<readonly ProcessInstance[]> {
    this.#check()
    if (selection !== undefined) checkOptions('the selection', selection)
    return this.#desk.list(selection)
  }
}
