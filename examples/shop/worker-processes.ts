import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { type Clock, sleep } from '../../src/index.ts'
import { GatewayTimeoutError, WorkerDownError } from './errors.ts'
import type { Gateway } from './gateway.ts'
import type { GatewayReply } from './gateway-ledger.ts'
import type { GatewayQuestion, WorkerNotice, WorkerSettings } from './worker-calls.ts'

/** A process that says nothing for so long is taken for dead, and the others take over what it had. */
export const workerSessionTimeout = '10s'

/** A worker that dies is started again after this pause, in milliseconds. */
const restartPauseMs = 200
/** Who dies so soon after its start, in milliseconds, has hardly worked. */
const shortLifeMs = 5_000
/** After so many short lives in a row something is wrong that starting again does not mend. */
const shortLivesMax = 5
/** A worker that was told to end has this long, in milliseconds. */
const stopTimeoutMs = 15_000

/**
 * The other processes of a shop with several. The first one keeps the payment gateway, reads the invoices in and works along;
 * those here only work. One that dies is replaced.
 */
export class WorkerProcesses implements AsyncDisposable {
  readonly #settings: Omit<WorkerSettings, 'number'>
  readonly #gateway: Gateway
  readonly #clock: Clock
  readonly #children = new Set<ChildProcess>()
  readonly #ending = new AbortController()
  readonly #lives: Promise<void>[] = []
  readonly #down = Promise.withResolvers<never>()

  /** @param count Without the first process. */
  constructor(count: number, settings: Omit<WorkerSettings, 'number'>, gateway: Gateway, clock: Clock) {
    this.#settings = settings
    this.#gateway = gateway
    this.#clock = clock
    // Who never asks shall not make it an unhandled rejection.
    this.#down.promise.catch(() => undefined)
    for (let number = 1; number <= count; number++) {
      this.#lives.push(this.#keepAlive(number).catch((error: unknown) => this.#down.reject(error)))
    }
  }

  /** Process ids of those that run. */
  get pids(): readonly number[] {
    return [...this.#children].flatMap(({ pid }) => pid ?? [])
  }

  /** Rejects when workers die as often as they are started. @throws WorkerDownError `SHOP_WORKER_DOWN` */
  get down(): Promise<never> {
    return this.#down.promise
  }

  /** Tells all to end, and waits. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort()
    for (const child of this.#children) tell(child, { kind: 'stop' })
    const late = this.#clock.setTimer(() => {
      for (const child of this.#children) child.kill('SIGKILL')
    }, stopTimeoutMs)
    await Promise.all(this.#lives)
    late.cancel()
  }

  async #keepAlive(number: number): Promise<void> {
    for (let shortLives = 0; !this.#ending.signal.aborted; ) {
      const startedMs = this.#clock.monotonicMs()
      const end = await this.#live(number)
      if (this.#ending.signal.aborted) return
      shortLives = this.#clock.monotonicMs() - startedMs < shortLifeMs ? shortLives + 1 : 0
      if (shortLives >= shortLivesMax) throw new WorkerDownError(end)
      await sleep(restartPauseMs, this.#clock, this.#ending.signal).catch(() => undefined)
    }
  }

  /** One process from its start to its end; resolves with how it ended. */
  #live(number: number): Promise<string> {
    const settings: WorkerSettings = { ...this.#settings, number }
    const child = fork(join(import.meta.dirname, 'worker.ts'), [JSON.stringify(settings)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.#children.add(child)
    child.on('message', (question: GatewayQuestion) => {
      this.#answer(child, question).catch((error: unknown) => this.#down.reject(error))
    })
    return new Promise((resolve) => {
      const gone = (how: string): void => {
        this.#children.delete(child)
        resolve(how)
      }
      child.once('error', (error) => gone(error.message))
      child.once('exit', (code, signal) => gone(`it ended with ${signal ?? code}`))
    })
  }

  async #answer(child: ChildProcess, { id, idempotencyKey, request }: GatewayQuestion): Promise<void> {
    try {
      tell(child, { kind: 'answer', id, reply: await this.#ask(request, idempotencyKey) })
    } catch (error) {
      if (error instanceof GatewayTimeoutError) tell(child, { kind: 'timeout', id })
      else tell(child, { kind: 'down', id, reason: error instanceof Error ? error.message : String(error) })
    }
  }

  #ask(request: GatewayQuestion['request'], idempotencyKey: string): Promise<GatewayReply> {
    const { reference } = request
    switch (request.kind) {
      case 'charge':
        return this.#gateway.charge(reference, request.amount, { idempotencyKey })
      case 'payout':
        return this.#gateway.payout(reference, request.amount, { idempotencyKey })
      case 'refund':
        return this.#gateway.refund(reference, { idempotencyKey })
    }
  }
}

/** A worker that has just died needs no answer. */
function tell(child: ChildProcess, notice: WorkerNotice): void {
  if (child.connected) child.send(notice, () => undefined)
}
