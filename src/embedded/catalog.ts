import type { DatabaseSync } from 'node:sqlite'
import { UnsyncedTail } from '../committing/index.ts'
import { PartitionUnknownError, type TopicConfig, TopicUnknownError } from '../engine/index.ts'
import { memoryPath } from './connection.ts'
import { FileDamagedError } from './errors.ts'
import { deletedTopicPrefix, type PartitionRow, type TopicRow } from './store/protocol.ts'
import { selectTopic, storedTopic } from './store/stored-topic.ts'
import { readPartitions } from './store/topic-writer.ts'

/** One partition as the engine knows it. Its end moves when a commit is acknowledged, never before. */
export class Partition {
  readonly id: number
  readonly topic: string
  readonly number: number
  earliest: number
  latest: number
  readonly unsynced: UnsyncedTail = new UnsyncedTail()
  /** Called once, when something is appended or the partition goes away. */
  readonly #waiters = new Set<() => void>()
  /** The same, of those who do not wait for the disk: also when something is on its way there. */
  readonly #earlyWaiters = new Set<() => void>()

  constructor(topic: string, row: PartitionRow) {
    this.topic = topic
    this.id = row.id
    this.number = row.number
    this.earliest = row.earliest
    this.latest = row.latest
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

  onStaged(waiter: () => void): () => void {
    this.#earlyWaiters.add(waiter)
    return () => this.#earlyWaiters.delete(waiter)
  }

  get isAwaited(): boolean {
    return this.#waiters.size > 0 || this.isAwaitedEarly
  }

  get isAwaitedEarly(): boolean {
    return this.#earlyWaiters.size > 0
  }

  wake(): void {
    for (const waiter of this.#waiters) waiter()
    this.#waiters.clear()
    this.wakeEarly()
  }

  wakeEarly(): void {
    for (const waiter of this.#earlyWaiters) waiter()
    this.#earlyWaiters.clear()
  }
}

/** A topic with its partitions. */
export interface Topic {
  readonly id: number
  readonly name: string
  readonly config: Required<TopicConfig>
  readonly partitions: readonly Partition[]
}

/** All topics, in memory: found by name at each commit without asking the file. */
export class Catalog {
  readonly #topics = new Map<string, Topic>()
  readonly #partitions = new Map<number, Partition>()

  static read(db: DatabaseSync): Catalog {
    const catalog = new Catalog()
    catalog.refresh(db)
    return catalog
  }

  /** Reads the topics again: for an engine beside another process that writes. */
  refresh(db: DatabaseSync): void {
    const rows = db.prepare(selectTopic).all()
    const present = new Set<string>()
    for (const row of rows) {
      const { id, name, config: text } = storedTopic(db, row)
      if (name.startsWith(deletedTopicPrefix)) continue
      const config = configOf(db, name, text)
      present.add(name)
      this.put({ id, name, config, partitions: partitionsOf(db, id, name, config.partitions) })
    }
    for (const name of this.#topics.keys()) if (!present.has(name)) this.remove(name)
  }

  /** Adds a topic or brings it up to date; partitions keep their identity. */
  put(row: TopicRow): Topic {
    const before = this.#topics.get(row.name)
    // Deleted and created anew under its name, by another process.
    if (before !== undefined && before.id !== row.id) this.remove(row.name)
    const kept = before?.id === row.id ? before.partitions : []
    const partitions = row.partitions.map((one) => {
      const partition = kept[one.number] ?? new Partition(row.name, one)
      partition.earliest = Math.max(partition.earliest, one.earliest)
      partition.advance(one.latest)
      this.#partitions.set(partition.id, partition)
      return partition
    })
    const topic = { id: row.id, name: row.name, config: row.config, partitions }
    this.#topics.set(row.name, topic)
    return topic
  }

  remove(name: string): void {
    for (const partition of this.#topics.get(name)?.partitions ?? []) {
      this.#partitions.delete(partition.id)
      partition.wake()
    }
    this.#topics.delete(name)
  }

  /** Puts back a topic that was removed but could not be deleted. */
  restore(topic: Topic): void {
    this.#topics.set(topic.name, topic)
    for (const partition of topic.partitions) this.#partitions.set(partition.id, partition)
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

  get topics(): readonly Topic[] {
    return [...this.#topics.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }
}

/** @throws FileDamagedError `FILE_DAMAGED`: not all of them are there */
function partitionsOf(db: DatabaseSync, id: number, topic: string, count: number): readonly PartitionRow[] {
  const partitions = readPartitions(db, id)
  if (partitions.length === count && partitions.every(({ number }, i) => number === i)) return partitions
  const place = `topic ${topic} has ${partitions.length} of its ${count} partitions`
  throw new FileDamagedError(db.location() ?? memoryPath, place)
}

function configOf(db: DatabaseSync, topic: string, text: string): Required<TopicConfig> {
  try {
    return JSON.parse(text) as Required<TopicConfig>
  } catch (cause) {
    const place = `the settings of topic ${topic} are no JSON`
    throw new FileDamagedError(db.location() ?? memoryPath, place, { cause })
  }
}
