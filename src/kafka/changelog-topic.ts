import { join } from 'node:path'
import { StateWatchers } from '../committing/index.ts'
import { Changelog } from './changelog.ts'
import { ChangelogFile } from './changelog-file.ts'
import type { Cluster } from './cluster.ts'
import { KafkaChangelogUnfitError } from './errors.ts'
import type { Door, KafkaTopics } from './kafka-topics.ts'
import type { KafkaStateOptions } from './options.ts'
import type { PartitionExtents } from './partition-extents.ts'
import type { Topic, TopicCatalog } from './topic-catalog.ts'
import type { TopicReader } from './topic-reader.ts'

/** So long, and half of it to be safe, a folder may lie about and still be brought up to date rather than read anew. */
const tombstoneRetentionMs = 7 * 86_400_000
/** What compaction may not touch yet is read again by each process that begins with an empty folder. */
const segmentBytes = 64 * 1024 * 1024

/** What changelogs are reached with. */
export interface ChangelogAccess {
  readonly cluster: Cluster
  readonly catalog: TopicCatalog
  readonly topics: KafkaTopics
  readonly reader: TopicReader
  readonly extents: PartitionExtents
  readonly door: Door
  readonly options: Required<KafkaStateOptions>
}

/** A compacted topic that holds changes of state, and the file here that holds what it stands for. */
export class ChangelogTopic {
  readonly name: string
  readonly file: ChangelogFile
  readonly watchers: StateWatchers
  readonly #access: ChangelogAccess
  readonly #tombstoneRetentionMs: number
  readonly #changelogs = new Map<number, Changelog>()
  #following: Promise<void> = Promise.resolve()
  #followed = 0

  private constructor(access: ChangelogAccess, topic: Topic) {
    const { cluster, door, options } = access
    this.#access = access
    this.name = topic.name
    this.#tombstoneRetentionMs = topic.config.tombstoneRetentionMs
    this.file = ChangelogFile.open(join(options.folder, `${topic.name}.db`), topic.topicId)
    this.watchers = new StateWatchers({
      read: (namespace, key) => this.file.read(namespace, key),
      list: (namespace, key, prefix) => this.file.list(namespace, key, prefix),
      sleep: (subscribe, signal) => sleepUntilWoken(subscribe, AbortSignal.any([signal, cluster.ended])),
      refuseIfDone: () => door.refuseIfDone(),
    })
  }

  /**
   * Opens a changelog, which is made if it is not there.
   *
   * @throws KafkaChangelogUnfitError, KafkaStateFileError
   */
  static async open(access: ChangelogAccess, name: string, partitions: number): Promise<ChangelogTopic> {
    const { recordBytesMax } = access.options
    const wanted = { partitions, cleanup: 'compact', tombstoneRetentionMs, recordBytesMax } as const
    const { config } = await access.topics.ensure(name, wanted, new Map([['segment.bytes', String(segmentBytes)]]))
    if (config.cleanup !== 'compact') throw new KafkaChangelogUnfitError(name, `its clean-up is "${config.cleanup}"`)
    return new ChangelogTopic(access, access.catalog.topic(name))
  }

  get #topic(): Topic {
    return this.#access.catalog.topic(this.name)
  }

  get partitionCount(): number {
    return this.#topic.partitions.length
  }

  get all(): readonly Changelog[] {
    return this.#topic.partitions.map(({ number }) => this.at(number))
  }

  at(number: number): Changelog {
    const known = this.#changelogs.get(number)
    if (known !== undefined) return known
    const { cluster, catalog, reader, extents } = this.#access
    const changelog = new Changelog({
      cluster,
      catalog,
      reader,
      extents,
      partition: catalog.partition(this.name, number),
      file: this.file,
      tombstoneRetentionMs: this.#tombstoneRetentionMs,
      onChanged: (changes) => this.watchers.notify(changes),
    })
    this.#changelogs.set(number, changelog)
    return changelog
  }

  /** Whether there is a partition of this number; the cluster is asked before it is said that there is none. */
  async has(number: number): Promise<boolean> {
    const { catalog, cluster } = this.#access
    if (!catalog.has(this.name, number)) await catalog.refresh(this.name, cluster.lasting)
    return number < this.partitionCount
  }

  /** Sees to it that there is a partition of this number. */
  async growTo(number: number): Promise<void> {
    if (await this.has(number)) return
    await this.#access.topics.alter(this.name, { partitions: number + 1 })
  }

  /**
   * From here on the file is kept up to date with all partitions; resolves when it once held all that they hold.
   *
   * @throws what has kept one of them from being followed since
   */
  async follow(): Promise<void> {
    for (const changelog of this.#changelogs.values()) changelog.refuseFaulty()
    const { catalog, cluster } = this.#access
    await catalog.resolveTopic(this.name, cluster.lasting)
    if (this.#followed < this.partitionCount) {
      const before = this.#followed
      this.#followed = this.partitionCount
      this.#following = Promise.all([this.#following, this.#followFrom(before)]).then(
        () => undefined,
        (error: unknown) => {
          this.#followed = before
          this.#following = Promise.resolve()
          throw error
        },
      )
    }
    return this.#following
  }

  async close(): Promise<void> {
    await Promise.all([...this.#changelogs.values()].map((one) => one.close()))
    this.file.close()
    this.watchers.wakeAll()
  }

  async #followFrom(number: number): Promise<void> {
    const added = this.all.slice(number)
    await Promise.all(added.map((one) => one.restore()))
    for (const one of added) one.follow()
  }
}

function sleepUntilWoken(subscribe: (waiter: () => void) => () => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      leave()
      signal.removeEventListener('abort', wake)
      resolve()
    }
    const leave = subscribe(wake)
    signal.addEventListener('abort', wake, { once: true })
    if (signal.aborted) wake()
  })
}
