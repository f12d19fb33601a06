import { checkJoin, checkName } from '../committing/index.ts'
import {
  type Claim,
  type ConsumerGroups,
  GroupActiveError,
  type GroupDescription,
  GroupUnknownError,
  type JoinOptions,
  type Member,
  type StartPosition,
  TopicUnknownError,
} from '../engine/index.ts'
import { ClosedError, uuidv7 } from '../kernel/index.ts'
import { ClassicMember } from './classic-member.ts'
import type { Cluster } from './cluster.ts'
import { ConsumerMember, consumerProtocol } from './consumer-member.ts'
import { errorCode, refusalOf } from './error-codes.ts'
import { KafkaFeatureMissingError } from './errors.ts'
import { GroupDirectory } from './group-directory.ts'
import type { GroupLags } from './group-lags.ts'
import type { Membership } from './group-membership.ts'
import type { GroupOffsets } from './group-offsets.ts'
import type { ClaimBook, HeldClaim } from './held-claim.ts'
import type { Door } from './kafka-topics.ts'
import type { TopicCatalog } from './topic-catalog.ts'
import type { TopicReader } from './topic-reader.ts'

const consumerGroupHeartbeatKey = 68

/** What consumer groups are made of. */
export interface GroupParts {
  readonly cluster: Cluster
  readonly catalog: TopicCatalog
  readonly reader: TopicReader
  readonly offsets: GroupOffsets
  readonly lags: GroupLags
  readonly door: Door
  readonly settled: () => Promise<void>
}

/** Consumer groups of a Kafka cluster: members may be in any process. */
export class KafkaGroups implements ConsumerGroups, ClaimBook {
  readonly #parts: GroupParts
  readonly #directory: GroupDirectory
  readonly #members = new Set<{ readonly group: string; readonly sequence: number; readonly membership: Membership }>()
  readonly #nextId: () => string
  /** Brokers that know of the new protocol may have it switched off, which only a member learns. */
  #isConsumerProtocolOff = false
  #isClosed = false

  constructor(parts: GroupParts) {
    this.#parts = parts
    const { cluster } = parts
    this.#directory = new GroupDirectory(cluster)
    this.#nextId = uuidv7(cluster.clock, cluster.random)
  }

  async join(options: JoinOptions): Promise<Member> {
    this.#refuseIfDone()
    checkJoin(options)
    const { group } = options
    await Promise.all(options.topics.map((topic) => this.#parts.catalog.resolveTopic(topic)))
    this.#refuseIfDone()
    // Brokers share partitions one by one; what is to stay together, members have to share themselves.
    const isNew = options.together === undefined && (await this.#hasConsumerProtocol(group))
    if (!isNew) return this.#start(ClassicMember, options)
    try {
      return await this.#start(ConsumerMember, options)
    } catch (error) {
      const { groupProtocol } = this.#parts.cluster.options
      if (groupProtocol !== 'auto' || !(error instanceof KafkaFeatureMissingError)) throw error
      this.#isConsumerProtocolOff = true
      this.#refuseIfDone()
      return this.#start(ClassicMember, options)
    }
  }

  async #start(Protocol: typeof ConsumerMember | typeof ClassicMember, options: JoinOptions): Promise<Member> {
    const { group } = options
    const { cluster, catalog, offsets, settled } = this.#parts
    const taken = new Set([...this.#members].filter((one) => one.group === group).map(({ sequence }) => sequence))
    let sequence = 0
    while (taken.has(sequence)) sequence++
    const { instanceId } = cluster.options
    const membership: Membership = new Protocol({
      cluster,
      catalog,
      offsets,
      options: { ...options, topics: [...options.topics] },
      memberId: this.#nextId(),
      instanceId: instanceId === undefined ? null : `${instanceId}-${sequence}`,
      settled,
      changed: () => this.#nudge(group, membership),
      gone: () => this.#members.delete(entry),
    })
    const entry = { group, sequence, membership }
    this.#members.add(entry)
    try {
      await membership.start()
      this.#refuseIfDone()
    } catch (error) {
      membership.end()
      this.#members.delete(entry)
      throw error
    }
    membership.heartbeat()
    return membership
  }

  async list(): Promise<readonly string[]> {
    this.#refuseIfDone()
    return this.#directory.list()
  }

  async describe(group: string): Promise<GroupDescription | undefined> {
    this.#refuseIfDone()
    checkName('group', group)
    const [members, stored] = await Promise.all([this.#directory.members(group), this.#parts.offsets.all(group)])
    if (members.length === 0 && stored.length === 0) return undefined
    return { group, members, lag: await this.#parts.lags.of(stored) }
  }

  async reset(group: string, topic: string, to: StartPosition, partition?: number): Promise<void> {
    this.#refuseIfDone()
    checkName('group', group)
    const { catalog, offsets, reader } = this.#parts
    await this.refuseActive(group)
    const place = await catalog.resolveTopic(topic)
    const chosen = partition === undefined ? place.partitions : [await catalog.resolvePartition(topic, partition)]
    if ((await offsets.all(group)).length === 0) throw new GroupUnknownError(group)
    const entries = await Promise.all(
      chosen.map(async (one) => ({ partition: one, next: await reader.locate(topic, one.number, to) })),
    )
    const code = await offsets.put(group, entries)
    if (code === errorCode.none) return
    // Somebody joined meanwhile, and only members commit to a group that has some.
    await this.refuseActive(group)
    if (code === errorCode.unknownTopicOrPartition) throw new TopicUnknownError(topic)
    throw refusalOf('OffsetCommit', code, group)
  }

  async delete(group: string): Promise<void> {
    this.#refuseIfDone()
    checkName('group', group)
    await this.refuseActive(group)
    const code = await this.#directory.delete(group)
    if (code === errorCode.none || code === errorCode.groupIdNotFound) return
    if (code === errorCode.nonEmptyGroup) throw new GroupActiveError(group, 1)
    throw refusalOf('DeleteGroups', code, group)
  }

  holding(claim: Claim): HeldClaim | undefined {
    for (const { group, membership } of this.#members) {
      const held = group === claim.group ? membership.holding(claim) : undefined
      if (held !== undefined) return held
    }
    return undefined
  }

  /** Whether a claim still stands as far as this process knows. */
  isCurrent(claim: Claim): boolean {
    return this.holding(claim) !== undefined
  }

  /** Lets all members go, and takes no more. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#members].map(({ membership }) => membership.leave({ isReturning: true })))
  }

  /** KIP-848 where it is wanted and the brokers have it. */
  async #hasConsumerProtocol(group: string): Promise<boolean> {
    const { cluster } = this.#parts
    const { groupProtocol } = cluster.options
    if (groupProtocol === 'classic' || this.#isConsumerProtocolOff) return false
    const link = await cluster.persist(() => cluster.coordinator('group', group, 'members'))
    if (link.versionOf(consumerGroupHeartbeatKey, [1]) !== undefined) return true
    if (groupProtocol === 'consumer') throw new KafkaFeatureMissingError(consumerProtocol)
    return false
  }

  #nudge(group: string, by: Membership): void {
    for (const one of this.#members) if (one.group === group && one.membership !== by) one.membership.nudge()
  }

  #refuseIfDone(): void {
    if (this.#isClosed) throw new ClosedError('The engine')
    this.#parts.door.refuseIfDone()
  }

  /** @throws GroupActiveError */
  async refuseActive(group: string): Promise<void> {
    const members = await this.#directory.members(group)
    if (members.length > 0) throw new GroupActiveError(group, members.length)
  }
}
