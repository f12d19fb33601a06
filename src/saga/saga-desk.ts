import type { Engine } from '../engine/index.ts'
import { frozenJson, type Json } from '../kernel/index.ts'
import { inputMessage, type SagaInput, sagaTopic } from './inputs.ts'
import { instanceOf, type SagaInstance } from './instance.ts'
import type { Journal, SagaStatus } from './journal.ts'
import { sagaNamespace } from './saga-handler.ts'

/** Which instances are meant. All that is given has to hold. */
export interface SagaSelection {
  readonly status?: SagaStatus | readonly SagaStatus[]
  /** How their keys begin. */
  readonly prefix?: string
  /** Started at or after this time, in milliseconds since 1970. */
  readonly startedFromMs?: number
  /** Started before this time, in milliseconds since 1970. */
  readonly startedToMs?: number
  /** Only those with a key after this one: for paging. */
  readonly after?: string
  /** At most this many. Default 100. */
  readonly limit?: number
}

const pageSize = 1000

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

  /** In the order of their keys. Looks through all keys with the prefix until there are enough. */
  async list(selection: SagaSelection = {}): Promise<readonly SagaInstance[]> {
    const { prefix, limit = 100 } = selection
    const found: SagaInstance[] = []
    let { after } = selection
    for (;;) {
      const page = await this.#engine.state.range(this.#namespace, {
        limit: pageSize,
        ...(prefix !== undefined && { prefix }),
        ...(after !== undefined && { after }),
      })
      for (const { key, value } of page) {
        const journal = value as unknown as Journal
        if (!isMeant(journal, selection)) continue
        found.push(instanceOf(this.saga, key, journal))
        if (found.length >= limit) return found
      }
      if (page.length < pageSize) return found
      after = page.at(-1)?.key
    }
  }

  /** Resolves when the message is durable; the app takes it in when it runs. */
  async tell(key: string, input: SagaInput): Promise<void> {
    const checked = frozenJson(input as unknown as Json, 'what the saga is told') as unknown as SagaInput
    const messages = [inputMessage(this.app, this.saga, key, checked)]
    await this.#engine.commit({ publish: [{ topic: sagaTopic(this.app, this.saga), messages }] })
  }
}

function isMeant(journal: Journal, { status, startedFromMs, startedToMs }: SagaSelection): boolean {
  const statuses = status === undefined ? undefined : [status].flat()
  return (
    (statuses === undefined || statuses.includes(journal.status)) &&
    (startedFromMs === undefined || journal.startedMs >= startedFromMs) &&
    (startedToMs === undefined || journal.startedMs < startedToMs)
  )
}
