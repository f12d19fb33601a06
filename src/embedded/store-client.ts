import type { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import type { GroupWriter } from '../committing/index.ts'
import { InvariantError } from '../kernel/index.ts'
import { BatchBufferPool } from '../record/index.ts'
import { isDamageCode, isNoSafeNumber, openForWriting, unreadablePage } from './connection.ts'
import { DiskFullError, EngineFailedError, FileDamagedError } from './errors.ts'
import type { StoreAnswer, StoreRequest } from './store/protocol.ts'
import { isFullCode, Store } from './store/store.ts'
import { answerOf, buffersOf, requestMessage } from './thread-messages.ts'

/** The way to the writing side, wherever it runs. Requests are carried out in the order of the calls. */
export interface StoreClient {
  /** Where the bytes of commits come from. They belong to the request once it is made, and come back when it is answered. */
  readonly pool: BatchBufferPool
  request<R extends StoreRequest>(request: R): Promise<StoreAnswer<R>>
  /** Ends the writing side after the requests made before; idempotent. */
  close(): Promise<void>
}

/** The writing side as the queue of commits needs it. */
export function groupWriterOf(client: StoreClient): GroupWriter {
  return {
    pool: client.pool,
    commit: (group) => client.request({ kind: 'commit', ...group }),
    // After a failed sync nobody knows what the disk holds.
    isFinal: (error) => error instanceof EngineFailedError,
  }
}

/** An error of the writing side as it travels between threads, where an error keeps its message and stack only. */
export interface StoreFault {
  readonly cause: unknown
  /** SQLite's extended result code; null: the error is not SQLite's. */
  readonly errcode: number | null
  /** What stands in the file and is not as it was written. */
  readonly damage?: string
}

/**
 * What a fault means for the engine: a full disk rolled one commit back and nothing else; anything else that SQLite could
 * not do is final, because after a failed sync nobody knows what the disk holds.
 */
export function errorOf(fault: StoreFault, path: string): Error {
  const { cause, errcode, damage } = fault
  if (damage !== undefined) {
    return new EngineFailedError(path, `the file is damaged: ${damage}`, { cause, isDamaged: true })
  }
  const message = cause instanceof Error ? cause.message : String(cause)
  if (errcode === null) return new InvariantError(`the writer does not throw (${message})`, { cause })
  if (isFullCode(errcode)) return new DiskFullError(path, { cause })
  return new EngineFailedError(path, `${message} (SQLite code ${errcode})`, { cause })
}

export function faultOf(error: unknown): StoreFault {
  if (error instanceof FileDamagedError) return { cause: error, errcode: null, damage: error.details.place }
  if (isNoSafeNumber(error)) return { cause: error, errcode: null, damage: (error as Error).message }
  if (!(error instanceof Error && 'errcode' in error)) return { cause: error, errcode: null }
  const errcode = Number(error.errcode)
  return { cause: error, errcode, ...(isDamageCode(errcode) && { damage: unreadablePage(error) }) }
}

/** Runs the writing side in the caller's thread, on the caller's connection: for databases in memory. */
export class InlineStoreClient implements StoreClient {
  readonly pool: BatchBufferPool = new BatchBufferPool()
  readonly #store: Store
  readonly #path: string

  constructor(db: DatabaseSync, path: string) {
    this.#store = new Store(db)
    this.#path = path
  }

  request<R extends StoreRequest>(request: R): Promise<StoreAnswer<R>> {
    try {
      const answer = this.#store.handle(request)
      this.#reclaim(request)
      return Promise.resolve(answer)
    } catch (error) {
      return Promise.reject(errorOf(faultOf(error), this.#path))
    }
  }

  async close(): Promise<void> {
    await this.request({ kind: 'close' })
  }

  #reclaim(request: StoreRequest): void {
    if (request.kind !== 'commit') return
    const bytes = request.units.flatMap((unit) => unit.batches.map((batch) => batch.bytes))
    for (const buffer of buffersOf({ arena: request.arena, bytes })) this.pool.release(new Uint8Array(buffer))
  }
}

/** What the writer thread says. */
export type WriterMessage =
  | { readonly kind: 'ready' }
  /** `buffers` come back to whoever sent them. */
  | { readonly kind: 'answer'; readonly answer: unknown; readonly buffers: readonly ArrayBuffer[] }
  | { readonly kind: 'fault'; readonly fault: StoreFault }

interface Waiting {
  readonly kind: StoreRequest['kind'] | 'ready'
  readonly resolve: (answer: never) => void
  readonly reject: (error: Error) => void
}

/** Runs the writing side in a thread of its own, so that a sync never holds up the event loop. */
export class ThreadStoreClient implements StoreClient {
  readonly pool: BatchBufferPool = new BatchBufferPool()
  readonly #worker: Worker
  readonly #path: string
  /** The thread answers in order, so the first one waiting is always meant. A few at most: see `groupsInFlightMax`. */
  readonly #waiting: Waiting[] = []
  #ended: Error | undefined
  #closing: Promise<void> | undefined

  private constructor(worker: Worker, path: string) {
    this.#worker = worker
    this.#path = path
  }

  /** Starts the thread, which opens the file; rejects with what kept it from doing so. */
  static async start(path: string): Promise<ThreadStoreClient> {
    // Opening here first gives the caller the typed error; the thread then finds a file in order.
    openForWriting(path).close()
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    // Without the flags of the program, some of which no thread takes (`--input-type`).
    const worker = new Worker(new URL(`../embedded/writer-thread.${extension}`, import.meta.url), {
      workerData: { path },
      execArgv: [],
    })
    const client = new ThreadStoreClient(worker, path)
    await new Promise<void>((resolve, reject) => {
      client.#waiting.push({ kind: 'ready', resolve, reject })
      worker.on('message', (message: WriterMessage) => client.#receive(message))
      worker.on('error', (error: Error) => client.#end(error.message, error))
      worker.on('messageerror', (error: Error) => client.#end(error.message, error))
      worker.on('exit', () => client.#end('the writer thread ended', undefined))
    })
    return client
  }

  request<R extends StoreRequest>(request: R): Promise<StoreAnswer<R>> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      // First, because it throws on what cannot be copied: who waits must have been asked.
      const { message, buffers } = requestMessage(request)
      this.#worker.postMessage(message, buffers)
      this.#waiting.push({ kind: request.kind, resolve, reject })
      this.#worker.ref()
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    try {
      if (this.#ended === undefined) await this.request({ kind: 'close' })
    } finally {
      await this.#worker.terminate()
    }
  }

  #receive(message: WriterMessage): void {
    const waiting = this.#waiting.shift()
    // A program that has nothing else to do may end; whoever waits for a commit keeps it alive.
    if (this.#waiting.length === 0) this.#worker.unref()
    // What arrives after the end has been answered by it.
    if (waiting === undefined) return
    if (message.kind === 'fault') {
      const { damage, cause } = message.fault
      const isOpening = waiting.kind === 'ready' && damage !== undefined
      const error = isOpening ? new FileDamagedError(this.#path, damage, { cause }) : errorOf(message.fault, this.#path)
      waiting.reject(error)
    } else if (message.kind === 'ready') waiting.resolve(undefined as never)
    else {
      for (const buffer of message.buffers) this.pool.release(new Uint8Array(buffer))
      waiting.resolve(answerOf(waiting.kind, message.answer) as never)
    }
  }

  #end(reason: string, cause: Error | undefined): void {
    if (this.#ended !== undefined) return
    this.#ended = new EngineFailedError(this.#path, reason, { cause })
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#ended)
  }
}
