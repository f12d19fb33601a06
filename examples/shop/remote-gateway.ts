import { GatewayDownError, GatewayTimeoutError } from './errors.ts'
import type { CallOptions, Gateway } from './gateway.ts'
import type { GatewayReply } from './gateway-ledger.ts'
import type { Money } from './money.ts'
import type { GatewayQuestion, WorkerNotice, WorkerRequest } from './worker-calls.ts'

interface Waiting {
  readonly key: string
  readonly resolve: (reply: GatewayReply) => void
  readonly reject: (error: Error) => void
}

/** The payment gateway as a worker process sees it: behind a channel that may end at any moment. */
export class RemoteGateway implements Gateway {
  readonly #send: (question: GatewayQuestion) => void
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 1
  #isGone = false

  constructor(send: (question: GatewayQuestion) => void) {
    this.#send = send
  }

  charge(reference: string, amount: Money, options: CallOptions): Promise<GatewayReply> {
    return this.#ask({ kind: 'charge', reference, amount }, options)
  }

  refund(reference: string, options: CallOptions): Promise<GatewayReply> {
    return this.#ask({ kind: 'refund', reference }, options)
  }

  payout(reference: string, amount: Money, options: CallOptions): Promise<GatewayReply> {
    return this.#ask({ kind: 'payout', reference, amount }, options)
  }

  /** What came through the channel. */
  receive(notice: Exclude<WorkerNotice, { readonly kind: 'stop' }>): void {
    const waiting = this.#waiting.get(notice.id)
    if (waiting === undefined) return
    this.#waiting.delete(notice.id)
    if (notice.kind === 'answer') waiting.resolve(notice.reply)
    else if (notice.kind === 'timeout') waiting.reject(new GatewayTimeoutError(waiting.key))
    else waiting.reject(new GatewayDownError(notice.reason))
  }

  /** The channel has ended: nothing more will come. */
  end(): void {
    this.#isGone = true
    for (const { reject } of this.#waiting.values()) reject(new GatewayDownError('its process has ended'))
    this.#waiting.clear()
  }

  #ask(request: WorkerRequest, { idempotencyKey }: CallOptions): Promise<GatewayReply> {
    if (this.#isGone) return Promise.reject(new GatewayDownError('its process has ended'))
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { key: idempotencyKey, resolve, reject })
      this.#send({ id, idempotencyKey, request })
    })
  }
}
