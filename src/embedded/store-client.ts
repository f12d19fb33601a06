import type { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { InvariantError } from '../kernel/index.ts'
import { openForWriting } from './connection.ts'
import { DiskFullError, EngineFailedError } from './errors.ts'
import type { StoreAnswer, StoreRequest } from './store/protocol.ts'
import { Store } from './store/store.ts'

/** The way to the writing side, wherever it runs. Requests are carried out in the order of the calls. */
export interface StoreClient {
  request<R extends StoreRequest>(request: R): Promise<StoreAnswer<R>>
  /** Ends the writing side after the requests made before; idempotent. */
  close(): Promise<void>
}

/** An error of the writing side as it travels between threads. */
export interface StoreFault {
  readonly message: string
  readonly errcode: number | null
  readonly stack: string | null
}

/** Result codes of SQLite, see its documentation "Result and Error Codes". */
const sqliteFull = 13

/**
 * What a fault means for the engine: a full disk rolled one commit back and nothing else; anything else that SQLite could
 * not do is final, because after a failed sync nobody knows what the disk holds.
 */
export function errorOf(fault: StoreFault, path: string): Error {
  const cause = new Error(fault.message)
  if (fault.stack !== null) cause.stack = fault.stack
  if (fault.errcode === null) return new InvariantError(`the writer does not throw (${fault.message})`, { cause })
  if ((fault.errcode & 0xff) === sqliteFull) return new DiskFullError(path, { cause })
  return new EngineFailedError(path, `${fault.message} (SQLite code ${fault.errcode})`, { cause })
}

export function faultOf(error: unknown): StoreFault {
  if (!(error instanceof Error)) return { message: String(error), errcode: null, stack: null }
  const errcode = 'errcode' in error ? Number(error.errcode) : null
  return { message: error.message, errcode, stack: error.stack ?? null }
}

/** Runs the writing side in the caller's thread, on the caller's connection: for databases in memory. */
export class InlineStoreClient implements StoreClient {
  readonly #store: Store
  readonly #path: string

  constructor(db: DatabaseSync, path: string) {
    this.#store = new Store(db)
    this.#path = path
  }

  request<R extends StoreRequest>(request: R): Promise<StoreAnswer<R>> {
    try {
      return Promise.resolve(this.#store.handle(request))
    } catch (error) {
      return Promise.reject(errorOf(faultOf(error), this.#path))
    }
  }

  async close(): Promise<void> {
    await this.request({ kind: 'close' })
  }
}

/** What the writer thread says. */
export type WriterMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'answer'; readonly answer: unknown }
  | { readonly kind: 'fault'; readonly fault: StoreFault }

interface Waiting {
  readonly resolve: (answer: never) => void
  readonly reject: (error: Error) => void
}

/** Runs the writing side in a thread of its own, so that a sync never holds up the event loop. */
export class ThreadStoreClient implements StoreClient {
  readonly #worker: Worker
  readonly #path: string
  /** The thread answers in order, so the first one waiting is always meant. */
  readonly #waiting: Waiting[] = []
  #head = 0
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
    const worker = new Worker(new URL(`./writer-thread.${extension}`, import.meta.url), { workerData: { path } })
    const client = new ThreadStoreClient(worker, path)
    await new Promise<void>((resolve, reject) => {
      client.#waiting.push({ resolve: resolve as (answer: never) => void, reject })
      worker.on('message', (message: WriterMessage) => client.#receive(message))
      worker.on('error', (error: Error) => client.#end(error))
      worker.on('exit', () => client.#end(new Error('the writer thread ended')))
    })
    return client
  }

  request<R extends StoreRequest>(request: R): Promise<StoreAnswer<R>> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve: resolve as (answer: never) => void, reject })
      this.#worker.ref()
      this.#worker.postMessage(request, transferablesOf(request))
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#ended === undefined) await this.request({ kind: 'close' })
    await this.#worker.terminate()
  }

  #receive(message: WriterMessage): void {
    const waiting = this.#waiting[this.#head] as Waiting
    this.#head++
    if (this.#head === this.#waiting.length) {
      this.#waiting.length = 0
      this.#head = 0
      // A program that has nothing else to do may end; whoever waits for a commit keeps it alive.
      this.#worker.unref()
    }
    if (message.kind === 'fault') waiting.reject(errorOf(message.fault, this.#path))
    else waiting.resolve((message.kind === 'answer' ? message.answer : undefined) as never)
  }

  #end(error: Error): void {
    if (this.#ended !== undefined) return
    this.#ended = new EngineFailedError(this.#path, error.message, { cause: error })
    for (const waiting of this.#waiting.splice(0).slice(this.#head)) waiting.reject(this.#ended)
    this.#head = 0
  }
}

/** Bytes of a commit move to the thread without a copy; the sender has no use for them any more. */
function transferablesOf(request: StoreRequest): ArrayBuffer[] {
  if (request.kind !== 'commit') return []
  const buffers = new Set<ArrayBuffer>()
  if (request.arena.byteLength > 0) buffers.add(request.arena.buffer as ArrayBuffer)
  for (const unit of request.units) for (const { bytes } of unit.batches) buffers.add(bytes.buffer as ArrayBuffer)
  return [...buffers]
}
