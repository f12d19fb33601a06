import { Worker } from 'node:worker_threads'
import { type Clock, sleep } from '../../src/index.ts'
import { GatewayDownError, GatewayTimeoutError } from './errors.ts'
import { type GatewayReply, type GatewayRequest, type GatewayTotals, shareOf } from './gateway-ledger.ts'
import type { GatewayAnswer, GatewayCall, GatewayWorkerData } from './gateway-worker.ts'
import type { Money } from './money.ts'

/** How the simulated gateway behaves. */
export interface GatewayOptions {
  /** File of its ledger. */
  readonly path: string
  readonly clock: Clock
  /** Share of orders, 0 to 1, whose charge is declined, by a hash of the order's id. Default 0. */
  readonly declineShare?: number
  /** Share of calls, 0 to 1, that time out, half of them after the gateway did what it was asked. Default 0. */
  readonly flakyShare?: number
}

/** What every call takes. */
export interface CallOptions {
  /** The same key is carried out once, whatever is asked with it again. */
  readonly idempotencyKey: string
  readonly signal?: AbortSignal
}

/** What a shop can ask of a payment gateway. */
export interface Gateway {
  /**
   * Captures an amount for an order, unless the card is declined.
   * @throws GatewayTimeoutError `SHOP_GATEWAY_TIMEOUT`, GatewayDownError `SHOP_GATEWAY_DOWN`
   */
  charge(reference: string, amount: Money, options: CallOptions): Promise<GatewayReply>
  /**
   * Gives back what was captured for an order.
   * @throws GatewayTimeoutError `SHOP_GATEWAY_TIMEOUT`, GatewayDownError `SHOP_GATEWAY_DOWN`
   */
  refund(reference: string, options: CallOptions): Promise<GatewayReply>
  /**
   * Pays out an amount for goods that were sent back.
   * @throws GatewayTimeoutError `SHOP_GATEWAY_TIMEOUT`, GatewayDownError `SHOP_GATEWAY_DOWN`
   */
  payout(reference: string, amount: Money, options: CallOptions): Promise<GatewayReply>
}

/** A gateway that timed out this often in a row for one key answers: outages end. */
const timeoutsInRowMax = 6
/** How long a caller waits for an answer that does not come, in milliseconds. */
const timeoutMs = 5
/** Requests booked with one sync. */
const batchRequestsMax = 1_000
/** Keys whose time-outs are counted; the oldest is forgotten when there are more. */
const countedKeysMax = 10_000

interface Waiting {
  readonly request: GatewayRequest
  readonly resolve: (reply: GatewayReply) => void
  readonly reject: (error: Error) => void
}

/**
 * A payment gateway as a shop sees it: slow, at times silent, idempotent by key.
 *
 * It is a simulation of another company's system: it has its own thread and its own file, and survives whatever happens to
 * the shop. Calls that wait while it syncs are booked together.
 */
export class PaymentGateway implements Gateway, AsyncDisposable {
  readonly #worker: Worker
  readonly #clock: Clock
  readonly #flakyShare: number
  readonly #queue: Waiting[] = []
  readonly #timeouts = new Map<string, number>()
  #booking: readonly Waiting[] | undefined
  #totals: GatewayTotals | undefined
  #failure: GatewayDownError | undefined
  #opened: PromiseWithResolvers<void> = Promise.withResolvers()

  private constructor(options: GatewayOptions) {
    this.#clock = options.clock
    this.#flakyShare = options.flakyShare ?? 0
    const workerData: GatewayWorkerData = { path: options.path, declineShare: options.declineShare ?? 0 }
    this.#worker = new Worker(new URL('./gateway-worker.ts', import.meta.url), { workerData })
    this.#worker.on('message', (answer: GatewayAnswer) => this.#receive(answer))
    this.#worker.once('error', (error) => this.#fail(new GatewayDownError(error.message, { cause: error })))
    this.#worker.once('exit', () => this.#fail(new GatewayDownError('it was closed')))
  }

  /** @throws GatewayDownError `SHOP_GATEWAY_DOWN`: its ledger cannot be opened. */
  static async open(options: GatewayOptions): Promise<PaymentGateway> {
    const gateway = new PaymentGateway(options)
    await gateway.#opened.promise
    return gateway
  }

  /** Sums of all that was ever booked and answered. */
  get totals(): GatewayTotals {
    if (this.#totals === undefined) throw new GatewayDownError('it is not open')
    return this.#totals
  }

  charge(reference: string, amount: Money, options: CallOptions): Promise<GatewayReply> {
    return this.#call({ kind: 'charge', key: options.idempotencyKey, reference, amount }, options.signal)
  }

  refund(reference: string, options: CallOptions): Promise<GatewayReply> {
    return this.#call({ kind: 'refund', key: options.idempotencyKey, reference }, options.signal)
  }

  payout(reference: string, amount: Money, options: CallOptions): Promise<GatewayReply> {
    return this.#call({ kind: 'payout', key: options.idempotencyKey, reference, amount }, options.signal)
  }

  /** Ends the gateway once it has answered. */
  async close(): Promise<void> {
    if (this.#worker.threadId === -1) return
    const exited = new Promise<void>((resolve) => {
      this.#worker.once('exit', () => resolve())
    })
    const call: GatewayCall = { kind: 'close' }
    this.#worker.postMessage(call)
    await exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #call(request: GatewayRequest, signal: AbortSignal | undefined): Promise<GatewayReply> {
    if (this.#flakyShare > 0) return this.#callFlaky(request, signal)
    return this.#book(request)
  }

  async #callFlaky(request: GatewayRequest, signal: AbortSignal | undefined): Promise<GatewayReply> {
    const timeouts = this.#timeouts.get(request.key) ?? 0
    const fate = shareOf(`${request.key} ${timeouts}`)
    if (timeouts >= timeoutsInRowMax || fate >= this.#flakyShare) {
      this.#timeouts.delete(request.key)
      return this.#book(request)
    }
    this.#count(request.key, timeouts + 1)
    // The second half of the unlucky calls does arrive: the money moves, and only the answer is lost.
    if (fate >= this.#flakyShare / 2) await this.#book(request)
    await sleep(timeoutMs, this.#clock, signal)
    throw new GatewayTimeoutError(request.key)
  }

  #count(key: string, timeouts: number): void {
    this.#timeouts.delete(key)
    this.#timeouts.set(key, timeouts)
    const [oldest] = this.#timeouts.keys()
    if (this.#timeouts.size > countedKeysMax && oldest !== undefined) this.#timeouts.delete(oldest)
  }

  #book(request: GatewayRequest): Promise<GatewayReply> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#queue.push({ request, resolve, reject })
      if (this.#queue.length === 1) queueMicrotask(() => this.#send())
    })
  }

  /** One batch at a time: what comes meanwhile shares the next sync. */
  #send(): void {
    if (this.#booking !== undefined || this.#queue.length === 0 || this.#totals === undefined) return
    this.#booking = this.#queue.splice(0, batchRequestsMax)
    const call: GatewayCall = { kind: 'book', requests: this.#booking.map((waiting) => waiting.request) }
    this.#worker.postMessage(call)
  }

  #receive(answer: GatewayAnswer): void {
    if (answer.kind === 'failed') {
      this.#fail(new GatewayDownError(answer.reason))
      return
    }
    this.#totals = answer.totals
    this.#opened.resolve()
    const booked = this.#booking ?? []
    this.#booking = undefined
    for (const [index, waiting] of booked.entries()) {
      const reply = answer.replies[index]
      if (reply === undefined) waiting.reject(new GatewayDownError('it lost an answer'))
      else waiting.resolve(reply)
    }
    this.#send()
  }

  #fail(error: GatewayDownError): void {
    this.#failure ??= error
    this.#opened.reject(this.#failure)
    for (const waiting of [...(this.#booking ?? []), ...this.#queue.splice(0)]) waiting.reject(this.#failure)
    this.#booking = undefined
  }
}
