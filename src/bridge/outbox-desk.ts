import {
  type Engine,
  type EngineEnvironment,
  type InTransit,
  PartitionUnknownError,
  type PublishWrite,
  type TopicDescription,
} from '../engine/index.ts'
import type { Clock, MillraceError, Timer } from '../kernel/index.ts'
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
  /** Why a relay has given up. */
  #failure: MillraceError | undefined

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
    return new Map((await this.#waitingFor(topic)).map(({ partition, from, to }) => [partition, to - from]))
  }

  /** Fails once an engine failed for good under a relay: what is put into outboxes would stay there. */
  checkRelays(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** What stands in all outboxes. Fails as {@link OutboxDesk.checkRelays}: it would stand there for ever. */
  async waiting(): Promise<readonly InTransit[]> {
    this.checkRelays()
    const all = await Promise.all(Array.from(this.#known.keys(), (topic) => this.#waitingFor(topic)))
    return all.flat().filter(({ from, to }) => to > from)
  }

  /** The settings of a topic changed: its outbox follows. */
  async refresh(topic: string): Promise<void> {
    if (!this.#known.has(topic)) return
    this.#known.set(topic, await ensureOutbox(this.#topics, this.#store, topic))
  }

  /** A topic is no more, and what was on its way to it is lost with it. Answers whether anything of that was left. */
  async forget(topic: string): Promise<boolean> {
    const outbox = outboxOf(topic)
    await this.#close(topic)
    let wasThere = false
    // The marks first: those of an outbox that is no more would have a new one go on where the old one was.
    for (const engine of [this.#topics, this.#store]) {
      if ((await engine.topics.describe(outbox)) === undefined) continue
      await engine.topics.delete(outbox)
      wasThere = true
    }
    return wasThere
  }

  /** Somebody else deleted an outbox, and may have made it anew: it is looked at again before anything more is put into it. */
  async renew(topics: readonly string[]): Promise<void> {
    for (const topic of new Set(topics)) {
      await this.#close(topic)
      await this.#ensure(topic)
    }
  }

  async #waitingFor(topic: string): Promise<readonly InTransit[]> {
    const outbox = outboxOf(topic)
    const partitions = (await this.#store.topics.describe(outbox))?.partitions ?? []
    return partitions.map(({ partition, earliest, latest }) => ({
      topic: outbox,
      partition,
      from: earliest,
      to: latest,
    }))
  }

  async #close(topic: string): Promise<void> {
    this.#known.delete(topic)
    const relay = this.#relays.get(topic)
    this.#relays.delete(topic)
    await relay?.close()
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
    const known = [...this.#known.keys()]
    const listed = await this.#store.topics.list()
    const outboxes = new Set(listed.map(({ name }) => name))
    for (const topic of known) if (!outboxes.has(outboxOf(topic))) await this.#close(topic)
    for (const { name } of listed) {
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
      const relay = new Relay(this.#topics, this.#store, topic, {
        clock: this.#clock,
        onFailed: (error) => {
          this.#failure ??= error
        },
      })
      await relay.start()
      this.#relays.set(topic, relay)
    }
    this.#known.set(topic, description)
  }
}
