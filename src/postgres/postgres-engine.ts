import { type BatchDraft, CommitQueue, checkBatch, checkOptions, type UnitDraft } from '../committing/index.ts'
import type { Capabilities, CommitOutcome, Engine, EngineEnvironment, WriteBatch } from '../engine/index.ts'
import { ClosedError, systemClock, systemRandom, type Timer, uuidv7 } from '../kernel/index.ts'
import { loadPg, quoted } from '../sql/index.ts'
import { ChangeWatch } from './change-watch.ts'
import { CommitChannel } from './commit-channel.ts'
import { CommitGate } from './commit-gate.ts'
import { type EngineCore, Openness } from './engine-core.ts'
import { PostgresClientMissingError } from './errors.ts'
import { EventLog } from './event-log.ts'
import { GroupDirectory } from './group-directory.ts'
import { MadeChanges } from './made-changes.ts'
import { Notices } from './notices.ts'
import type { ResolvedPostgresOptions } from './options.ts'
import type { PgModule } from './pg-client.ts'
import { migrate, requireNewest } from './schema.ts'
import { isTransientAtOpen, Server } from './server.ts'
import { StateReader } from './state-reader.ts'
import { StatementPool } from './statement-pool.ts'
import { TimerReader } from './timer-reader.ts'
import { TopicCatalog } from './topic-catalog.ts'
import type { TopicGround } from './topic-ground.ts'
import { TopicLog } from './topic-log.ts'
import { Upkeep } from './upkeep.ts'

const everything = ['topics', 'progress', 'events', 'state', 'timers'] as const

/** Connections that do not read: one commits, one listens. */
const connectionsReserved = 2

/** What is under way when the time to close is over is told so, and may take this long to say it, in milliseconds. */
const cutMsMost = 1000

/** What the parts of an engine are made of while it opens. */
interface Parts {
  readonly server: Server
  readonly pool: StatementPool
  readonly channel: CommitChannel
  readonly catalog: TopicCatalog
  readonly instanceId: string
  readonly environment: EngineEnvironment
}

/** How often it is looked whether another process changed a topic, in milliseconds. */
const topicLookMs = 5000

/**
 * The PostgreSQL engine: topics, event store, state and timers in one schema, committed together.
 *
 * Any number of processes open it at the same time. Commits of a process are gathered into groups: one round trip, one
 * transaction and one sync for whatever waited.
 */
export class PostgresEngine implements Engine {
  readonly name = 'postgres'
  readonly capabilities: Capabilities = capabilities
  readonly topics: TopicLog
  readonly groups: GroupDirectory
  readonly events: EventLog
  readonly state: StateReader
  readonly timers: TimerReader
  readonly #parts: Parts
  readonly #openness = new Openness()
  readonly #changes: ChangeWatch
  readonly #notices: Notices
  readonly #queue: CommitQueue
  readonly #gate: CommitGate
  readonly #upkeep: Upkeep
  /** What writes besides the commits. */
  readonly #works = new Set<Promise<unknown>>()
  #maintenance: Timer | undefined
  #topicLook: Timer | undefined
  #closing: Promise<void> | undefined

  private constructor(parts: Parts) {
    const { server, pool, channel, catalog, instanceId, environment } = parts
    const { options } = server
    const { clock } = environment
    const schema = quoted(options.schema)
    this.#parts = parts
    this.#changes = new ChangeWatch(pool, clock, options.pollMs, schema, instanceId)
    this.#notices = new Notices(server, instanceId, () => this.#hint())
    this.#queue = new CommitQueue({
      writer: channel,
      catalog,
      clock,
      bufferBytesMax: options.bufferBytesMax,
      isProgressFenced: true,
      listener: {
        published: (draft, baseOffset) => this.#published(draft, baseOffset),
        unitCommitted: (unit) => this.#unitCommitted(unit),
        failed: () => undefined,
      },
    })
    this.#gate = new CommitGate(this.#queue, catalog)
    this.#upkeep = new Upkeep(pool, schema, instanceId)
    const refuseIfDone = (): void => this.#openness.refuseIfDone()
    const inOrder = <T>(work: () => Promise<T>): Promise<T> => this.#inOrder(work)
    const core: EngineCore = {
      schemaName: options.schema,
      schema,
      clock,
      pool,
      channel,
      changes: this.#changes,
      refuseIfDone,
      inOrder,
    }
    const ground: TopicGround = {
      schemaName: options.schema,
      schema,
      clock,
      runner: pool,
      catalog,
      made: new MadeChanges(pool, schema, instanceId),
      pollMs: options.pollMs,
      instanceId,
      refuseIfDone,
      inOrder,
      announce: () => this.#notices.announce(),
    }
    this.topics = new TopicLog(ground)
    this.groups = new GroupDirectory(ground, this.topics)
    this.events = new EventLog(core)
    this.state = new StateReader(core)
    this.timers = new TimerReader(core)
    this.#scheduleMaintenance()
    this.#lookAtTopicsLater()
  }

  /** Opens the engine; see {@link postgres}. */
  static async open(options: ResolvedPostgresOptions, environment: EngineEnvironment): Promise<PostgresEngine> {
    const pg = await loadPg<PgModule>((missing) => new PostgresClientMissingError(missing))
    const server = new Server(pg, options, environment.clock, environment.random)
    // Never that of another engine, also where a test repeats all other chance.
    const instanceId = uuidv7(systemClock, systemRandom)()
    const channel = await server.persist(
      async () => {
        const client = await server.connect()
        try {
          if (environment.visit === 'read') await requireNewest(client, options.schema)
          else await migrate(client, options.schema)
          return await CommitChannel.open(server, client, instanceId)
        } catch (error) {
          await client.end().catch(() => undefined)
          throw error
        }
      },
      options.connectTimeoutMs,
      isTransientAtOpen,
    )
    const pool = new StatementPool(server, options.poolMax - connectionsReserved)
    const catalog = new TopicCatalog(pool, quoted(options.schema))
    try {
      await catalog.refresh()
      return new PostgresEngine({ server, pool, channel, catalog, instanceId, environment })
    } catch (error) {
      await channel.close()
      server.end()
      await pool.close()
      throw error
    }
  }

  commit(batch: WriteBatch, options?: { readonly signal?: AbortSignal }): Promise<CommitOutcome> {
    if (this.#closing !== undefined) return Promise.reject(new ClosedError('The engine'))
    try {
      checkBatch(batch)
      if (options !== undefined) checkOptions('options', options)
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#gate.commit(batch, options?.signal)
  }

  close({ timeoutMs }: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= timeoutMs === undefined ? this.#close() : this.#closeWithin(timeoutMs)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #closeWithin(timeoutMs: number): Promise<void> {
    const { server, pool, channel, environment } = this.#parts
    const over = Promise.withResolvers<void>()
    let timer = environment.clock.setTimer(() => {
      server.cut()
      channel.cut()
      pool.cut()
      timer = environment.clock.setTimer(over.resolve, cutMsMost)
    }, timeoutMs)
    await Promise.race([this.#close(), over.promise])
    timer.cancel()
  }

  async #close(): Promise<void> {
    const { server, pool, channel, catalog } = this.#parts
    this.#openness.close()
    this.#topicLook?.cancel()
    this.#maintenance?.cancel()
    await this.#gate.settled()
    await this.#queue.close()
    await this.groups.close()
    await Promise.allSettled(this.#works)
    this.#openness.end()
    this.#changes.close()
    catalog.wake()
    await this.#notices.close()
    await channel.close()
    server.end()
    await pool.close()
  }

  /** Does something that writes, after all commits made before; refuses it once `close()` was called. */
  async #inOrder<T>(work: () => Promise<T>): Promise<T> {
    this.#openness.refuseIfClosing()
    const running = this.#gate
      .settled()
      .then(() => this.#queue.settled())
      .then(work)
    this.#works.add(running)
    try {
      return await running
    } finally {
      this.#works.delete(running)
    }
  }

  #hint(): void {
    this.#changes.hint()
    this.topics.hint()
    this.groups.hint()
  }

  #published({ partition, timesMs }: BatchDraft, baseOffset: number): void {
    partition.advance(baseOffset + timesMs.length)
    this.#notices.announce()
  }

  #unitCommitted(unit: UnitDraft): void {
    for (const namespace of new Set(unit.state.map((command) => command.namespace))) {
      this.#changes.stateChanged(namespace)
    }
    if (unit.timers.length > 0) this.timers.notify(unit.timers)
    if (unit.appends.length > 0) this.#changes.appended()
    if (unit.state.length + unit.timers.length + unit.appends.length > 0) this.#notices.announce()
  }

  /** A process that does nothing but publish would not find out that a topic has grown: the keys of one would lie in two partitions. */
  #lookAtTopicsLater(): void {
    if (this.#closing !== undefined) return
    const { catalog, environment } = this.#parts
    const again = (): void => this.#lookAtTopicsLater()
    // A server that is away is asked again later.
    const look = (): void => void catalog.refresh().then(again, again)
    this.#topicLook = environment.clock.setTimer(look, topicLookMs, { unref: true })
  }

  #scheduleMaintenance(): void {
    const { server, environment } = this.#parts
    const { maintenanceIntervalMs } = server.options
    if (maintenanceIntervalMs === 0 || this.#closing !== undefined) return
    const again = (): void => this.#scheduleMaintenance()
    this.#maintenance = environment.clock.setTimer(
      () => {
        // It has nobody to tell of a full disk or of damage: those who write and read are told.
        Promise.allSettled([this.topics.maintainDue(), this.#upkeep.run()]).then(again, again)
      },
      maintenanceIntervalMs,
      { unref: true },
    )
  }
}

/** What the engine can do, whatever its options are. */
export const capabilities: Capabilities = {
  keeps: everything,
  atomic: [everything],
  durability: 'synced',
  topics: {
    ordering: 'partition',
    idempotentProducers: true,
    compaction: true,
    retention: true,
    compression: ['none', 'gzip', 'zstd'],
    outOfOrderProgress: true,
  },
  events: { conditions: true, multiStream: true, idempotentById: true },
  members: 'network',
}
