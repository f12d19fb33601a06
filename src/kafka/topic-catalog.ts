import { checkTopicName, type PartitionPlace, type PlaceCatalog, type TopicPlace } from '../committing/index.ts'
import { OffsetSet, PartitionUnknownError, type TopicConfig, TopicUnknownError } from '../engine/index.ts'
import type { Cluster, Patience, TopicMetadata } from './cluster.ts'
import { errorCode } from './error-codes.ts'
import { batchBytesMaxFor, configOf, maxMessageBytesOf, ownSettings } from './topic-settings.ts'

/** Ranges without records that are remembered for a partition. */
const gapCountMax = 1000
const topicResource = 2

/** One partition as this process knows it. */
export class Partition implements PartitionPlace {
  readonly id: number
  readonly topic: string
  readonly number: number
  leaderId: number
  /** What was committed or read here reaches this far. */
  latest = 0
  isGone = false
  /** Offsets that hold no record: markers of transactions, what was aborted, what compaction took. */
  #gaps = new OffsetSet({ next: 0, done: [] })

  constructor(topic: string, id: number, number: number, leaderId: number) {
    this.topic = topic
    this.id = id
    this.number = number
    this.leaderId = leaderId
  }

  advance(latest: number): void {
    if (latest > this.latest) this.latest = latest
  }

  /** Notes that no record stands from `from` up to, not including, `to`. */
  noteGap(from: number, to: number): void {
    // Far behind, what is not remembered only makes one more read.
    if (this.#gaps.ranges.length >= gapCountMax) {
      const kept = this.#gaps.ranges.slice(gapCountMax / 2)
      this.#gaps = new OffsetSet({ next: 0, done: kept })
    }
    this.#gaps.add(from, to)
  }

  /** Adds to what is done the gaps that follow it at once: nobody will ever do them. */
  closeGaps(done: OffsetSet): void {
    for (const { from, to } of this.#gaps.ranges) {
      if (to <= done.next) continue
      if (from > done.end) return
      if (done.has(from - 1) || from <= done.next) done.add(from, to)
    }
  }
}

/** A topic with its partitions. */
export interface Topic extends TopicPlace<Partition> {
  /** Changes when a topic is deleted and made anew under its name. */
  readonly topicId: string
  readonly config: Required<TopicConfig>
  readonly partitions: readonly Partition[]
  /** When this was learnt, on the monotonic clock. */
  readonly knownSinceMs: number
}

/** What one question found. */
interface Look {
  readonly found: readonly Topic[]
  /** Topics of which nothing can be told yet, as of one that was just made. */
  readonly leaderless: readonly string[]
}

/** Topics as the cluster told of them; commits find them here without waiting. */
export class TopicCatalog implements PlaceCatalog<Partition> {
  readonly #cluster: Cluster
  readonly #topics = new Map<string, Topic>()
  readonly #partitions = new Map<number, Partition>()
  readonly #refreshing = new Map<string, Promise<void>>()
  #nextId = 1

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  find(name: string): Topic | undefined {
    return this.#topics.get(name)
  }

  /** By the id that the cluster gave it. */
  findById(topicId: string): Topic | undefined {
    for (const topic of this.#topics.values()) if (topic.topicId === topicId) return topic
    return undefined
  }

  topic(name: string): Topic {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new TopicUnknownError(name)
    return topic
  }

  partition(name: string, number: number): Partition {
    const topic = this.topic(name)
    const partition = typeof number === 'number' ? topic.partitions[number] : undefined
    if (partition === undefined) throw new PartitionUnknownError(name, number, topic.partitions.length)
    return partition
  }

  partitionById(id: number): Partition | undefined {
    return this.#partitions.get(id)
  }

  /** Whether a topic is known, with that partition if one is named; what is known for long is asked for anew on the side. */
  has(name: string, partition?: number): boolean {
    const topic = this.#topics.get(name)
    if (topic === undefined) return false
    const { clock, options } = this.#cluster
    if (clock.monotonicMs() - topic.knownSinceMs > options.metadataMaxAgeMs) {
      // Nobody waits for it: whoever needs what has changed meets it as an error of the broker.
      this.refresh(name).catch(() => undefined)
    }
    return partition === undefined || topic.partitions[partition] !== undefined
  }

  /** Like {@link topic}, but asks the cluster before it says that there is none. */
  async resolveTopic(name: string, patience?: Patience): Promise<Topic> {
    if (!this.has(name)) await this.refresh(name, patience)
    return this.topic(name)
  }

  /** Like {@link partition}, but asks the cluster before it says that there is none. */
  async resolvePartition(name: string, number: number, patience?: Patience): Promise<Partition> {
    if (!this.has(name, number)) await this.refresh(name, patience)
    return this.partition(name, number)
  }

  /**
   * Learns of topics as they are now. Calls for the same one at the same time share one look.
   *
   * @param patience Default: that of administration.
   */
  refresh(name: string | ReadonlySet<string>, patience: Patience = this.#cluster.usual): Promise<void> {
    // What Kafka would not take as a name is the name of nothing, and asking for it would be an error of another kind.
    const names = (name instanceof Set ? [...(name as ReadonlySet<string>)] : [name as string]).filter(isTopicName)
    const [first] = names
    if (first === undefined) return Promise.resolve()
    if (names.length > 1) return this.#learn(async () => names, patience).then(() => undefined)
    // Who is to wait for longer must not be told that others have given up.
    const key = `${patience.limitMs}/${first}`
    const running = this.#refreshing.get(key)
    if (running !== undefined) return running
    const look = this.#learn(async () => names, patience)
      .then(() => undefined)
      .finally(() => this.#refreshing.delete(key))
    this.#refreshing.set(key, look)
    return look
  }

  /** Learns of all topics whose names begin with a prefix, but for those that the cluster keeps for itself. */
  async refreshAll(prefix = ''): Promise<readonly Topic[]> {
    const found = await this.#learn(async () => {
      // What somebody made while the question was under way may be missing in the answer.
      const known = [...this.#topics.keys()]
      const { topics } = await this.#cluster.metadata(null)
      const named = new Set(topics.flatMap(({ name, isInternal }) => (isInternal || !name ? [] : [name])))
      return [...new Set([...named, ...known])].filter((name) => name.startsWith(prefix))
    }, this.#cluster.usual)
    return found.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** A topic is gone, as far as this process has to do with it. */
  forget(name: string): void {
    this.#drop(name)
  }

  /** Those of the named ones that are there. Only who has no leader yet is looked at again: others come and go meanwhile. */
  async #learn(namesOf: () => Promise<readonly string[]>, patience: Patience): Promise<Topic[]> {
    const found: Topic[] = []
    let pending: readonly string[] | undefined
    await this.#cluster.persist(async () => {
      pending ??= await namesOf()
      const look = await this.#look(pending)
      found.push(...look.found)
      pending = look.leaderless
      const [first] = pending
      if (first !== undefined) throw this.#cluster.obstacle(`topic "${first}" has no leader`)
    }, patience)
    return found
  }

  async #look(names: readonly string[]): Promise<Look> {
    if (names.length === 0) return { found: [], leaderless: [] }
    const { topics } = await this.#cluster.metadata(names)
    const there: TopicMetadata[] = []
    const leaderless: string[] = []
    const missing = new Set<string>()
    for (const topic of topics) {
      const { errorCode: code } = topic
      const name = topic.name ?? ''
      if (code === errorCode.unknownTopicOrPartition || code === errorCode.invalidTopic) missing.add(name)
      else if (code === errorCode.leaderNotAvailable) leaderless.push(name)
      else if (code !== errorCode.none) this.#cluster.accept('Metadata', code, name)
      // A partition that nobody leads keeps nobody from the others.
      else there.push(topic)
    }
    const elsewhere = new Set<string>()
    if (missing.size > 0) {
      for (const topic of await this.#cluster.secondOpinions([...missing])) {
        const name = topic.name ?? ''
        const isThere = topic.errorCode === errorCode.none || topic.errorCode === errorCode.leaderNotAvailable
        if (!isThere || !missing.delete(name)) continue
        elsewhere.add(name)
        if (topic.errorCode === errorCode.none) there.push(topic)
        else leaderless.push(name)
      }
      for (const name of missing) this.#drop(name)
    }
    const settings = await this.#settings(there.map(({ name }) => name ?? ''))
    const found = there.flatMap((topic) => {
      const name = topic.name ?? ''
      const own = settings.get(name)
      if (own !== undefined) return [this.#put(topic, own)]
      // Deleted between the two questions, or not known to the broker that is behind: then it goes by Kafka's settings until it is.
      const known = this.#topics.get(name)
      return elsewhere.has(name) ? [known ?? this.#put(topic, new Map())] : []
    })
    return { found, leaderless }
  }

  async #settings(names: readonly string[]): Promise<Map<string, Map<string, string | null>>> {
    if (names.length === 0) return new Map()
    const link = await this.#cluster.any()
    const configurationKeys = [...ownSettings]
    const resources = names.map(
      (resourceName) => ({ resourceType: topicResource, resourceName, configurationKeys }) as const,
    )
    const { results } = await link.call(
      'DescribeConfigs',
      this.#cluster.protocol.describeConfigs,
      resources,
      false,
      false,
    )
    const found = new Map<string, Map<string, string | null>>()
    for (const { errorCode: code, errorMessage, resourceName, configs } of results) {
      if (code === errorCode.unknownTopicOrPartition) continue
      // Who may read and write a topic, but not look at its settings, goes by what Kafka makes of them by itself.
      if (code === errorCode.topicAuthorizationFailed) {
        found.set(resourceName, new Map())
        continue
      }
      this.#cluster.accept('DescribeConfigs', code, resourceName, errorMessage)
      found.set(resourceName, new Map(configs.map(({ name, value }) => [name, value ?? null])))
    }
    return found
  }

  #put(metadata: TopicMetadata, settings: ReadonlyMap<string, string | null>): Topic {
    const name = metadata.name ?? ''
    const before = this.#topics.get(name)
    if (before !== undefined && before.topicId !== metadata.topicId) this.#drop(name)
    const known = this.#topics.get(name)?.partitions ?? []
    const partitions = metadata.partitions
      .toSorted((a, b) => a.partitionIndex - b.partitionIndex)
      .map(({ partitionIndex, leaderId }) => {
        const partition = known[partitionIndex] ?? new Partition(name, this.#nextId++, partitionIndex, leaderId)
        partition.leaderId = leaderId
        this.#partitions.set(partition.id, partition)
        return partition
      })
    const topic: Topic = {
      name,
      topicId: metadata.topicId,
      config: configOf(partitions.length, settings),
      batchBytesMax: batchBytesMaxFor(maxMessageBytesOf(settings)),
      partitions,
      knownSinceMs: this.#cluster.clock.monotonicMs(),
    }
    this.#topics.set(name, topic)
    return topic
  }

  #drop(name: string): void {
    const topic = this.#topics.get(name)
    if (topic === undefined) return
    this.#topics.delete(name)
    // They stay findable by their ids: a commit that was staged before may still be told which topic it meant.
    for (const partition of topic.partitions) partition.isGone = true
  }
}

function isTopicName(name: string): boolean {
  try {
    checkTopicName(name)
    return true
  } catch {
    return false
  }
}
