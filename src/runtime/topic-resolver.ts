import {
  type Engine,
  PartitionUnknownError,
  type PublishWrite,
  type TopicConfig,
  type TopicDescription,
  TopicUnknownError,
} from '../engine/index.ts'
import { type Message, topicOfType } from '../message/index.ts'
import { deadLetterTopic } from './namespaces.ts'
import { declaredTopic } from './topic.ts'
import { checkDeclared } from './topic-differences.ts'

/** Dead letters hold whole messages: their topic takes as large ones as there are, unless the program declares less. */
const deadLetterBytesMax = 64 * 1024 * 1024

/** Topic of messages whose definition this process does not know. */
export const defaultTopic = 'events'

/**
 * Knows to which topic a message goes and that the topic is there: of one start of an app. Bounded by the number of types
 * and topics that the program publishes to.
 */
export class TopicResolver {
  readonly #engine: Engine
  readonly #topicByType = new Map<string, string>()
  readonly #partitionCounts = new Map<string, number>()
  readonly #recordBytesMax = new Map<string, number>()
  #commands: ReadonlySet<string> = new Set()
  readonly #ensuring = new Map<string, Promise<void>>()
  /** By topic, the last of those who wait to publish to it: over once it has published. */
  readonly #waiting = new Map<string, Promise<void>>()

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /** @throws TopicAmbiguousError `TOPIC_AMBIGUOUS` */
  topicOf(message: Message): string {
    let topic = this.#topicByType.get(message.type)
    if (topic === undefined) {
      topic = topicOfType(message.type) ?? defaultTopic
      this.#topicByType.set(message.type, topic)
    }
    return topic
  }

  /** Says which commands somebody handles, in this app or in another one. */
  knowCommands(types: Iterable<string>): void {
    this.#commands = new Set(types)
  }

  /** Whether somebody is known to handle a command. */
  isHandled(type: string): boolean {
    return this.#commands.has(type)
  }

  /** Whether it is known that the topic, with this partition, is there: if not, {@link TopicResolver.ensure} it. */
  isReady(topic: string, partition?: number): boolean {
    const partitionCount = this.#partitionCounts.get(topic)
    return partitionCount !== undefined && (partition === undefined || partition < partitionCount)
  }

  /**
   * Makes sure that a topic is there: creates it, with its declared settings, if the program declared it or a definition
   * names it.
   *
   * @throws TopicUnknownError `TOPIC_UNKNOWN`: nothing but this name is known of it. PartitionUnknownError
   *   `PARTITION_UNKNOWN`. TopicDiffersError `TOPIC_DIFFERS`
   */
  async ensure(topic: string, partition?: number): Promise<void> {
    let ensuring = this.#ensuring.get(topic)
    if (ensuring === undefined) {
      ensuring = this.#ensure(topic).finally(() => this.#ensuring.delete(topic))
      this.#ensuring.set(topic, ensuring)
    }
    await ensuring
    const partitionCount = this.#partitionCounts.get(topic) as number
    if (partition !== undefined && !(Number.isInteger(partition) && partition >= 0 && partition < partitionCount)) {
      throw new PartitionUnknownError(topic, partition, partitionCount)
    }
  }

  /**
   * Says that definitions or the app itself use a topic, so that it may be created.
   *
   * @throws TopicDiffersError `TOPIC_DIFFERS`: it exists, and is not what the program declares.
   */
  async create(topic: string): Promise<void> {
    await this.#create(topic)
  }

  /**
   * Publishes when the topics are there, and creates those that are not: after all that was to be published to one of them before, and
   * at once where nothing has to be waited for.
   */
  publish<Result>(writes: readonly PublishWrite[], commit: () => Promise<Result>): Promise<Result> {
    if (writes.every(({ topic }) => this.isReady(topic) && !this.#waiting.has(topic))) return commit()
    return this.#publishInTurn(new Set(writes.map(({ topic }) => topic)), commit)
  }

  /**
   * Makes sure of the topic of an app's dead letters, and looks how large its records may be.
   *
   * @throws TopicDiffersError `TOPIC_DIFFERS`
   */
  async createDeadLetters(app: string): Promise<void> {
    await this.#create(deadLetterTopic(app), { partitions: 1, recordBytesMax: deadLetterBytesMax })
  }

  /** The largest record of a topic when it was last looked at, in bytes; 0: it never was. */
  recordBytesMaxOf(topic: string): number {
    return this.#recordBytesMax.get(topic) ?? 0
  }

  async #publishInTurn<Result>(topics: ReadonlySet<string>, commit: () => Promise<Result>): Promise<Result> {
    const { promise: over, resolve } = Promise.withResolvers<void>()
    const before = [...topics].flatMap((topic) => this.#waiting.get(topic) ?? [])
    for (const topic of topics) this.#waiting.set(topic, over)
    const end = (): void => {
      resolve()
      for (const topic of topics) if (this.#waiting.get(topic) === over) this.#waiting.delete(topic)
    }
    try {
      await Promise.all(before)
      for (const topic of topics) if (!this.isReady(topic)) await this.create(topic)
      const committed = commit()
      // The next one need not wait for the disk: the engine keeps the order in which it was asked.
      end()
      return await committed
    } finally {
      end()
    }
  }

  async #ensure(topic: string): Promise<void> {
    const named = [...this.#topicByType.values()].includes(topic)
    if (named || declaredTopic(topic) !== undefined) return this.#create(topic)
    const description = await this.#engine.topics.describe(topic)
    if (description === undefined) throw new TopicUnknownError(topic)
    this.#note(description)
  }

  async #create(topic: string, defaults?: TopicConfig): Promise<void> {
    const declared = declaredTopic(topic)?.config
    const description = await this.#engine.topics.ensure(topic, { ...defaults, ...declared })
    if (declared !== undefined) checkDeclared(description, declared)
    this.#note(description)
  }

  #note({ name, config, partitions }: TopicDescription): void {
    this.#partitionCounts.set(name, partitions.length)
    this.#recordBytesMax.set(name, config.recordBytesMax)
  }
}
