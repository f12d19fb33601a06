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
import { type ChangelogAccess, ChangelogTopic } from './changelog-topic.ts'
import { ChangelogWriter } from './changelog-writer.ts'
import { loadKafkaLibrary } from './client-library.ts'
import { Cluster } from './cluster.ts'
import { inStructuredMode } from './content-mode.ts'
import { KafkaChangelogUnfitError, KafkaKeepsNotError } from './errors.ts'
import { GroupLags } from './group-lags.ts'
import { GroupOffsets } from './group-offsets.ts'
import { claimsOf } from './held-claim.ts'
import { KafkaGroups } from './kafka-groups.ts'
import { KafkaState } from './kafka-state.ts'
import { type Door, KafkaTopics } from './kafka-topics.ts'
import { KafkaWriter } from './kafka-writer.ts'
import { noEvents, noState, noTimers } from './not-kept.ts'
import type { ResolvedKafkaOptions } from './options.ts'
import { PartitionExtents } from './partition-extents.ts'
import { TopicCatalog } from './topic-catalog.ts'
import { TopicReader } from './topic-reader.ts'

/** What the Kafka engine can do without state, before it is opened. */
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

/** With state. */
export const kafkaStateCapabilities: Capabilities = {
  ...kafkaCapabilities,
  keeps: ['topics', 'progress', 'state'],
  atomic: [['topics', 'progress', 'state']],
  ownedState: true,
}

const name = 'kafka'

/** Whether the engine still answers, for its parts. */
class EngineDoor implements Door {
  isClosing = false
  failure: () => Error | undefined = () => undefined

  refuseIfDone(): void {
    if (this.isClosing) throw new ClosedError('The engine')
    const failure = this.failure()
    if (failure !== undefined) throw failure
  }
}

/** The parts that know the cluster's topics. */
function topicParts(cluster: Cluster, door: Door) {
  const catalog = new TopicCatalog(cluster)
  const extents = new PartitionExtents(cluster, catalog)
  const reader = new TopicReader(cluster, catalog, extents)
  return { cluster, catalog, extents, reader, topics: new KafkaTopics(cluster, catalog, extents, reader, door) }
}

/** Topics and progress in a Kafka cluster, and state if it was asked for, committed together in transactions. */
export class KafkaEngine implements Engine {
  readonly name: string = name
  readonly capabilities: Capabilities
  readonly topics: Topics
  readonly groups: ConsumerGroups
  readonly events: EventStore
  readonly state: StateStore
  readonly timers: Timers
  readonly #cluster: Cluster
  readonly #catalog: TopicCatalog
  readonly #groups: KafkaGroups
  readonly #queue: CommitQueue
  readonly #door: EngineDoor
  readonly #state: KafkaState | undefined
  /** Commits whose topics have to be asked for first hold up those behind them, so that their order stays. */
  #gate: Promise<unknown> | undefined
  #closing: Promise<void> | undefined

  private constructor(
    { cluster, catalog, extents, reader, topics }: ReturnType<typeof topicParts>,
    door: EngineDoor,
    stateful: { readonly access: ChangelogAccess; readonly shared: ChangelogTopic } | undefined,
  ) {
    this.#cluster = cluster
    this.#door = door
    const { options, clock, random } = cluster
    this.#catalog = catalog
    this.topics = topics
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
    this.#state = stateful && new KafkaState(stateful.access, stateful.shared, this.#groups)
    this.state = this.#state ?? noState(door)
    this.capabilities = this.#state === undefined ? kafkaCapabilities : kafkaStateCapabilities
    const stateWriter =
      this.#state && stateful && new ChangelogWriter(cluster, catalog, this.#state, stateful.shared.at(0))
    this.timers = noTimers(door)
    const transactionalId = `${options.transactionalIdPrefix}-${uuidv7(clock, random)()}`
    this.#queue = new CommitQueue({
      writer: new KafkaWriter(cluster, catalog, this.#groups, reader, transactionalId, stateWriter),
      catalog,
      clock,
      bufferBytesMax: options.bufferBytesMax,
      isProgressFenced: true,
      ownsState: true,
      listener: {
        published: ({ partition, timesMs }, baseOffset) => partition.advance(baseOffset + timesMs.length),
        unitCommitted: () => undefined,
        failed: () => this.#state?.wake(),
      },
    })
    door.failure = () => this.#queue.failure
  }

  /** Opens the engine; see {@link kafka}. */
  static async open(options: ResolvedKafkaOptions, environment: EngineEnvironment): Promise<KafkaEngine> {
    const library = await loadKafkaLibrary()
    const cluster = new Cluster(library, options, environment.clock, environment.random)
    const door = new EngineDoor()
    try {
      await cluster.persist(() => cluster.metadata([]))
      const parts = topicParts(cluster, door)
      const { state } = options
      if (state === undefined) return new KafkaEngine(parts, door, undefined)
      const access = { ...parts, door, options: state }
      const shared = await openShared(access, `${options.prefix}${state.topic}`)
      return new KafkaEngine(parts, door, { access, shared })
    } catch (error) {
      await cluster.close()
      throw error
    }
  }

  commit(batch: WriteBatch, options?: { readonly signal?: AbortSignal }): Promise<CommitOutcome> {
    try {
      // Said before anything of its claims, which closing takes away: nobody took the partition over.
      this.#door.refuseIfDone()
      checkBatch(batch)
      if (options !== undefined) checkOptions('options', options)
      if (options?.signal !== undefined) {
        checkSignal(options.signal)
        options.signal.throwIfAborted()
      }
      refuseNotKept(batch, this.capabilities)
    } catch (error) {
      return Promise.reject(error)
    }
    if (this.#gate === undefined && this.#areKnown(batch)) return this.#enter(batch, options?.signal)
    const before = this.#gate ?? Promise.resolve()
    const learnt = before.then(() => this.#learn(batch))
    const answer = learnt.then(() => this.#enter(batch, options?.signal))
    const gate = learnt
      .catch(() => undefined)
      .finally(() => {
        if (this.#gate === gate) this.#gate = undefined
      })
    this.#gate = gate
    return answer
  }

  close({ timeoutMs }: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#door.isClosing = true
    // Brokers that are gone do not keep a process from ending.
    const { requestTimeoutMs } = this.#cluster.options
    this.#closing ??= this.#close(Math.min(timeoutMs ?? requestTimeoutMs, requestTimeoutMs))
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(timeoutMs: number): Promise<void> {
    const late = Promise.withResolvers<void>()
    const timer = this.#cluster.clock.setTimer(() => late.resolve(), timeoutMs)
    await Promise.race([this.#finish(), late.promise])
    timer.cancel()
    await this.#cluster.close()
    await this.#queue.close()
    await this.#state?.close()
  }

  async #finish(): Promise<void> {
    while (this.#gate !== undefined) await this.#gate
    await this.#queue.settled()
    await this.#groups.close().catch(() => undefined)
    await this.#queue.close()
  }

  #enter(batch: WriteBatch, signal: AbortSignal | undefined): Promise<CommitOutcome> {
    for (const claim of claimsOf(batch)) {
      if (!this.#groups.isCurrent(claim)) return Promise.resolve({ ok: false, conflict: { kind: 'fenced', claim } })
    }
    if (this.#cluster.options.contentMode === 'binary') return this.#queue.commit(batch, signal)
    try {
      return this.#queue.commit(inStructuredMode(batch), signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #areKnown(batch: WriteBatch): boolean {
    const { publish = [], state = [] } = batch
    return (
      publish.every(({ topic, partition }) => this.#catalog.has(topic, partition)) &&
      (state.length === 0 || this.#state?.isReady(state) !== false)
    )
  }

  /** Learns of topics that are not known yet; what is not there at all is found out when the commit is staged. */
  async #learn(batch: WriteBatch): Promise<void> {
    for (const { topic, partition } of batch.publish ?? []) {
      if (!this.#catalog.has(topic, partition)) await this.#catalog.refresh(topic, this.#cluster.lasting)
    }
    if (batch.state !== undefined) await this.#state?.prepare(batch.state)
  }

  async #settled(): Promise<void> {
    while (this.#gate !== undefined) await this.#gate
    await this.#queue.settled()
  }
}

function refuseNotKept(batch: WriteBatch, { keeps }: Capabilities): void {
  const kinds: readonly (readonly [keyof WriteBatch, Kept])[] = [
    ['append', 'events'],
    ['state', 'state'],
    ['timers', 'timers'],
  ]
  for (const [part, kind] of kinds) {
    if ((batch[part]?.length ?? 0) > 0 && !keeps.includes(kind)) throw new KafkaKeepsNotError(kind)
  }
}

/** The changelog of what belongs to nobody: its order decides, so it has one partition. */
async function openShared(access: ChangelogAccess, name: string): Promise<ChangelogTopic> {
  const shared = await ChangelogTopic.open(access, name, 1)
  try {
    if (shared.partitionCount !== 1) {
      throw new KafkaChangelogUnfitError(name, `it has ${shared.partitionCount} partitions, not one`)
    }
    await shared.follow()
    return shared
  } catch (error) {
    await shared.close()
    throw error
  }
}
