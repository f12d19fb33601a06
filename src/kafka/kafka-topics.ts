import { checkInteger, checkTopicName, resolveTopicConfig, topicConfigDefaults } from '../committing/index.ts'
import {
  type MaintenanceReport,
  OffsetOutOfRangeError,
  type PartitionDescription,
  type ReadRequest,
  type ReadResult,
  type StartPosition,
  type TopicConfig,
  type TopicDescription,
  TopicExistsError,
  type Topics,
  TopicUnknownError,
} from '../engine/index.ts'
import { OptionsInvalidError } from '../kernel/index.ts'
import type { Cluster } from './cluster.ts'
import { errorCode } from './error-codes.ts'
import { KafkaProducerNumberingError, KafkaUnreachableError } from './errors.ts'
import type { KafkaTopicSettings } from './options.ts'
import type { Extent, PartitionExtents } from './partition-extents.ts'
import type { Topic, TopicCatalog } from './topic-catalog.ts'
import type { TopicReader } from './topic-reader.ts'
import { settingsOf, topicSettingsProblem } from './topic-settings.ts'

const topicResource = 2
const setConfig = 0
const timeAheadSetting = 'message.timestamp.after.max.ms'
/** How long the controller may take, which also bounds what it does after we stopped waiting, in milliseconds. */
const adminTimeoutMs = 15_000

/** Whether the engine still answers. */
export interface Door {
  refuseIfDone(): void
}

/** Topics of a Kafka cluster. */
export class KafkaTopics implements Topics {
  readonly #cluster: Cluster
  readonly #catalog: TopicCatalog
  readonly #extents: PartitionExtents
  readonly #reader: TopicReader
  readonly #door: Door

  constructor(cluster: Cluster, catalog: TopicCatalog, extents: PartitionExtents, reader: TopicReader, door: Door) {
    this.#cluster = cluster
    this.#catalog = catalog
    this.#extents = extents
    this.#reader = reader
    this.#door = door
  }

  async create(name: string, config: TopicConfig = {}): Promise<TopicDescription> {
    this.#door.refuseIfDone()
    checkTopicName(name)
    const resolved = resolveTopicConfig(name, config)
    if (!(await this.#create(name, resolved))) throw new TopicExistsError(name)
    return this.#describeNew(name, resolved.partitions)
  }

  /** @param settings Of Kafka, for a topic that is not there. */
  async ensure(
    name: string,
    config: TopicConfig = {},
    settings: ReadonlyMap<string, string> = new Map(),
  ): Promise<TopicDescription> {
    this.#door.refuseIfDone()
    checkTopicName(name)
    const resolved = resolveTopicConfig(name, config)
    const present = await this.describe(name)
    if (present !== undefined) return present
    await this.#create(name, resolved, settings)
    return this.#describeNew(name, 1)
  }

  async alter(name: string, changes: TopicConfig): Promise<TopicDescription> {
    this.#door.refuseIfDone()
    await this.#catalog.refresh(name)
    const topic = this.#catalog.topic(name)
    const resolved = resolveTopicConfig(name, changes, topic.config)
    const named = Object.keys(changes).filter((key) => changes[key as keyof TopicConfig] !== undefined)
    const settings = settingsOf(Object.fromEntries(named.map((key) => [key, resolved[key as keyof TopicConfig]])))
    await this.#alterSettings(name, settings)
    if (resolved.partitions > topic.partitions.length) await this.#grow(name, resolved.partitions)
    // The settings of a topic reach all brokers a moment later.
    return this.#describeNew(name, resolved.partitions, (seen) =>
      named.every((key) => seen[key as keyof TopicConfig] === resolved[key as keyof TopicConfig]),
    )
  }

  async delete(name: string): Promise<void> {
    this.#door.refuseIfDone()
    await this.#catalog.refresh(name)
    this.#catalog.topic(name)
    await this.#cluster.persist(async () => {
      const link = await this.#cluster.controller()
      const answer = await link.call('DeleteTopics', this.#cluster.protocol.deleteTopics, [{ name }], adminTimeoutMs)
      const code = answer.responses[0]?.errorCode ?? errorCode.none
      // An earlier attempt whose answer was lost may have been the one that did it.
      if (code === errorCode.unknownTopicOrPartition) return
      await this.#acceptAdmin('DeleteTopics', code, name, answer.responses[0]?.errorMessage)
    })
    await this.#until(async () => {
      await this.#catalog.refresh(name)
      return this.#catalog.find(name) === undefined
    })
  }

  async describe(name: string): Promise<TopicDescription | undefined> {
    this.#door.refuseIfDone()
    await this.#catalog.refresh(name)
    const topic = this.#catalog.find(name)
    if (topic === undefined) return undefined
    const [description] = await this.#describeAll([topic])
    return description
  }

  async list(): Promise<readonly TopicDescription[]> {
    this.#door.refuseIfDone()
    return this.#describeAll(await this.#catalog.refreshAll(this.#cluster.options.prefix))
  }

  async locate(topic: string, partition: number, start: StartPosition): Promise<number> {
    this.#door.refuseIfDone()
    return this.#reader.locate(topic, partition, start)
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    this.#door.refuseIfDone()
    return this.#reader.read(request)
  }

  async truncate(topic: string, partition: number, beforeOffset: number): Promise<void> {
    this.#door.refuseIfDone()
    checkInteger('beforeOffset', beforeOffset, 0)
    const place = await this.#catalog.resolvePartition(topic, partition)
    const [extent] = await this.#extents.of([place])
    if (extent !== undefined && beforeOffset > extent.latest) {
      throw new OffsetOutOfRangeError(topic, partition, beforeOffset, extent.earliest, extent.latest)
    }
    if (extent !== undefined && beforeOffset <= extent.earliest) return
    await this.#cluster.persist(async () => {
      const link = await this.#cluster.link(place.leaderId)
      const partitions = [{ partitionIndex: partition, offset: BigInt(beforeOffset) }]
      const request = [{ name: topic, partitions }]
      const answer = await link.call('DeleteRecords', this.#cluster.protocol.deleteRecords, request, adminTimeoutMs)
      const code = answer.topics[0]?.partitions[0]?.errorCode ?? errorCode.none
      if (code === errorCode.notLeaderOrFollower) await this.#catalog.refresh(topic)
      if (code === errorCode.offsetOutOfRange) {
        // Committed, but its marker is still on the way to the leader.
        throw this.#cluster.obstacle('the end of the partition is not known yet')
      }
      this.#cluster.accept('DeleteRecords', code, topic)
    })
  }

  async registerProducer(): Promise<never> {
    this.#door.refuseIfDone()
    throw new KafkaProducerNumberingError()
  }

  /** Brokers apply retention and compaction by themselves, when they see fit; nothing is left to do here. */
  async maintain(): Promise<MaintenanceReport> {
    this.#door.refuseIfDone()
    return { batchesDeleted: 0, bytesDeleted: 0, recordsCompacted: 0 }
  }

  /** False: it is there already. */
  async #create(
    name: string,
    config: Required<TopicConfig>,
    settings: ReadonlyMap<string, string> = new Map(),
  ): Promise<boolean> {
    // A record has the time that it was given, also one that lies far ahead.
    const configs = new Map([
      ...Object.entries(this.#furtherSettings(name)),
      ...settingsOf(config),
      ...settings,
      [timeAheadSetting, String(2n ** 63n - 1n)] as const,
    ])
    const topicNow = () => ({
      name,
      numPartitions: config.partitions,
      replicationFactor: this.#cluster.options.replicationFactor ?? -1,
      assignments: [],
      configs: Array.from(configs, ([key, value]) => ({ name: key, value })),
    })
    let isUncertain = false
    return this.#cluster.persist(async () => {
      const link = await this.#cluster.controller()
      const request = this.#cluster.protocol.createTopics
      const asked = link.call('CreateTopics', request, [topicNow()], adminTimeoutMs, false)
      const answer = await asked.catch((error: unknown) => {
        isUncertain = true
        throw error
      })
      const { errorCode: code, errorMessage } = answer.topics[0] ?? { errorCode: 0, errorMessage: null }
      // Without an answer to the attempt before, it may have been the one that did it.
      if (code === errorCode.topicAlreadyExists) return isUncertain
      // Brokers before 3.6 have no such setting, and take every time (KIP-937).
      if (
        code === errorCode.invalidConfig &&
        errorMessage?.includes(timeAheadSetting) &&
        configs.delete(timeAheadSetting)
      ) {
        throw this.#cluster.obstacle(`the brokers have no setting ${timeAheadSetting}`)
      }
      await this.#acceptAdmin('CreateTopics', code, name, errorMessage)
      return true
    })
  }

  /** @throws OptionsInvalidError `OPTIONS_INVALID` */
  #furtherSettings(nameInCluster: string): KafkaTopicSettings {
    const { topicSettings, prefix } = this.#cluster.options
    if (typeof topicSettings !== 'function') return topicSettings
    // The prefix is put before names further out; here they stand whole.
    const name = nameInCluster.startsWith(prefix) ? nameInCluster.slice(prefix.length) : nameInCluster
    const settings = topicSettings(name)
    const problem = topicSettingsProblem(settings)
    if (problem === undefined) return settings
    throw new OptionsInvalidError('kafka()', [{ option: `topicSettings(${JSON.stringify(name)})`, problem }])
  }

  async #alterSettings(name: string, settings: ReadonlyMap<string, string>): Promise<void> {
    if (settings.size === 0) return
    const configs = [...settings].map(([key, value]) => ({ name: key, value, configOperation: setConfig }) as const)
    await this.#cluster.persist(async () => {
      const link = await this.#cluster.controller()
      const resources = [{ resourceType: topicResource, resourceName: name, configs }] as const
      const answer = await link.call('AlterConfigs', this.#cluster.protocol.alterConfigs, [...resources], false)
      const { errorCode: code, errorMessage } = answer.responses[0] ?? { errorCode: 0, errorMessage: null }
      if (code === errorCode.unknownTopicOrPartition) throw new TopicUnknownError(name)
      await this.#acceptAdmin('AlterConfigs', code, name, errorMessage)
    })
  }

  async #grow(name: string, count: number): Promise<void> {
    await this.#cluster.persist(async () => {
      const link = await this.#cluster.controller()
      const topics = [{ name, count, assignments: null }]
      const request = this.#cluster.protocol.createPartitions
      const answer = await link.call('CreatePartitions', request, topics, adminTimeoutMs, false)
      const { errorCode: code, errorMessage } = answer.results[0] ?? { errorCode: 0, errorMessage: null }
      if (code === errorCode.unknownTopicOrPartition) throw new TopicUnknownError(name)
      if (code === errorCode.invalidPartitions) {
        // Said also when an attempt whose answer was lost did it.
        await this.#catalog.refresh(name)
        if (this.#catalog.topic(name).partitions.length === count) return
      }
      await this.#acceptAdmin('CreatePartitions', code, name, errorMessage)
    })
  }

  async #acceptAdmin(request: string, code: number, name: string, message?: string | null): Promise<void> {
    if (code === errorCode.notController) await this.#cluster.metadata([])
    this.#cluster.accept(request, code, name, message)
  }

  /** Waits until what was changed is known to the brokers that answer. */
  async #describeNew(
    name: string,
    partitionCount: number,
    isSeen: (config: Required<TopicConfig>) => boolean = () => true,
  ): Promise<TopicDescription> {
    await this.#until(async () => {
      await this.#catalog.refresh(name)
      const topic = this.#catalog.find(name)
      const isLed = topic?.partitions.every(({ leaderId }) => leaderId >= 0) === true
      return isLed && topic.partitions.length >= partitionCount && isSeen(topic.config)
    })
    const [description] = await this.#describeAll([this.#catalog.topic(name)])
    return description ?? { name, config: { ...topicConfigDefaults }, partitions: [] }
  }

  async #until(holds: () => Promise<boolean>): Promise<void> {
    await this.#cluster.persist(async () => {
      if (!(await holds())) throw this.#cluster.obstacle('the brokers do not know of the change yet')
    })
  }

  /** Those that are still there. */
  async #describeAll(topics: readonly Topic[]): Promise<TopicDescription[]> {
    const partitions = topics.flatMap((topic) => topic.partitions)
    const [extents, sizes] = await Promise.all([this.#extents.ofPresent(partitions), this.#sizes(topics)])
    const present = topics.filter((topic) => topic.partitions.every((partition) => extents.has(partition)))
    return present.map(({ name, config, partitions: own }) => ({
      name,
      config,
      partitions: own.map((partition): PartitionDescription => {
        const { earliest, latest } = extents.get(partition) as Extent
        const { number } = partition
        return { partition: number, earliest, latest, bytes: sizes.get(`${name}/${number}`) ?? 0 }
      }),
    }))
  }

  /** Bytes of the leaders' logs. Who may not ask for them, or whom nobody answers, is told 0: sizes are no reason to refuse a description. */
  async #sizes(topics: readonly Topic[]): Promise<ReadonlyMap<string, number>> {
    const sizes = new Map<string, number>()
    const leaders = new Set(topics.flatMap(({ partitions }) => partitions.map(({ leaderId }) => leaderId)))
    for (const leaderId of leaders) {
      const asked = topics.flatMap(({ name, partitions }) => {
        const led = partitions.filter((partition) => partition.leaderId === leaderId)
        return led.length === 0 ? [] : [{ name, partitions: led.map(({ number }) => number) }]
      })
      const answer = await this.#cluster
        .link(leaderId)
        .then((link) => link.call('DescribeLogDirs', this.#cluster.protocol.describeLogDirs, asked))
        .catch((error: unknown) => {
          if (error instanceof KafkaUnreachableError) return { results: [] }
          throw error
        })
      for (const { topics: found } of answer.results) {
        for (const { name, partitions } of found) {
          for (const { partitionIndex, partitionSize, isFutureKey } of partitions) {
            if (!isFutureKey) sizes.set(`${name}/${partitionIndex}`, Number(partitionSize))
          }
        }
      }
    }
    return sizes
  }
}
