import { isThenable, systemClock } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import { type HandlerContext, HandlerTimeoutError } from '../runtime/index.ts'
import { TableChangeInvalidError, TableChangeTimeoutError, TablesUnavailableError } from './errors.ts'
import type { TableChange, TableChangeContext, TableDatabase } from './table-database.ts'

/** One change that waits for its transaction. */
interface Waiting<Client> extends TableChange<Client> {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  /** Set once its function has taken too long. */
  overdue: TableChangeTimeoutError | undefined
}

/** Changes of one transaction. */
const batchMax = 500
/** How often it is looked for what may be forgotten. */
const prunePauseMs = 60_000

/** What one table view has to do in its database: changes that wait while a transaction is under way share the next one. */
export class Changes<Client> {
  readonly #database: TableDatabase<Client>
  readonly #handler: string
  readonly #makeReady: () => Promise<void>
  readonly #keepMs: number
  readonly #timeoutMs: number
  #waiting: Waiting<Client>[] = []
  #isWorking = false
  #isReady = false
  #prunedAtMs: number | undefined

  /** @param makeReady Makes the database ready for the view, before the first message. */
  constructor(
    database: TableDatabase<Client>,
    handler: string,
    makeReady: () => Promise<void>,
    times: { readonly keepMs: number; readonly timeoutMs: number },
  ) {
    this.#database = database
    this.#handler = handler
    this.#makeReady = makeReady
    this.#keepMs = times.keepMs
    this.#timeoutMs = times.timeoutMs
  }

  /** Resolves when what the function does for the message is durable, or was already. */
  apply(
    message: Message,
    fn: (client: Client, ctx: TableChangeContext) => unknown,
    { signal, nowMs }: Pick<HandlerContext, 'signal' | 'nowMs'>,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const run = (client: Client): unknown => this.#inTime(waiting, signal, (ctx) => fn(client, ctx))
      const waiting: Waiting<Client> = { message, run, resolve, reject, overdue: undefined }
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

  /** Runs a function, but waits no longer than it may take. What it answers at once is answered at once. */
  #inTime(waiting: Waiting<Client>, signal: AbortSignal, fn: (ctx: TableChangeContext) => unknown): unknown {
    const over = new AbortController()
    // Who has waited long for others is tried again, and is no reason to end what it is about.
    const onAbort = (): void => {
      if (!(signal.reason instanceof HandlerTimeoutError)) over.abort(signal.reason)
    }
    if (signal.aborted) onAbort()
    const answer = fn({ signal: over.signal })
    if (!isThenable(answer)) return answer
    signal.addEventListener('abort', onAbort, { once: true })
    const timeoutMs = this.#timeoutMs
    return new Promise((resolve, reject) => {
      // Of the machine: it is its database that is waited for, whatever clock the app goes by.
      const timer = systemClock.setTimer(() => {
        waiting.overdue = new TableChangeTimeoutError(`message ${waiting.message.id}`, timeoutMs)
        over.abort(waiting.overdue)
        reject(waiting.overdue)
      }, timeoutMs)
      const settle = <Result>(end: (result: Result) => void) => {
        return (result: Result): void => {
          timer.cancel()
          signal.removeEventListener('abort', onAbort)
          end(result)
        }
      }
      answer.then(settle(resolve), settle(reject))
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
      await this.#makeReady()
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
      // Where it is known who it was, nobody runs it again to find that out.
      const culprit = error instanceof TableChangeInvalidError ? error.culprit : undefined
      const guilty = batch.filter(({ message, overdue }) => overdue !== undefined || message === culprit)
      for (const one of guilty) one.reject(one.overdue ?? error)
      if (guilty.length > 0) return this.#transact(batch.filter((one) => !guilty.includes(one)))
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
