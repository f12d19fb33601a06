import { join } from 'node:path'
import { checkList, checkName, checkText, StateWatchers, type WatchOptions } from '../committing/index.ts'
import type { StateChange, StateEntry, StateRange, StateStore } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import { Changelog } from './changelog.ts'
import { ChangelogFile } from './changelog-file.ts'
import type { Cluster } from './cluster.ts'
import { KafkaChangelogUnfitError } from './errors.ts'
import type { Door, KafkaTopics } from './kafka-topics.ts'
import type { KafkaStateOptions } from './options.ts'
import type { PartitionExtents } from './partition-extents.ts'
import type { TopicCatalog } from './topic-catalog.ts'
import type { TopicReader } from './topic-reader.ts'

/** So long, and half of it to be safe, a folder may lie about and still be brought up to date rather than read anew. */
const tombstoneRetentionMs = 7 * 86_400_000
const recordBytesMax = 64 * 1024 * 1024
/** What compaction may not touch yet is read again by each process that begins with an empty folder. */
const segmentBytes = 64 * 1024 * 1024

/** What the changelog is reached with. */
export interface ChangelogAccess {
  readonly cluster: Cluster
  readonly catalog: TopicCatalog
  readonly topics: KafkaTopics
  readonly reader: TopicReader
  readonly extents: PartitionExtents
}

/**
 * Makes the changelog if it is not there, and reads it to its end.
 *
 * @throws KafkaChangelogUnfitError, KafkaStateFileError
 */
export async function openChangelog(
  { cluster, catalog, topics, reader, extents }: ChangelogAccess,
  options: Required<KafkaStateOptions>,
): Promise<Changelog> {
  const name = `${cluster.options.prefix}${options.topic}`
  const wanted = { partitions: 1, cleanup: 'compact', tombstoneRetentionMs, recordBytesMax } as const
  const { config } = await topics.ensure(name, wanted, new Map([['segment.bytes', String(segmentBytes)]]))
  if (config.cleanup !== 'compact') throw new KafkaChangelogUnfitError(name, `its clean-up is "${config.cleanup}"`)
  const { topicId, partitions } = catalog.topic(name)
  const [partition] = partitions
  if (partition === undefined || partitions.length > 1) {
    throw new KafkaChangelogUnfitError(name, `it has ${partitions.length} partitions, not one`)
  }
  const file = ChangelogFile.open(join(options.folder, `${name}-0.db`), { topicId, partition: 0 })
  const changelog = new Changelog({
    cluster,
    reader,
    extents,
    partition,
    file,
    tombstoneRetentionMs: config.tombstoneRetentionMs,
  })
  try {
    await changelog.restore()
  } catch (error) {
    await changelog.close()
    throw error
  }
  return changelog
}

/** Keyed state in a changelog of the cluster, with a copy in a file here that answers reads. */
export class KafkaState implements StateStore {
  readonly #door: Door
  readonly #cluster: Cluster
  readonly #file: ChangelogFile
  readonly #watchers: StateWatchers

  constructor(cluster: Cluster, changelog: Changelog, door: Door) {
    this.#cluster = cluster
    this.#door = door
    this.#file = changelog.file
    this.#watchers = new StateWatchers({
      read: (namespace, key) => this.#file.read(namespace, key),
      list: (namespace, key, prefix) => this.#file.list(namespace, key, prefix),
      sleep: (subscribe, signal) => this.#sleep(subscribe, signal),
      refuseIfDone: () => door.refuseIfDone(),
    })
    changelog.follow((changes) => this.#watchers.notify(changes))
  }

  async get(namespace: string, key: string): Promise<StateEntry | undefined> {
    this.#door.refuseIfDone()
    return this.#read(namespace, key)
  }

  async getMany(namespace: string, keys: readonly string[]): Promise<readonly (StateEntry | undefined)[]> {
    this.#door.refuseIfDone()
    checkList('keys', keys)
    return keys.map((key) => this.#read(namespace, key))
  }

  async range(namespace: string, range: StateRange = {}): Promise<readonly StateEntry[]> {
    this.#door.refuseIfDone()
    return this.#file.range(namespace, range)
  }

  async count(namespace: string): Promise<number> {
    this.#door.refuseIfDone()
    checkName('namespace', namespace)
    return this.#file.count(namespace)
  }

  async namespaces(prefix = ''): Promise<readonly string[]> {
    this.#door.refuseIfDone()
    checkText('prefix', prefix)
    return this.#file.namespaces(prefix)
  }

  watch(namespace: string, options: WatchOptions): AsyncIterable<StateChange> {
    return this.#watchers.watch(namespace, options)
  }

  /** The engine closed or failed: who watches is told. */
  wake(): void {
    this.#watchers.wakeAll()
  }

  #read(namespace: string, key: string): StateEntry | undefined {
    checkName('namespace', namespace)
    checkName('key', key)
    const found = this.#file.read(namespace, key)
    return found && { key, value: JSON.parse(found.value) as Json, revision: found.revision }
  }

  #sleep(subscribe: (waiter: () => void) => () => void, signal: AbortSignal): Promise<void> {
    const ended = AbortSignal.any([signal, this.#cluster.ended])
    return new Promise((resolve) => {
      const wake = (): void => {
        leave()
        ended.removeEventListener('abort', wake)
        resolve()
      }
      const leave = subscribe(wake)
      ended.addEventListener('abort', wake, { once: true })
      if (ended.aborted) wake()
    })
  }
}
