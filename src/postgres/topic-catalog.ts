import { PartitionUnknownError, type TopicConfig, TopicUnknownError } from '../engine/index.ts'
import { type NamedStatement, numberOf, type Row, type StatementRunner } from './statements.ts'

/** One partition as this process knows it. Its extent may lag behind the server's, and never runs ahead of it. */
export class Partition {
  readonly id: number
  readonly topic: string
  readonly number: number
  earliest: number
  latest: number
  /** Called once, when something is appended or the partition goes away. */
  readonly #waiters = new Set<() => void>()

  constructor(topic: string, id: number, number: number, earliest: number, latest: number) {
    this.topic = topic
    this.id = id
    this.number = number
    this.earliest = earliest
    this.latest = latest
  }

  advance(latest: number): void {
    if (latest <= this.latest) return
    this.latest = latest
    this.wake()
  }

  onChange(waiter: () => void): () => void {
    this.#waiters.add(waiter)
    return () => this.#waiters.delete(waiter)
  }

  wake(): void {
    for (const waiter of this.#waiters) waiter()
    this.#waiters.clear()
  }
}

/** A topic with its partitions. */
export interface Topic {
  readonly id: number
  readonly name: string
  readonly config: Required<TopicConfig>
  readonly partitions: readonly Partition[]
}

/**
 * The topics of the schema, in memory: found by name at each commit without asking the server.
 *
 * Other processes create, change and delete topics, so what stands here may be old. Nothing wrong comes of that: the server
 * refuses what is written to a partition that is no more, and a name that is missing here is looked for there.
 */
export class TopicCatalog {
  readonly #runner: StatementRunner
  readonly #select: NamedStatement
  #topics = new Map<string, Topic>()
  #partitions = new Map<number, Partition>()
  #version = -1
  #reading: Promise<void> | undefined
  #next: Promise<void> | undefined

  /** @param schema Quoted. */
  constructor(runner: StatementRunner, schema: string) {
    this.#runner = runner
    // Without a change, one row that says so.
    this.#select = {
      name: 'millrace_catalog',
      text: `SELECT meta.catalog_version, topic.id, topic.name, topic.config,
          partition.id AS partition_id, partition.number, partition.start_offset, partition.next_offset
        FROM ${schema}.meta
        LEFT JOIN (${schema}.topic JOIN ${schema}.partition ON partition.topic_id = topic.id AND NOT partition.is_deleted)
          ON meta.catalog_version <> $1::bigint
        ORDER BY topic.id, partition.number`,
    }
  }

  /** The version of what was read last: it rises with each change of topics and partitions. */
  get version(): number {
    return this.#version
  }

  get topics(): readonly Topic[] {
    return [...this.#topics.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  find(name: string): Topic | undefined {
    return this.#topics.get(name)
  }

  /** @throws TopicUnknownError */
  topic(name: string): Topic {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new TopicUnknownError(name)
    return topic
  }

  /** @throws TopicUnknownError, PartitionUnknownError */
  partition(name: string, number: number): Partition {
    const topic = this.topic(name)
    const partition = typeof number === 'number' ? topic.partitions[number] : undefined
    if (partition === undefined) throw new PartitionUnknownError(name, number, topic.partitions.length)
    return partition
  }

  partitionById(id: number): Partition | undefined {
    return this.#partitions.get(id)
  }

  /** Like {@link TopicCatalog.topic}, but asks the server before it says that there is none. */
  async resolveTopic(name: string): Promise<Topic> {
    if (!this.#topics.has(name)) await this.refresh()
    return this.topic(name)
  }

  /** Like {@link TopicCatalog.partition}, but asks the server before it says that there is none. */
  async resolvePartition(name: string, number: number): Promise<Partition> {
    if (this.#topics.get(name)?.partitions[number] === undefined) await this.refresh()
    return this.partition(name, number)
  }

  /** Reads the topics as they are after this call. Calls that come while one reads share the next one. */
  refresh(): Promise<void> {
    if (this.#reading === undefined) {
      this.#reading = this.#read().finally(() => {
        this.#reading = undefined
      })
      return this.#reading
    }
    this.#next ??= this.#reading
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined
        return this.refresh()
      })
    return this.#next
  }

  /** Wakes everybody who waits for a partition, to look for themselves what happened. */
  wake(): void {
    for (const partition of this.#partitions.values()) partition.wake()
  }

  async #read(): Promise<void> {
    const rows = await this.#runner.query(this.#select, [this.#version])
    const version = numberOf(rows[0] as Row, 'catalog_version')
    if (version === this.#version) return
    const topics = new Map<string, Topic & { readonly partitions: Partition[] }>()
    const partitions = new Map<number, Partition>()
    for (const row of rows) {
      if (row['id'] === null) continue
      const name = String(row['name'])
      let topic = topics.get(name)
      if (topic === undefined) {
        const config = JSON.parse(String(row['config'])) as Required<TopicConfig>
        topic = { id: numberOf(row, 'id'), name, config, partitions: [] }
        topics.set(name, topic)
      }
      const partition = this.#partitionOf(row, name)
      topic.partitions.push(partition)
      partitions.set(partition.id, partition)
    }
    const before = this.#partitions
    this.#topics = topics
    this.#partitions = partitions
    this.#version = version
    for (const [id, partition] of before) if (!partitions.has(id)) partition.wake()
  }

  /** Partitions keep their identity from one reading to the next. */
  #partitionOf(row: Row, topic: string): Partition {
    const id = numberOf(row, 'partition_id')
    const [earliest, latest] = [numberOf(row, 'start_offset'), numberOf(row, 'next_offset')]
    const known = this.#partitions.get(id)
    if (known === undefined) return new Partition(topic, id, numberOf(row, 'number'), earliest, latest)
    known.earliest = Math.max(known.earliest, earliest)
    known.advance(latest)
    return known
  }
}
