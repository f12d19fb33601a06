import type { DatabaseSync } from 'node:sqlite'
import { type CommitQueue, ReadPace } from '../committing/index.ts'
import { type Clock, ClosedError } from '../kernel/index.ts'
import type { Catalog } from './catalog.ts'
import { ReadOnlyError } from './errors.ts'
import { FileReads } from './file-reads.ts'
import type { StoreAnswers, StoreRequest } from './store/protocol.ts'
import type { StoreClient } from './store-client.ts'

/** How often an engine that only reads looks whether the writing process committed something, in milliseconds. */
const peekIntervalMs = 50

/** What the parts of one open engine share: its connection for reading, its way to write, its clock, its end. */
export class EngineCore {
  readonly path: string
  readonly clock: Clock
  readonly reader: DatabaseSync
  /** All that is asked of `reader` runs in these. */
  readonly reads: FileReads
  readonly catalog: Catalog
  /** Undefined in an engine that only reads. */
  readonly queue: CommitQueue | undefined
  readonly #client: StoreClient | undefined
  readonly #waiters = new Set<() => void>()
  #serial: Promise<unknown> = Promise.resolve()
  #dataVersion = -1
  #changeCount = 0
  readonly #pace = new ReadPace()
  #closed = false

  constructor(parts: {
    readonly path: string
    readonly clock: Clock
    readonly reader: DatabaseSync
    readonly catalog: Catalog
    readonly queue: CommitQueue | undefined
    readonly client: StoreClient | undefined
  }) {
    const { path, clock, reader, catalog, queue, client } = parts
    this.path = path
    this.clock = clock
    this.reader = reader
    this.reads = new FileReads(path)
    this.catalog = catalog
    this.queue = queue
    this.#client = client
  }

  get isReadOnly(): boolean {
    return this.queue === undefined
  }

  /** Rises whenever {@link EngineCore.refresh} found that the writing process committed something. */
  get changeCount(): number {
    return this.#changeCount
  }

  request<R extends StoreRequest>(request: R): Promise<StoreAnswers[R['kind']]> {
    if (this.#closed) return Promise.reject(new ClosedError('The engine'))
    const client = this.#client
    if (this.queue === undefined || client === undefined) return Promise.reject(new ReadOnlyError(this.path))
    return this.queue.inOrder(() => client.request(request))
  }

  /** Runs changes of the catalogue one after the other. */
  serially<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#serial.then(work)
    this.#serial = result.catch(() => undefined)
    return result
  }

  /** Throws if the engine was closed or has failed. */
  refuseIfDone(): void {
    if (this.#closed) throw new ClosedError('The engine')
    if (this.queue?.failure !== undefined) throw this.queue.failure
  }

  /** Beside another process that writes, looks whether it changed anything; in the writing process nothing is to be done. */
  refresh(): boolean {
    this.refuseIfDone()
    if (!this.isReadOnly) return false
    const version = this.reads.run(() => Number(this.reader.prepare('PRAGMA data_version').get()?.['data_version']))
    if (version === this.#dataVersion) return false
    this.#dataVersion = version
    this.#changeCount++
    this.reads.run(() => this.catalog.refresh(this.reader))
    return true
  }

  /** See {@link ReadPace.breathe}. */
  breathe(weight = 1): Promise<void> | undefined {
    return this.#pace.breathe(weight)
  }

  /** Runs reads that must see one moment; they must not wait for anything in between. */
  atOneMoment<T>(work: () => T): T {
    if (this.reader.isTransaction) return work()
    this.reads.run(() => this.reader.exec('BEGIN'))
    try {
      return work()
    } finally {
      // Nothing was written. A commit would look at a damaged page once more, and hide what the work said of it.
      if (this.reader.isTransaction) this.reader.exec('ROLLBACK')
    }
  }

  /**
   * Waits until `subscribe`'s listener is called, `waitMs` have passed, `signal` aborts (which throws its reason), or the
   * engine closes or fails. Refuses at once when it has.
   */
  async waitForChange(
    subscribe: (waiter: () => void) => () => void,
    waitMs: number,
    signal: AbortSignal | undefined,
    isChanged: () => boolean,
  ): Promise<void> {
    this.refuseIfDone()
    signal?.throwIfAborted()
    if (this.isReadOnly) return this.#peek(waitMs, signal, isChanged)
    await new Promise<void>((resolve) => {
      const done = (): void => {
        unsubscribe()
        timer?.cancel()
        signal?.removeEventListener('abort', done)
        this.#waiters.delete(done)
        resolve()
      }
      const unsubscribe = subscribe(done)
      const timer = Number.isFinite(waitMs) ? this.clock.setTimer(done, waitMs) : undefined
      signal?.addEventListener('abort', done, { once: true })
      this.#waiters.add(done)
    })
    signal?.throwIfAborted()
  }

  /** Wakes everybody who waits; they find the engine closed. */
  end(): void {
    this.#closed = true
    this.wake()
  }

  /** Wakes everybody who waits, to look for themselves what happened. */
  wake(): void {
    for (const waiter of this.#waiters) waiter()
  }

  async #peek(waitMs: number, signal: AbortSignal | undefined, isChanged: () => boolean): Promise<void> {
    const endMs = this.clock.monotonicMs() + waitMs
    while (!this.#closed && !isChanged() && this.clock.monotonicMs() < endMs) {
      await new Promise<void>((resolve) => this.clock.setTimer(resolve, peekIntervalMs))
      signal?.throwIfAborted()
      if (!this.#closed) this.refresh()
    }
  }
}
