import { checkInteger, checkName, checkOptions, checkTopicName, resolveTopicConfig } from '../committing/index.ts'
import {
  ArgumentInvalidError,
  type MaintenanceReport,
  OffsetOutOfRangeError,
  type ReadRequest,
  type ReadResult,
  type StartPosition,
  type TopicConfig,
  type TopicDescription,
  TopicExistsError,
  type Topics,
} from '../engine/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { BatchReader } from './batch-reader.ts'
import type { Catalog, Partition, Topic } from './catalog.ts'
import type { EngineCore } from './engine-core.ts'
import { FileDamagedError } from './errors.ts'
import type { RecentMessages } from './recent-messages.ts'
import type { MaintenanceTotals } from './store/protocol.ts'

const readBytesMaxDefault = 1024 * 1024

/** Topics of the embedded engine. */
export class TopicLog implements Topics {
  readonly #core: EngineCore
  readonly #catalog: Catalog
  readonly #batches: BatchReader
  readonly #recent: RecentMessages
  readonly #clock: Clock
  /** Groups share the partitions of a topic anew when there are more of them, or none. */
  readonly #onPartitionsChanged: (topic: string) => Promise<void>
  #maintaining: Promise<unknown> | undefined

  constructor(
    core: EngineCore,
    batches: BatchReader,
    recent: RecentMessages,
    onPartitionsChanged: (topic: string) => Promise<void>,
  ) {
    this.#onPartitionsChanged = onPartitionsChanged
    this.#core = core
    this.#catalog = core.catalog
    this.#clock = core.clock
    this.#batches = batches
    this.#recent = recent
  }

  async create(name: string, config?: TopicConfig): Promise<TopicDescription> {
    checkTopicName(name)
    const resolved = resolveTopicConfig(name, config)
    const created = await this.#core.serially(async () => {
      if (this.#catalog.find(name) !== undefined) throw new TopicExistsError(name)
      return this.#create(name, resolved)
    })
    // Who asked for it before it was there has waited for it.
    await this.#onPartitionsChanged(name)
    return this.#describe(created)
  }

  async ensure(name: string, config?: TopicConfig): Promise<TopicDescription> {
    checkTopicName(name)
    const resolved = resolveTopicConfig(name, config)
    this.#core.refresh()
    const present = this.#catalog.find(name)
    if (present !== undefined) return this.#describe(present)
    const found = await this.#core.serially(
      async () => this.#catalog.find(name) ?? (await this.#create(name, resolved)),
    )
    await this.#onPartitionsChanged(name)
    return this.#describe(found)
  }

  async alter(name: string, changes: TopicConfig): Promise<TopicDescription> {
    const { before, altered } = await this.#core.serially(async () => {
      const topic = this.#catalog.topic(name)
      const config = resolveTopicConfig(name, changes, topic.config)
      const row = await this.#core.request({ kind: 'alter-topic', topicId: topic.id, config })
      return { before: topic, altered: this.#catalog.put(row) }
    })
    if (altered.partitions.length > before.partitions.length) await this.#onPartitionsChanged(name)
    return this.#describe(altered)
  }

  async delete(name: string): Promise<void> {
    await this.#core.serially(async () => {
      const topic = this.#catalog.topic(name)
      // Away before the request is made: a commit that finds it after that would write into a topic that is no more.
      this.#catalog.remove(name)
      try {
        await this.#core.request({ kind: 'delete-topic', topicId: topic.id })
      } catch (error) {
        this.#catalog.restore(topic)
        throw error
      }
      for (const { id } of topic.partitions) this.#recent.drop(id)
      // Its records go with the next maintenance, a few at a time.
    })
    await this.#onPartitionsChanged(name)
  }

  async describe(name: string): Promise<TopicDescription | undefined> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refresh()
    const topic = this.#catalog.find(name)
    return topic === undefined ? undefined : this.#describe(topic)
  }

  async list(): Promise<readonly TopicDescription[]> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refresh()
    return this.#catalog.topics.map((topic) => this.#describe(topic))
  }

  async locate(topic: string, partition: number, start: StartPosition): Promise<number> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refresh()
    const place = this.#catalog.partition(topic, partition)
    if (start === 'earliest') return place.earliest
    if (start === 'latest') return place.latest
    if (typeof start !== 'object' || start === null) {
      throw new ArgumentInvalidError('the start position', "is not 'earliest', 'latest', an offset or a time")
    }
    if ('offset' in start) {
      checkInteger('offset', start.offset, 0)
      if (start.offset < place.earliest || start.offset > place.latest) throw outOfRange(place, start.offset)
      return start.offset
    }
    checkInteger('timestampMs', start.timestampMs, 0)
    return this.#batches.offsetAtTime(place.id, place.earliest, start.timestampMs) ?? place.latest
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    const pause = this.#core.breathe()
    if (pause !== undefined) await pause
    this.#core.refuseIfDone()
    checkOptions('the request', request)
    const { topic, partition, offset, bytesMax = readBytesMaxDefault, waitMs = 0, early = false, signal } = request
    this.#core.refresh()
    checkInteger('offset', offset, 0)
    checkInteger('bytesMax', bytesMax, 1)
    if (typeof waitMs !== 'number' || !(waitMs >= 0)) throw new ArgumentInvalidError('waitMs', 'is no time to wait')
    signal?.throwIfAborted()
    const place = this.#catalog.partition(topic, partition)
    if (typeof early !== 'boolean') throw new ArgumentInvalidError('early', 'is neither true nor false')
    if (offset === endOf(place, early) && waitMs > 0) {
      await this.#core.waitForChange(
        (waiter) => (early ? place.onStaged(waiter) : place.onChange(waiter)),
        waitMs,
        signal,
        // A deleted topic has nothing more to wait for: in another process nobody says so but the catalogue.
        () => place.latest > offset || this.#catalog.partitionById(place.id) === undefined,
      )
      this.#core.refuseIfDone()
    }
    if (!early || offset < place.latest) return this.#read(place, offset, bytesMax)
    this.#recent.noteRead(place.id)
    return readEarly(place, offset)
  }

  async truncate(topic: string, partition: number, beforeOffset: number): Promise<void> {
    checkInteger('beforeOffset', beforeOffset, 0)
    const place = this.#catalog.partition(topic, partition)
    const earliest = await this.#core.request({ kind: 'truncate-partition', partitionId: place.id, beforeOffset })
    place.earliest = earliest
    this.#recent.drop(place.id)
  }

  async registerProducer(name: string): Promise<{ readonly producerId: number; readonly epoch: number }> {
    checkName('producer name', name)
    return this.#core.request({ kind: 'register-producer', name })
  }

  maintain(): Promise<MaintenanceReport> {
    return this.#maintainNext(false)
  }

  /** As {@link maintain}, but compacts only what is worth being read: what the engine does by itself. */
  maintainDue(): Promise<MaintenanceReport> {
    return this.#maintainNext(true)
  }

  /** Runs after a maintenance that is under way: that one goes by the time at which it began. */
  #maintainNext(onlyDue: boolean): Promise<MaintenanceReport> {
    const run = (): Promise<MaintenanceReport> => this.#maintain(onlyDue)
    const running = (this.#maintaining ?? Promise.resolve()).then(run, run)
    this.#maintaining = running
    return running
  }

  async #maintain(onlyDue: boolean): Promise<MaintenanceReport> {
    let totals: MaintenanceTotals | null = null
    while (totals === null) {
      const nowMs = this.#clock.nowMs()
      totals = await this.#core.request({ kind: 'maintain', nowMs, ends: this.#endsOfCompacted(), onlyDue })
    }
    for (const { partitionId, earliest } of totals.starts) {
      const partition = this.#catalog.partitionById(partitionId)
      if (partition !== undefined) partition.earliest = Math.max(partition.earliest, earliest)
    }
    for (const id of [...totals.rewritten, ...totals.starts.map((start) => start.partitionId)]) this.#recent.drop(id)
    const [damaged] = totals.damaged
    if (damaged !== undefined) throw new FileDamagedError(this.#core.path, damaged)
    const { batchesDeleted, bytesDeleted, recordsCompacted } = totals
    return { batchesDeleted, bytesDeleted, recordsCompacted }
  }

  #endsOfCompacted(): ReadonlyMap<number, number> {
    const compacted = this.#catalog.topics.filter(({ config }) => config.cleanup !== 'delete')
    return new Map(compacted.flatMap(({ partitions }) => partitions.map(({ id, latest }) => [id, latest] as const)))
  }

  #read(place: Partition, offset: number, bytesMax: number): ReadResult {
    if (!this.#core.isReadOnly) return this.#readNow(place, offset, bytesMax)
    // The end and the records are of one moment, or compaction may have taken away what is replaced only behind the end.
    return this.#core.atOneMoment(() => {
      this.#core.refresh()
      return this.#readNow(place, offset, bytesMax)
    })
  }

  #readNow(place: Partition, offset: number, bytesMax: number): ReadResult {
    const { earliest, latest } = place
    if (offset < earliest || offset > latest) throw outOfRange(place, offset)
    if (offset === latest) return { records: [], nextOffset: offset, latest }
    const recent = this.#recent.read(place.id, offset, bytesMax)
    if (recent !== undefined) {
      return { records: recent, nextOffset: (recent.at(-1)?.offset ?? offset - 1) + 1, latest }
    }
    const { records, nextOffset } = this.#batches.read(place.id, offset, bytesMax, latest)
    // Nothing more is stored although the end lies beyond: compaction took the last records away.
    return { records, nextOffset: nextOffset === offset ? latest : nextOffset, latest }
  }

  async #create(name: string, config: Required<TopicConfig>): Promise<Topic> {
    return this.#catalog.put(await this.#core.request({ kind: 'create-topic', name, config }))
  }

  #describe(topic: Topic): TopicDescription {
    return {
      name: topic.name,
      config: topic.config,
      partitions: topic.partitions.map(({ id, number, earliest, latest }) => ({
        partition: number,
        earliest,
        latest,
        bytes: this.#batches.bytesOf(id),
      })),
    }
  }
}

/** So many records at once, and the rest of the batch that they end in: what waits for the disk is bounded in bytes anyway. */
const earlyRecordsMax = 1024

function endOf(place: Partition, early: boolean): number {
  return early ? place.unsynced.endAfter(place.latest) : place.latest
}

function readEarly(place: Partition, offset: number): ReadResult {
  const latest = endOf(place, true)
  if (offset > latest) throw outOfRange(place, offset)
  const records = place.unsynced.read(place.latest, offset, earlyRecordsMax)
  return { records, nextOffset: (records.at(-1)?.offset ?? offset - 1) + 1, latest }
}

function outOfRange(place: Partition, offset: number): OffsetOutOfRangeError {
  return new OffsetOutOfRangeError(place.topic, place.number, offset, place.earliest, place.latest)
}
