import {
  type Engine,
  type MaintenanceReport,
  type ReadRequest,
  type ReadResult,
  type StartPosition,
  type TopicConfig,
  type TopicDescription,
  type Topics,
  TopicUnknownError,
} from '../engine/index.ts'
import type { BridgedGroups } from './bridged-groups.ts'
import { topicOfOutbox } from './outbox.ts'
import type { OutboxDesk } from './outbox-desk.ts'

/** The topics of one engine, whose outboxes stand in another one. */
export class BridgedTopics implements Topics {
  readonly #engine: Engine
  readonly #desk: OutboxDesk
  readonly #groups: BridgedGroups

  constructor(engine: Engine, desk: OutboxDesk, groups: BridgedGroups) {
    this.#engine = engine
    this.#desk = desk
    this.#groups = groups
  }

  create(name: string, config?: TopicConfig): Promise<TopicDescription> {
    return this.#engine.topics.create(name, config)
  }

  ensure(name: string, config?: TopicConfig): Promise<TopicDescription> {
    return this.#engine.topics.ensure(name, config)
  }

  async alter(name: string, changes: TopicConfig): Promise<TopicDescription> {
    const altered = await this.#engine.topics.alter(name, changes)
    await this.#desk.refresh(name)
    return altered
  }

  async delete(name: string): Promise<void> {
    // One that was interrupted is finished by the next one, which no longer finds the topic.
    const unknown = await this.#engine.topics.delete(name).catch((error: unknown) => {
      if (error instanceof TopicUnknownError) return error
      throw error
    })
    const hadOutbox = await this.#desk.forget(name)
    const hadProgress = await this.#groups.forgetTopic(name)
    if (unknown !== undefined && !hadOutbox && !hadProgress) throw unknown
  }

  describe(name: string): Promise<TopicDescription | undefined> {
    return this.#engine.topics.describe(name)
  }

  async list(): Promise<readonly TopicDescription[]> {
    return (await this.#engine.topics.list()).filter(({ name }) => topicOfOutbox(name) === undefined)
  }

  locate(topic: string, partition: number, start: StartPosition): Promise<number> {
    return this.#engine.topics.locate(topic, partition, start)
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    // Progress on what is read stands in another engine: it must not be ahead of the record.
    const result = await this.#engine.topics.read({ ...request, early: false })
    this.#groups.noteEnd(request.topic, request.partition, result.latest)
    return result
  }

  truncate(topic: string, partition: number, beforeOffset: number): Promise<void> {
    return this.#engine.topics.truncate(topic, partition, beforeOffset)
  }

  registerProducer(name: string): Promise<{ readonly producerId: number; readonly epoch: number }> {
    return this.#engine.topics.registerProducer(name)
  }

  maintain(): Promise<MaintenanceReport> {
    return this.#engine.topics.maintain()
  }
}
