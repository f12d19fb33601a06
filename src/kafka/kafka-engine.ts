import { CommitQueue, checkBatch, checkOptions, checkSignal } from '../committing/index.ts'
import type {
  Capabilities,
  CommitOutcome,
  ConsumerGroups,
  Engine,
  EngineEnvironment,
  EventStore,
  Kept,
  StateStore,
  Timers,
  Topics,
  WriteBatch,
} from '../engine/index.ts'
import { ClosedError, uuidv7 } from '../kernel/index.ts'
import { loadKafkaLibrary } from './client-library.ts'
import { Cluster } from './cluster.ts'
import { KafkaKeepsNotError } from './errors.ts'
import { GroupLags } from './group-lags.ts'
import { GroupOffsets } from './group-offsets.ts'
import { KafkaGroups } from './kafka-groups.ts'
import { KafkaTopics } from './kafka-topics.ts'
import { KafkaWriter } from './kafka-writer.ts'
import { noEvents, noState, noTimers } from './not-kept.ts'
import type { ResolvedKafkaOptions } from './options.ts'
import { PartitionExtents } from './partition-extents.ts'
import { TopicCatalog } from './topic-catalog.ts'
import { TopicReader } from './topic-reader.ts'

/** What the Kafka engine can do, before it is opened. */
export const kafkaCapabilities: Capabilities = {
  keeps: ['topics', 'progress'],
  atomic: [['topics', 'progress']],
  durability: 'synced',
  topics: {
    ordering: 'partition',
    idempotentProducers: false,
    compaction: true,
    retention: true,
    compression: ['none', 'gzip', 'zstd'],
    outOfOrderProgress: true,
    offsetGaps: true,
  },
  events: { conditions: false, multiStream: false, idempotentById: false },
  members: 'network',
}

const name = 'kafka'

/** Topics and progress in a Kafka cluster, committed together in transactions. */
export class KafkaEngine implements Engine {
  readonly name: string = name
  readonly capabilities: Capabilities = kafkaCapabilities
  readonly topics: Topics
  readonly groups: ConsumerGroups
  readonly events: EventStore
  readonly state: StateStore
  readonly timers: Timers
  readonly #cluster: Cluster
  readonly #catalog: TopicCatalog
  readonly #groups: KafkaGroups
  readonly #queue: CommitQueue
  /** Commits whose topics have to be asked for first hold up those behind them, so that their order stays. */
  #gate: Promise<unknown> | undefined
  #closing: Promise<void> | undefined

  private constructor(cluster: Cluster) {
    this.#cluster = cluster
    const { options, clock, random } = cluster
    const door = { refuseIfDone: () => this.#refuseIfDone() }
    const catalog = new TopicCatalog(cluster)
    const extents = new PartitionExtents(cluster, catalog)
    const reader = new TopicReader(cluster, catalog, extents)
    this.#catalog = catalog
    this.topics = new KafkaTopics(cluster, catalog, extents, reader, door)
    this.#groups = new KafkaGroups({
      cluster,
      catalog,
      reader,
      offsets: new GroupOffsets(cluster, extents),
      lags: new GroupLags(catalog, extents, reader, clock),
      door,
      settled: () => this.#settled(),
    })
    this.groups = this.#groups
    this.events = noEvents(door)
    this.state = noState(door)
    this.timers = noTimers(door)
    const transactionalId = `${options.transactionalIdPrefix}-${uuidv7(clock, random)()}`
    this.#queue = new CommitQueue({
      writer: new KafkaWriter(cluster, catalog, this.#groups, transactionalId),
      catalog,
      clock,
      bufferBytesMax: options.bufferBytesMax,
      isProgressFenced: true,
      listener: {
        published: ({ partition, timesMs }, baseOffset) => partition.advance(baseOffset + timesMs.length),
        unitCommitted: () => undefined,
        failed: () => undefined,
      },
    })
  }

  /** Opens the engine; see {@link kafka}. */
  static async open(options: ResolvedKafkaOptions, environment: EngineEnvironment): Promise<KafkaEngine> {
    const library = await loadKafkaLibrary()
    const cluster = new Cluster(library, options, environment.clock, environment.random)
    try {
      await cluster.persist(() => cluster.metadata([]))
      return new KafkaEngine(cluster)
    } catch (error) {
      await cluster.close()
      throw error
    }
  }

  commit(batch: WriteBatch, options?: { readonly signal?: AbortSignal }): Promise<CommitOutcome> {
    try {
      // Said before anything of its claims, which closing takes away: nobody took the partition over.
      this.#refuseIfDone()
      checkBatch(batch)
      if (options !== undefined) checkOptions('options', options)
      if (options?.signal !== undefined) {
        checkSignal(options.signal)
        options.signal.throwIfAborted()
      }
      refuseNotKept(batch)
    } catch (error) {
      return Promise.reject(error)
    }
    if (this.#gate === undefined && this.#areKnown(batch)) return this.#enter(batch, options?.signal)
    const before = this.#gate ?? Promise.resolve()
    const learnt = before.then(() => this.#learn(batch))
    const answer = learnt.then(
      () => this.#enter(batch, options?.signal),
      (error: unknown) => {
        throw error
      },
    )
    const gate = learnt
      .catch(() => undefined)
      .finally(() => {
        if (this.#gate === gate) this.#gate = undefined
      })
    this.#gate = gate
    return answer
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    const { clock, options } = this.#cluster
    const late = Promise.withResolvers<void>()
    // Brokers that are gone do not keep a process from ending.
    const timer = clock.setTimer(() => late.resolve(), options.requestTimeoutMs)
    await Promise.race([this.#finish(), late.promise])
    timer.cancel()
    await this.#cluster.close()
    await this.#queue.close()
  }

  async #finish(): Promise<void> {
    while (this.#gate !== undefined) await this.#gate
    await this.#queue.settled()
    await this.#groups.close().catch(() => undefined)
    await this.#queue.close()
  }

  #enter(batch: WriteBatch, signal: AbortSignal | undefined): Promise<CommitOutcome> {
    for (const { claim } of batch.progress ?? []) {
      if (this.#groups.isCurrent(claim)) continue
      const { group, topic, partition } = claim
      return Promise.resolve({ ok: false, conflict: { kind: 'fenced', group, topic, partition } })
    }
    return this.#queue.commit(batch, signal)
  }

  #areKnown(batch: WriteBatch): boolean {
    return (batch.publish ?? []).every(({ topic, partition }) => this.#catalog.has(topic, partition))
  }

  /** Learns of topics that are not known yet; what is not there at all is found out when the commit is staged. */
  async #learn(batch: WriteBatch): Promise<void> {
    for (const { topic, partition } of batch.publish ?? []) {
      if (!this.#catalog.has(topic, partition)) await this.#catalog.refresh(topic)
    }
  }

  async #settled(): Promise<void> {
    while (this.#gate !== undefined) await this.#gate
    await this.#queue.settled()
  }

  #refuseIfDone(): void {
    if (this.#closing !== undefined) throw new ClosedError('The engine')
    if (this.#queue.failure !== undefined) throw this.#queue.failure
  }
}

function refuseNotKept(batch: WriteBatch): void {
  const kinds: readonly (readonly [keyof WriteBatch, Kept])[] = [
    ['append', 'events'],
    ['state', 'state'],
    ['timers', 'timers'],
  ]
  for (const [part, kind] of kinds) if ((batch[part]?.length ?? 0) > 0) throw new KafkaKeepsNotError(kind)
}
