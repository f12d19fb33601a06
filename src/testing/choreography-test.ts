import { type Duration, durationMs, frozenJson, type Json, VirtualClock } from '../kernel/index.ts'
import { contextFor, type Message, runInContext } from '../message/index.ts'
import type { Effect, Handler, HandlerContext, ScheduleEffect } from '../runtime/index.ts'
import { type Choreography, type ProcessPast, type ProcessState, processPastOf } from '../saga/index.ts'
import { handlerContext } from './handler-context.ts'

/** An event, or a look at the time, that was given up. */
export interface GivenUp {
  readonly key: string
  /** Type of the event; `null`: of what had waited, as the error says. */
  readonly type: string | null
  readonly error: unknown
}

/**
 * Runs a choreography without an engine, in memory, on a clock that stands still until it is told to move.
 *
 * @example
 * ```ts
 * const test = choreographyTest(fulfilment)
 * test.send(PaymentReceived({ orderId: 'o1' }), OrderPlaced({ orderId: 'o1' }))
 * await test.advance('15m')
 * assert.deepEqual(test.published.map(({ type }) => type), ['OrderRejected'])
 * ```
 */
export function choreographyTest(
  choreography: Choreography,
  options: { readonly startMs?: number } = {},
): ChoreographyTest {
  return new ChoreographyTest(choreography, options.startMs)
}

/** A choreography under test. Made by {@link choreographyTest}. */
export class ChoreographyTest {
  readonly clock: VirtualClock
  /** What was published, in order. */
  readonly published: Message[] = []
  /** Commands that were sent, in order, also those that are to wait. */
  readonly sent: Message[] = []
  /** What would be dead letters. */
  readonly givenUp: GivenUp[] = []
  readonly #choreography: Choreography
  readonly #processes = new Map<string, ProcessState>()
  /** By name and key. */
  readonly #timers = new Map<string, { cancel(): void }>()

  constructor(choreography: Choreography, startMs?: number) {
    this.#choreography = choreography
    this.clock = new VirtualClock(startMs)
  }

  /** Sends events, one after the other. */
  send(...events: readonly Message[]): void {
    const { handle, key: keyOf, name } = this.#choreography
    for (const event of events) {
      const key = (keyOf === undefined ? event.partitionkey : keyOf(event)) as string
      const context = contextFor(event, { source: '/test', clock: this.clock, handlerId: name })
      const handled = (): unknown => handle(event, this.#processes.get(key) ?? null, this.#context(event.id))
      this.#run(key, event.type, () => runInContext(context, handled))
    }
  }

  /** Moves the clock, and lets time-outs apply that fall due on the way. */
  async advance(duration: Duration): Promise<void> {
    await this.clock.advance(durationMs(duration))
  }

  /** A process as it was committed last. */
  process(key: string): ProcessState | undefined {
    return this.#processes.get(key)
  }

  /** What happened to a process, and how it was at any point. */
  past(key: string): ProcessPast | undefined {
    const state = this.#processes.get(key)
    return state === undefined ? undefined : processPastOf(this.#choreography.name, key, state)
  }

  #run(key: string, type: string | null, run: () => unknown): void {
    let effects: readonly Effect<unknown>[]
    try {
      effects = run() as readonly Effect<unknown>[]
    } catch (error) {
      this.givenUp.push({ key, type, error })
      return
    }
    for (const effect of effects) this.#apply(key, effect)
  }

  #apply(key: string, effect: Effect<unknown>): void {
    if (effect.kind === 'publish') this.published.push(...effect.messages)
    else if (effect.kind === 'send') this.sent.push(effect.command)
    else if (effect.kind === 'remove') this.#processes.delete(key)
    // As the store gives it back.
    else if (effect.kind === 'set') {
      this.#processes.set(key, frozenJson(JSON.parse(JSON.stringify(effect.value))) as ProcessState)
    } else if (effect.kind === 'cancel') this.#timers.get(`${effect.id} ${key}`)?.cancel()
    else if (effect.kind === 'schedule') this.#schedule(key, effect)
  }

  #schedule(key: string, { id, when, data }: ScheduleEffect): void {
    const name = `${id} ${key}`
    this.#timers.get(name)?.cancel()
    const run = this.#choreography.timers[id] as Handler['timers'][string]
    const dueMs = (when as { readonly at: number }).at
    const timer = { id, key, data: data as Json, dueMs }
    const fire = (): void =>
      this.#run(key, null, () => run(timer, this.#processes.get(key) ?? null, this.#context(name)))
    this.#timers.set(name, this.clock.setTimer(fire, Math.max(0, dueMs - this.clock.nowMs())))
  }

  #context(id: string): HandlerContext {
    return handlerContext({ key: `${this.#choreography.name}:${id}`, nowMs: () => this.clock.nowMs() })
  }
}
