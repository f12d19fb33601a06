import {
  type Engine,
  type EngineEnvironment,
  PartitionUnknownError,
  type PublishWrite,
  type TopicDescription,
} from '../engine/index.ts'
import type { Clock, Timer } from '../kernel/index.ts'
import { CompactedWithoutKeyError } from './errors.ts'
import { ensureOutbox, outboxOf, topicOfOutbox } from './outbox.ts'
import { Relay } from './relay.ts'

/** How often it is looked whether other processes made outboxes. */
const lookEveryMs = 10_000

/** Knows the outboxes, and runs a relay for each. */
export class OutboxDesk {
  readonly #topics: Engine
  readonly #store: Engine
  readonly #clock: Clock
  /** The relays are left to others: one more member would move partitions for a moment, and back. */
  readonly #visit: EngineEnvironment['visit']
  readonly #known = new Map<string, TopicDescription>()
  readonly #relays = new Map<string, Relay>()
  readonly #opening = new Map<string, Promise<void>>()
  #timer: Timer | undefined
  #isClosed = false

  constructor(topics: Engine, store: Engine, { clock, visit }: EngineEnvironment) {
    this.#topics = topics
    this.#store = store
    this.#clock = clock
    this.#visit = visit
  }

  /** Takes up what an earlier process left, or another one makes. */
  async open(): Promise<void> {
    await this.#look()
    if (this.#visit === undefined) this.#lookLater()
  }

  has(topic: string): boolean {
    return this.#known.has(topic)
  }

  /** Makes sure of outboxes, with their relays. @throws TopicUnknownError */
  async ensureAll(topics: readonly string[]): Promise<void> {
    for (const topic of new Set(topics)) if (!this.#known.has(topic)) await this.#ensure(topic)
  }

  /**
   * What the topic would refuse is refused here: in the outbox nobody could be told any more.
   * @throws PartitionUnknownError `PARTITION_UNKNOWN`, CompactedWithoutKeyError `COMPACTED_WITHOUT_KEY`
   */
  check(writes: readonly PublishWrite[]): void {
    for (const { topic, partition, messages = [], records = [] } of writes) {
      const description = this.#known.get(topic)
      if (description === undefined) continue
      const { length } = description.partitions
      if (partition !== undefined && !(Number.isInteger(partition) && partition >= 0 && partition < length)) {
        throw new PartitionUnknownError(topic, partition, length)
      }
      const hasNoKey =
        messages.some((message) => message.partitionkey === undefined) || records.some((record) => record.key === null)
      if (hasNoKey && description.config.cleanup !== 'delete') throw new CompactedWithoutKeyError(topic)
    }
  }

  wake(topic: string): void {
    this.#relays.get(topic)?.wake()
  }

  /** Records that stand in the outbox of a topic, by partition: the relay removes what has reached the topic. */
  async backlog(topic: string): Promise<ReadonlyMap<number, number>> {
    const partitions = (await this.#store.topics.describe(outboxOf(topic)))?.partitions ?? []
    return new Map(partitions.map(({ partition, earliest, latest }) => [partition, latest - earliest]))
  }

  /** Whether all outboxes are empty. */
  async isEmpty(): Promise<boolean> {
    for (const topic of this.#known.keys()) {
      for (const count of (await this.backlog(topic)).values()) if (count > 0) return false
    }
    return true
  }

  /** The settings of a topic changed: its outbox follows. */
  async refresh(topic: string): Promise<void> {
    if (!this.#known.has(topic)) return
    this.#known.set(topic, await ensureOutbox(this.#topics, this.#store, topic))
  }

  /** A topic is no more, and what was on its way to it is lost with it. */
  async forget(topic: string): Promise<void> {
    const outbox = outboxOf(topic)
    this.#known.delete(topic)
    await this.#relays.get(topic)?.close()
    this.#relays.delete(topic)
    for (const engine of [this.#store, this.#topics]) {
      if ((await engine.topics.describe(outbox)) !== undefined) await engine.topics.delete(outbox)
    }
  }

  /** Tells the relays to stop. */
  stop(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    for (const relay of this.#relays.values()) relay.stop()
  }

  /** Resolves when none of them does anything any more. */
  async stopped(): Promise<void> {
    await Promise.allSettled(this.#opening.values())
    await Promise.allSettled([...this.#relays.values()].map((relay) => relay.close()))
  }

  /** Topics whose outbox stands in the store. */
  async #look(): Promise<void> {
    for (const { name } of await this.#store.topics.list()) {
      const topic = topicOfOutbox(name)
      if (topic === undefined || this.#known.has(topic) || this.#isClosed) continue
      const description = await this.#topics.topics.describe(topic)
      if (description === undefined) continue
      if (this.#visit === 'read') this.#known.set(topic, description)
      else await this.#ensure(topic)
    }
  }

  #lookLater(): void {
    if (this.#isClosed) return
    this.#timer = this.#clock.setTimer(
      () => {
        // A store that is away is looked at again later.
        void this.#look().then(
          () => this.#lookLater(),
          () => this.#lookLater(),
        )
      },
      lookEveryMs,
      { unref: true },
    )
  }

  #ensure(topic: string): Promise<void> {
    let opening = this.#opening.get(topic)
    if (opening === undefined) {
      opening = this.#open(topic).finally(() => this.#opening.delete(topic))
      this.#opening.set(topic, opening)
    }
    return opening
  }

  async #open(topic: string): Promise<void> {
    const description = await ensureOutbox(this.#topics, this.#store, topic)
    if (this.#visit === undefined && !this.#relays.has(topic) && !this.#isClosed) {
      const relay = new Relay(this.#topics, this.#store, topic, this.#clock)
      await relay.start()
      this.#relays.set(topic, relay)
    }
    this.#known.set(topic, description)
  }
}
