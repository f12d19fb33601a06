import type { EmbeddedEngine } from '../../src/embedded/index.ts'
import type { Message } from '../../src/message/index.ts'
import type { Item } from './endured-app.ts'

/** Follows the messages of a topic. */
export class TopicTail {
  readonly topic: string
  readonly #engine: EmbeddedEngine
  readonly #offsets: number[] = []
  #round = -1

  constructor(engine: EmbeddedEngine, topic: string) {
    this.#engine = engine
    this.topic = topic
  }

  /** What came since the last call, or since the beginning: partition by partition, each in its order. */
  async next(): Promise<readonly Message<string, Item>[]> {
    const found: Message<string, Item>[] = []
    const { partitions = [] } = (await this.#engine.topics.describe(this.topic)) ?? {}
    for (const { partition, latest } of partitions) {
      for (let offset = this.#offsets[partition] ?? 0; offset < latest; ) {
        const page = await this.#engine.topics.read({ topic: this.topic, partition, offset })
        for (const record of page.records) {
          if (record.kind === 'message') found.push(record.message as Message<string, Item>)
        }
        offset = page.nextOffset
        this.#offsets[partition] = offset
      }
    }
    return found
  }

  /** The latest round that any message so far belongs to; -1: there is none yet. */
  async latestRound(): Promise<number> {
    for (const { data } of await this.next()) this.#round = Math.max(this.#round, data.round)
    return this.#round
  }
}
