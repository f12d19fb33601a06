import { existsSync } from 'node:fs'
import { backup as backupDatabase, type DatabaseSync } from 'node:sqlite'
import type { Capabilities, CommitOutcome, Engine, EngineEnvironment, WriteBatch } from '../engine/index.ts'
import { OptionsInvalidError, type Timer } from '../kernel/index.ts'
import { BatchReader } from './batch-reader.ts'
import { Catalog } from './catalog.ts'
import { CommitQueue } from './commit-queue.ts'
import { checkSqliteVersion, databaseBytes, memoryPath, openForReading, openForWriting } from './connection.ts'
import { EmbeddedGroups } from './consumer-groups.ts'
import { EngineCore } from './engine-core.ts'
import { ReadOnlyError } from './errors.ts'
import { EventLog } from './event-log.ts'
import { FileLock } from './file-lock.ts'
import type { EmbeddedOptions } from './options.ts'
import { ProgressTable } from './progress-table.ts'
import { RecentMessages } from './recent-messages.ts'
import { StateReader } from './state-reader.ts'
import { InlineStoreClient, type StoreClient, ThreadStoreClient } from './store-client.ts'
import { TimerReader } from './timer-reader.ts'
import { TopicLog } from './topic-log.ts'
import type { BatchDraft, UnitDraft } from './unit-draft.ts'
import { Verification, type VerifyProgress, type VerifyReport } from './verify.ts'

const everything = ['topics', 'progress', 'events', 'state', 'timers'] as const

/** What the parts of an engine are made of while it opens. */
interface Parts {
  readonly options: Required<EmbeddedOptions>
  readonly environment: EngineEnvironment
  readonly reader: DatabaseSync
  readonly client: StoreClient | undefined
  readonly lock: FileLock | undefined
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
  #maintenance: Timer | undefined
  #closing: Promise<void> | undefined

  private constructor(parts: Parts) {
    const { options, environment, reader, client } = parts
    this.#parts = parts
    this.path = options.path
    this.capabilities = capabilitiesOf(options.path)
    const recent = new RecentMessages(options.recentBytesMax)
    const catalog = Catalog.read(reader)
    const queue =
      client === undefined
        ? undefined
        : new CommitQueue(client, catalog, environment.clock, options.bufferBytesMax, {
            published: (draft, baseOffset) => this.#published(draft, baseOffset, recent),
            unitCommitted: (unit) => this.#unitCommitted(unit),
          })
    this.#core = new EngineCore(options.path, environment.clock, reader, catalog, queue)
    const batches = new BatchReader(reader, options.path)
    this.topics = new TopicLog(this.#core, batches, recent, (topic) => this.groups.rebalance(topic))
    this.groups = new EmbeddedGroups(this.#core, this.topics, batches, new ProgressTable(reader))
    this.events = new EventLog(this.#core)
    this.state = new StateReader(this.#core)
    this.timers = new TimerReader(this.#core)
    if (client !== undefined) this.#scheduleMaintenance()
  }

  /** Opens the engine; see {@link embedded}. */
  static async open(options: Required<EmbeddedOptions>, environment: EngineEnvironment): Promise<EmbeddedEngine> {
    checkSqliteVersion()
    const { path, readOnly } = options
    if (path === memoryPath) {
      const reader = openForWriting(path)
      return new EmbeddedEngine({
        options,
        environment,
        reader,
        client: new InlineStoreClient(reader, path),
        lock: undefined,
      })
    }
    if (readOnly) {
      return new EmbeddedEngine({
        options,
        environment,
        reader: openForReading(path),
        client: undefined,
        lock: undefined,
      })
    }
    const lock = FileLock.acquire(path, process.pid)
    let client: StoreClient | undefined
    try {
      client = await ThreadStoreClient.start(path)
      return new EmbeddedEngine({ options, environment, reader: openForReading(path), client, lock })
    } catch (error) {
      await client?.close()
      lock[Symbol.dispose]()
      throw error
    }
  }

  commit(batch: WriteBatch, options?: { readonly signal?: AbortSignal }): Promise<CommitOutcome> {
    const { queue } = this.#core
    if (queue === undefined) return Promise.reject(new ReadOnlyError(this.path))
    for (const { claim } of batch.progress ?? noProgress) {
      if (this.groups.isCurrent(claim)) continue
      const { group, topic, partition } = claim
      return Promise.resolve({ ok: false, conflict: { kind: 'fenced', group, topic, partition } })
    }
    return queue.commit(batch, options?.signal)
  }

  /**
   * Copies the database into a new file while the engine runs: a consistent state of one moment after the call.
   * @throws OptionsInvalidError when `toPath` exists already
   */
  async backup(
    toPath: string,
    options: { readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void } = {},
  ): Promise<{ readonly bytes: number }> {
    this.#core.refuseIfDone()
    if (typeof toPath !== 'string' || toPath === '' || existsSync(toPath)) {
      throw new OptionsInvalidError('backup()', [{ option: 'toPath', problem: 'is empty or exists already' }])
    }
    await this.#core.queue?.settled()
    await backupDatabase(this.#parts.reader, toPath, {
      rate: 1_000,
      progress: ({ totalPages, remainingPages }) =>
        options.onProgress?.({ done: totalPages - remainingPages, total: totalPages }),
    })
    return { bytes: databaseBytes(this.#parts.reader) }
  }

  /** Walks every record batch, event and index and reports damage by place. */
  async verify(
    options: { readonly onProgress?: (progress: VerifyProgress) => void; readonly signal?: AbortSignal } = {},
  ): Promise<VerifyReport> {
    this.#core.refuseIfDone()
    await this.#core.queue?.settled()
    return new Verification(this.#parts.reader).run(options.onProgress ?? (() => undefined), options.signal)
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
    const { client, reader, lock } = this.#parts
    try {
      if (this.path !== memoryPath) reader.close()
      await client?.close()
    } finally {
      lock?.[Symbol.dispose]()
    }
  }

  #published(draft: BatchDraft, baseOffset: number, recent: RecentMessages): void {
    const { partition, messages, timesMs } = draft
    const end = baseOffset + timesMs.length
    // A repeated batch of an idempotent producer stands where it stood before.
    if (end > partition.latest) {
      if (messages?.length === timesMs.length)
        recent.add(partition.id, baseOffset, messages, timesMs, draft.sealedBytes)
      else recent.drop(partition.id)
      partition.advance(end)
    }
  }

  #unitCommitted(unit: UnitDraft): void {
    if (unit.state.length > 0) this.state.notify(unit.state)
    if (unit.timers.length > 0) this.timers.notify(unit.timers)
    if (unit.appends.length > 0) this.events.notify()
  }

  #scheduleMaintenance(): void {
    const { maintenanceIntervalMs } = this.#parts.options
    if (maintenanceIntervalMs === 0) return
    this.#maintenance = this.#parts.environment.clock.setTimer(
      () => {
        this.topics.maintain().then(
          () => this.#scheduleMaintenance(),
          // A failed engine says so at the next commit; maintenance has nobody to tell.
          () => undefined,
        )
      },
      maintenanceIntervalMs,
      { unref: true },
    )
  }
}

const noProgress: readonly [] = []

function capabilitiesOf(path: string): Capabilities {
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
    },
    events: { conditions: true, multiStream: true, idempotentById: true },
    members: 'process',
  }
}
