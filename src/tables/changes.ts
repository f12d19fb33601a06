import type { HandlerContext } from '../runtime/index.ts'
import { TablesUnavailableError } from './errors.ts'
import type { TableChange, TableDatabase } from './table-database.ts'

/** One change that waits for its transaction. */
interface Waiting<Client> extends TableChange<Client> {
  readonly signal: AbortSignal
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Changes of one transaction. */
const batchMax = 500
/** How often it is looked for what may be forgotten. */
const prunePauseMs = 60_000

/** What one table view has to do in its database: changes that wait while a transaction is under way share the next one. */
export class Changes<Client> {
  readonly #database: TableDatabase<Client>
  readonly #handler: string
  readonly #setup: readonly string[]
  readonly #keepMs: number
  #waiting: Waiting<Client>[] = []
  #isWorking = false
  #isReady = false
  #prunedAtMs: number | undefined

  constructor(database: TableDatabase<Client>, handler: string, setup: readonly string[], keepMs: number) {
    this.#database = database
    this.#handler = handler
    this.#setup = setup
    this.#keepMs = keepMs
  }

  /** Resolves when the change is durable, or was already. */
  apply(change: TableChange<Client>, { signal, nowMs }: Pick<HandlerContext, 'signal' | 'nowMs'>): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = { ...change, signal, resolve, reject }
      this.#waiting.push(waiting)
      // Nobody waits any more for what was aborted before it began.
      const onAbort = (): void => {
        this.#waiting = this.#waiting.filter((one) => one !== waiting)
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      if (this.#isWorking) return
      this.#isWorking = true
      // What comes in the same turn goes with it.
      queueMicrotask(() => void this.#work(nowMs))
    })
  }

  /** Never rejects: whoever waits is told. */
  async #work(nowMs: () => number): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, batchMax)
      try {
        if (!this.#isReady) await this.#prepare()
        await this.#transact(batch)
        await this.#prune(nowMs())
      } catch (error) {
        for (const one of batch) one.reject(error)
      }
    }
    this.#isWorking = false
  }

  /** What stands in the way of all messages is no fault of any of them. */
  async #prepare(): Promise<void> {
    try {
      await this.#database.prepare(this.#setup)
    } catch (cause) {
      throw cause instanceof TablesUnavailableError ? cause : new TablesUnavailableError(this.#database.name, { cause })
    }
    this.#isReady = true
  }

  /** All in one transaction; where one of them spoils it, in halves, until that one fails alone. */
  async #transact(batch: readonly Waiting<Client>[]): Promise<void> {
    if (batch.length === 0) return
    try {
      await this.#database.transact(this.#handler, batch)
      for (const one of batch) one.resolve()
    } catch (error) {
      if (error instanceof TablesUnavailableError) throw error
      const half = batch.length >> 1
      if (half === 0) {
        batch[0]?.reject(error)
        return
      }
      await this.#transact(batch.slice(0, half))
      await this.#transact(batch.slice(half))
    }
  }

  /** Some at a time, between two transactions. That something could not be forgotten yet is no fault of those who wait. */
  async #prune(nowMs: number): Promise<void> {
    if (this.#prunedAtMs !== undefined && nowMs - this.#prunedAtMs < prunePauseMs) return
    const isMore = await this.#database.prune(this.#handler, this.#keepMs).catch(() => false)
    if (!isMore) this.#prunedAtMs = nowMs
  }
}
