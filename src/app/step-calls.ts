import type { CommandOutcome } from '../domain/index.ts'
import { InvariantError } from '../kernel/index.ts'
import type { AnyQueryDefinition, Message } from '../message/index.ts'
import type { SagaCalls } from '../saga/index.ts'
import type { CommandBus } from './command-bus.ts'

/** The time-out of the step ends it before. */
const timeout = '365d'

/**
 * What steps of sagas ask, by the bus of their app. When the app stops meanwhile, a step that asks waits for its own end: that its
 * process stops is no failure of its attempt, and it asks again in another one.
 */
export class StepCalls implements SagaCalls {
  #ground: { readonly bus: CommandBus; readonly appEnd: AbortSignal } | undefined

  /** @param appEnd Aborts when the app begins to stop. */
  connect(bus: CommandBus, appEnd: AbortSignal): void {
    this.#ground = { bus, appEnd }
  }

  ask(command: Message, signal: AbortSignal): Promise<CommandOutcome> {
    return this.#unlessStopped(signal, (bus) => bus.ask(command, { signal, timeout }))
  }

  query(query: AnyQueryDefinition, params: unknown, signal: AbortSignal): Promise<unknown> {
    return this.#unlessStopped(signal, (bus) => bus.query(query, params, { signal, timeout }))
  }

  async #unlessStopped<Answer>(signal: AbortSignal, work: (bus: CommandBus) => Promise<Answer>): Promise<Answer> {
    if (this.#ground === undefined) throw new InvariantError('steps run once the app does')
    const { bus, appEnd } = this.#ground
    try {
      return await work(bus)
    } catch (error) {
      if (!appEnd.aborted || signal.aborted) throw error
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      })
    }
  }
}
