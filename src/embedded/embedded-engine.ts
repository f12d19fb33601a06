import type { DatabaseSync } from 'node:sqlite'
import { type BatchDraft, CommitQueue, checkBatch, checkOptions, type UnitDraft } from '../committing/index.ts'
import type { Capabilities, CommitOutcome, Engine, EngineEnvironment, WriteBatch } from '../engine/index.ts'
import { ClosedError, type Timer } from '../kernel/index.ts'
import { backupTo } from './backup.ts'
import { BatchReader } from './batch-reader.ts'
import { Catalog, type Partition } from './catalog.ts'
import { checkSqliteVersion, memoryPath, opened } from './connection.ts'
import { EmbeddedGroups } from './consumer-groups.ts'
import { EngineCore } from './engine-core.ts'
import { ReadOnlyError } from './errors.ts'
import { EventLog } from './event-log.ts'
import type { EmbeddedOptions } from './options.ts'
import { ProgressTable } from './progress-table.ts'
import { RecentMessages } from './recent-messages.ts'
import { StateReader } from './state-reader.ts'
import { openStorage, type Storage, type StorageOpener } from './storage.ts'
import { groupWriterOf } from './store-client.ts'
import { TimerReader } from './timer-reader.ts'
import { TopicLog } from './topic-log.ts'
import { checkProgressOptions, Verification, type VerifyProgress, type VerifyReport } from './verify.ts'

const everything = ['topics', 'progress', 'events', 'state', 'timers'] as const

/** What the parts of an engine are made of while it opens. */
interface Parts {
  readonly options: Required<EmbeddedOptions>
  readonly environment: EngineEnvironment
  readonly storage: Storage
}

/**
 * The embedded engine: topics, event store, state and timers in one SQLite file, committed together.
 *
 * One process writes the file; others may open it with `readOnly`. Commits of all callers are gathered into groups: one
 * transaction and one sync for whatever waited, in a thread of its own.
 */
export class EmbeddedEngine implements Engine {
  readonly name = 'embedded'
  readonly capabilities: Capabilities
  readonly topics: TopicLog
  readonly groups: EmbeddedGroups
  readonly events: EventLog
  readonly state: StateReader
  readonly timers: TimerReader
  /** The file, as it was given. */
  readonly path: string
  readonly #core: EngineCore
  readonly #parts: Parts
  /** Partitions of which somebody waits to read early what was published in this turn. */
  readonly #stagedPartitions = new Set<Partition>()
  #maintenance: Timer | undefined
  /** Long work that goes over its own connection, and what makes it stop when the engine closes. */
  readonly #longWork = new Set<Promise<unknown>>()
  readonly #end = new AbortController()
  #closing: Promise<void> | undefined

  private constructor(parts: Parts) {
    const { options, environment, storage } = parts
    const { reader, client } = storage
    this.#parts = parts
    this.path = options.path
    this.capabilities = capabilitiesOf(options.path)
    const recent = new RecentMessages(options.recentBytesMax)
    const catalog = Catalog.read(reader)
    const queue =
      client === undefined
        ? undefined
        : new CommitQueue({
            writer: groupWriterOf(client),
            catalog,
            clock: environment.clock,
            bufferBytesMax: options.bufferBytesMax,
            listener: {
              published: (draft, baseOffset) => this.#published(draft, baseOffset, recent),
              unitCommitted: (unit) => this.#unitCommitted(unit),
              failed: () => this.#core.wake(),
              staged: (partition) => this.#staged(catalog.partitionById(partition.id)),
              fenced: (claim) => this.groups.endClaim(claim),
              rolledBack: (partition) => this.groups.takeBack(partition),
            },
            isOver: (claim) => this.groups.isOver(claim),
          })
    this.#core = new EngineCore({ path: options.path, clock: environment.clock, reader, catalog, queue, client })
    const batches = new BatchReader(reader, this.#core.reads)
    this.topics = new TopicLog(this.#core, batches, recent, (topic) => this.groups.rebalance(topic))
    this.groups = new EmbeddedGroups(this.#core, this.topics, batches, new ProgressTable(reader, this.#core.reads))
    this.events = new EventLog(this.#core)
    this.state = new StateReader(this.#core)
    this.timers = new TimerReader(this.#core)
    if (client !== undefined) this.#scheduleMaintenance()
  }

  /** Opens the engine; see {@link embedded}. `openItsStorage`: what it stands on, for those who simulate it. */
  static async open(
    options: Required<EmbeddedOptions>,
    environment: EngineEnvironment,
    openItsStorage: StorageOpener = openStorage,
  ): Promise<EmbeddedEngine> {
    checkSqliteVersion()
    const storage = await openItsStorage(options)
    try {
      return new EmbeddedEngine({ options, environment, storage })
    } catch (error) {
      await storage.close().catch(() => undefined)
      throw opened(options.path, error)
    }
  }

  commit(batch: WriteBatch, options?: { readonly signal?: AbortSignal }): Promise<CommitOutcome> {
    const { queue } = this.#core
    if (queue === undefined) return Promise.reject(new ReadOnlyError(this.path))
    // Said before anything of its claims, which closing takes away: nobody took the partition over.
    if (this.#closing !== undefined) return Promise.reject(new ClosedError('The engine'))
    try {
      checkBatch(batch)
      if (options !== undefined) checkOptions('options', options)
    } catch (error) {
      return Promise.reject(error)
    }
    return queue.commit(batch, options?.signal)
  }

  /**
   * Copies the database into a new file while the engine runs: a consistent state of one moment after the call. The file
   * appears under its name when it is complete and synced.
   * @throws OptionsInvalidError when `toPath` exists already; ArgumentInvalidError; FileUnusableError, DiskFullError where it cannot be
   *   written; ClosedError when the engine closes meanwhile
   */
  async backup(
    toPath: string,
    options: { readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void } = {},
  ): Promise<{ readonly bytes: number }> {
    checkProgressOptions(options)
    this.#core.refuseIfDone()
    await this.#core.queue?.settled()
    return this.#overSnapshot((db) => backupTo(db, toPath, options.onProgress ?? (() => undefined), this.#end.signal))
  }

  /**
   * Walks every record batch, event, other row and index, holds each against its checksum, and reports damage by place.
   * @throws ArgumentInvalidError; the reason of the signal
   */
  async verify(
    options: { readonly onProgress?: (progress: VerifyProgress) => void; readonly signal?: AbortSignal } = {},
  ): Promise<VerifyReport> {
    checkProgressOptions(options)
    this.#core.refuseIfDone()
    await this.#core.queue?.settled()
    const signal = AbortSignal.any([this.#end.signal, ...(options.signal === undefined ? [] : [options.signal])])
    return this.#overSnapshot((db) => new Verification(db).run(options.onProgress ?? (() => undefined), signal))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    this.#maintenance?.cancel()
    this.groups.close()
    await this.#core.queue?.close()
    this.#core.end()
    this.#end.abort(new ClosedError('The engine'))
    await Promise.allSettled(this.#longWork)
    await this.#parts.storage.close()
  }

  /**
   * Runs long work over one moment of the file, on a connection of its own: what is committed meanwhile neither disturbs
   * it nor is held up by it. SQLite's log cannot start anew before it is done.
   */
  async #overSnapshot<T>(work: (db: DatabaseSync) => Promise<T>): Promise<T> {
    this.#core.refuseIfDone()
    const snapshot = this.#parts.storage.snapshot()
    try {
      const running = work(snapshot.db)
      this.#longWork.add(running)
      try {
        return await running
      } finally {
        this.#longWork.delete(running)
      }
    } finally {
      snapshot.release()
    }
  }

  #published(draft: BatchDraft, baseOffset: number, recent: RecentMessages): void {
    const { partition, messages, timesMs } = draft
    const end = baseOffset + timesMs.length
    // A repeated batch of an idempotent producer stands where it stood before.
    if (end > partition.latest) {
      if (messages?.length === timesMs.length)
        recent.add(partition.id, baseOffset, messages, timesMs, {
          encodedBytes: draft.sealedBytes,
          isAwaited: this.#core.catalog.partitionById(partition.id)?.isAwaited === true,
        })
      else recent.drop(partition.id)
      partition.advance(end)
    }
  }

  /** Who waits early is woken once for all that a turn publishes, before the turn's group is sent. */
  #staged(partition: Partition | undefined): void {
    if (partition === undefined || !partition.isAwaitedEarly) return
    if (this.#stagedPartitions.size === 0) {
      setImmediate(() => {
        for (const one of this.#stagedPartitions) one.wakeEarly()
        this.#stagedPartitions.clear()
      })
    }
    this.#stagedPartitions.add(partition)
  }

  #unitCommitted(unit: UnitDraft): void {
    if (unit.state.length > 0) this.state.notify(unit.state)
    if (unit.timers.length > 0) this.timers.notify(unit.timers)
    if (unit.appends.length > 0) this.events.notify()
  }

  #scheduleMaintenance(): void {
    const { maintenanceIntervalMs } = this.#parts.options
    if (maintenanceIntervalMs === 0 || this.#closing !== undefined || this.#core.queue?.failure !== undefined) return
    const again = (): void => this.#scheduleMaintenance()
    this.#maintenance = this.#parts.environment.clock.setTimer(
      () => {
        // It has nobody to tell of a full disk or of damage: those who write and read are told. Retention may help.
        this.topics.maintainDue().then(again, again)
      },
      maintenanceIntervalMs,
      { unref: true },
    )
  }
}

/** What an engine on this path can do. */
export function capabilitiesOf(path: string): Capabilities {
  return {
    keeps: everything,
    atomic: [everything],
    durability: path === memoryPath ? 'memory' : 'synced',
    topics: {
      ordering: 'partition',
      idempotentProducers: true,
      compaction: true,
      retention: true,
      compression: ['none', 'gzip', 'zstd'],
      outOfOrderProgress: true,
      early: true,
    },
    events: { conditions: true, multiStream: true, idempotentById: true },
    members: 'process',
  }
}
