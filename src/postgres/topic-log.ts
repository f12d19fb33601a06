import { checkInteger, checkName, checkOptions } from '../committing/index.ts'
import {
  ArgumentInvalidError,
  type MaintenanceReport,
  OffsetOutOfRangeError,
  type ReadRequest,
  type ReadResult,
  type StartPosition,
  type TopicConfig,
  type TopicDescription,
  type Topics,
} from '../engine/index.ts'
import { MillraceError } from '../kernel/index.ts'
import { PostgresDataDamagedError } from './errors.ts'
import { TopicAdmin } from './topic-admin.ts'
import type { Partition } from './topic-catalog.ts'
import type { TopicGround } from './topic-ground.ts'
import { TopicMaintenance } from './topic-maintenance.ts'
import { type Extent, type Page, TopicReader } from './topic-reader.ts'
import { TopicWatch } from './topic-watch.ts'

const readBytesMaxDefault = 1024 * 1024

/** Topics of the PostgreSQL engine. */
export class TopicLog implements Topics {
  readonly reader: TopicReader
  readonly #ground: TopicGround
  readonly #admin: TopicAdmin
  readonly #watch: TopicWatch
  readonly #maintenance: TopicMaintenance
  #maintaining: Promise<unknown> | undefined

  constructor(ground: TopicGround) {
    const { runner, schema, catalog, clock, pollMs } = ground
    this.#ground = ground
    this.#admin = new TopicAdmin(ground)
    this.reader = new TopicReader(runner, schema)
    this.#watch = new TopicWatch(runner, catalog, clock, pollMs, schema)
    this.#maintenance = new TopicMaintenance(ground)
  }

  /** Another process says that something may have changed. */
  hint(): void {
    this.#watch.hint()
  }

  create(name: string, config?: TopicConfig): Promise<TopicDescription> {
    return this.#ground.inOrder(() => this.#admin.create(name, config))
  }

  async ensure(name: string, config?: TopicConfig): Promise<TopicDescription> {
    this.#ground.refuseIfDone()
    return this.#admin.ensure(name, config)
  }

  alter(name: string, changes: TopicConfig): Promise<TopicDescription> {
    return this.#ground.inOrder(() => this.#admin.alter(name, changes))
  }

  delete(name: string): Promise<void> {
    return this.#ground.inOrder(() => this.#admin.delete(name))
  }

  async describe(name: string): Promise<TopicDescription | undefined> {
    this.#ground.refuseIfDone()
    return this.#admin.describe(name)
  }

  async list(): Promise<readonly TopicDescription[]> {
    this.#ground.refuseIfDone()
    return this.#admin.list()
  }

  async locate(topic: string, partition: number, start: StartPosition): Promise<number> {
    this.#ground.refuseIfDone()
    const [place, { earliest, latest }] = await this.#present(topic, partition, (id) => this.reader.extent(id))
    if (start === 'earliest') return earliest
    if (start === 'latest') return latest
    if (typeof start !== 'object' || start === null) {
      throw new ArgumentInvalidError('the start position', "is not 'earliest', 'latest', an offset or a time")
    }
    if ('offset' in start) {
      checkInteger('offset', start.offset, 0)
      if (start.offset < earliest || start.offset > latest) throw outOfRange(place, start.offset, { earliest, latest })
      return start.offset
    }
    checkInteger('timestampMs', start.timestampMs, 0)
    return (await this.#intact(place, () => this.reader.offsetAtTime(place.id, earliest, start.timestampMs))) ?? latest
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    this.#ground.refuseIfDone()
    checkOptions('the request', request)
    const { topic, partition, offset, bytesMax = readBytesMaxDefault, waitMs = 0, signal } = request
    checkInteger('offset', offset, 0)
    checkInteger('bytesMax', bytesMax, 1)
    if (typeof waitMs !== 'number' || !(waitMs >= 0)) throw new ArgumentInvalidError('waitMs', 'is no time to wait')
    signal?.throwIfAborted()
    const { clock } = this.#ground
    const untilMs = clock.monotonicMs() + waitMs
    for (;;) {
      const [place, page] = await this.#present(topic, partition, (id) => this.reader.page(id, offset, bytesMax))
      place.earliest = Math.max(place.earliest, page.earliest)
      place.advance(page.latest)
      if (offset < page.earliest || offset > page.latest) throw outOfRange(place, offset, page)
      const leftMs = untilMs - clock.monotonicMs()
      if (offset < page.latest || leftMs <= 0 || waitMs === 0) return resultOf(page)
      signal?.throwIfAborted()
      await this.#watch.beyond(place, offset, leftMs, signal)
      this.#ground.refuseIfDone()
    }
  }

  truncate(topic: string, partition: number, beforeOffset: number): Promise<void> {
    return this.#ground.inOrder(async () => {
      checkInteger('beforeOffset', beforeOffset, 0)
      const [place, earliest] = await this.#present(topic, partition, async (id) => {
        const extent = await this.reader.extent(id)
        return extent && this.#admin.truncate(id, Math.min(beforeOffset, extent.latest))
      })
      place.earliest = Math.max(place.earliest, earliest)
    })
  }

  registerProducer(name: string): Promise<{ readonly producerId: number; readonly epoch: number }> {
    return this.#ground.inOrder(async () => {
      checkName('producer name', name)
      return this.#admin.registerProducer(name)
    })
  }

  maintain(): Promise<MaintenanceReport> {
    return this.#maintainNext(false)
  }

  /** As {@link maintain}, but compacts only what is worth being read: what the engine does by itself. */
  maintainDue(): Promise<MaintenanceReport> {
    return this.#maintainNext(true)
  }

  /** Runs after a maintenance of this process that is under way: that one goes by the time at which it began. */
  #maintainNext(onlyDue: boolean): Promise<MaintenanceReport> {
    return this.#ground.inOrder(() => {
      const run = (): Promise<MaintenanceReport> => this.#maintenance.run(this.#ground.clock.nowMs(), onlyDue)
      const running = (this.#maintaining ?? Promise.resolve()).then(run, run)
      this.#maintaining = running
      return running
    })
  }

  /** Asks about a partition as this process knows it; if it is no more, about the one that has its name now. */
  async #present<T>(
    topic: string,
    partition: number,
    ask: (partitionId: number) => Promise<T | undefined>,
  ): Promise<readonly [Partition, T]> {
    const { catalog } = this.#ground
    for (;;) {
      const place = await catalog.resolvePartition(topic, partition)
      const answer = await this.#intact(place, () => ask(place.id))
      if (answer !== undefined) return [place, answer]
      await catalog.refresh()
    }
  }

  /** Tells where the damage is if a batch cannot be read. */
  async #intact<T>({ topic, number }: Partition, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof MillraceError) || !error.code.startsWith('RECORD_BATCH_')) throw error
      const what = `partition ${number} of topic ${topic} (${error.problem})`
      throw new PostgresDataDamagedError(this.#ground.schemaName, what, { cause: error })
    }
  }
}

function resultOf({ records, nextOffset, latest }: Page): ReadResult {
  return { records, nextOffset, latest }
}

function outOfRange(place: Partition, offset: number, { earliest, latest }: Extent): OffsetOutOfRangeError {
  return new OffsetOutOfRangeError(place.topic, place.number, offset, earliest, latest)
}
