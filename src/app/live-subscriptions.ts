import type { Engine, StateChange } from '../engine/index.ts'
import type { Clock, Random } from '../kernel/index.ts'
import type { AnyQueryDefinition } from '../message/index.ts'
import { type Haste, Subscription, type TopicResolver } from '../runtime/index.ts'
import type { Part } from './parts.ts'

/** What {@link LiveSubscriptions} are made of. */
export interface LiveSubscriptionsOptions {
  readonly app: string
  readonly engine: Engine
  readonly clock: Clock
  readonly random: Random
  readonly topics: TopicResolver
  readonly sessionTimeoutMs: number
  readonly stopTimeoutMs: number
  readonly query: (query: AnyQueryDefinition, params: unknown, signal: AbortSignal) => Promise<unknown>
  /** Something that must not happen did: the app has to end. */
  readonly onError: (error: unknown) => void
  /** Aborts when the app ends. */
  readonly signal: AbortSignal
}

/** The subscriptions of one start of an app, which come and go as copies of its views do. */
export class LiveSubscriptions {
  readonly #options: LiveSubscriptionsOptions
  readonly #byGroup = new Map<string, Subscription>()

  constructor(options: LiveSubscriptionsOptions) {
    this.#options = options
  }

  get byGroup(): ReadonlyMap<string, Subscription> {
    return this.#byGroup
  }

  /** Has a handler take its messages. */
  async add(part: Part, haste?: Haste): Promise<void> {
    const { app, engine, clock, random, topics, sessionTimeoutMs, query, onError, signal } = this.#options
    signal.throwIfAborted()
    const setup = {
      ...part,
      ...(haste !== undefined && { haste }),
      app,
      engine,
      clock,
      random,
      topics,
      sessionTimeoutMs,
      query,
    }
    const subscription = new Subscription(setup, onError)
    this.#byGroup.set(part.group, subscription)
    await subscription.start()
  }

  /** Lets a handler finish, and has it take no more. */
  async remove(group: string): Promise<void> {
    await this.#byGroup.get(group)?.stop(this.#options.stopTimeoutMs)
    this.#byGroup.delete(group)
  }

  /** Lets all handlers finish; they give back what they have not begun. */
  async stop(): Promise<void> {
    const { stopTimeoutMs } = this.#options
    await Promise.all(this.#all.map((one) => one.stop(stopTimeoutMs, { isReturning: true })))
  }

  /** Ends all of them at once, whatever they are doing. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.#all.map((one) => one.abandon()))
  }

  /** Looks after what was asked of dead letters: of these, or of all. */
  async takeUp(ids: readonly string[] | undefined): Promise<void> {
    const subscriptions = this.#all
    if (ids === undefined) await Promise.all(subscriptions.map((one) => one.scanRequests()))
    else for (const id of ids) for (const subscription of subscriptions) await subscription.onDeadLetterChange(id)
  }

  /** Looks after what anybody asks of dead letters, until the app ends. */
  async followRequests(changes: AsyncIterable<StateChange>): Promise<void> {
    const { onError, signal } = this.#options
    try {
      for await (const change of changes) {
        const requested = (change.value as { readonly requested?: unknown } | undefined)?.requested
        if (typeof requested === 'string') await this.takeUp([change.key])
      }
    } catch (error) {
      if (!signal.aborted) onError(error)
    }
  }

  get #all(): readonly Subscription[] {
    return [...this.#byGroup.values()]
  }
}
