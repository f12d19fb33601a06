import { OffsetSet, type Progress } from '../engine/index.ts'
import type { Cluster, Patience } from './cluster.ts'
import { errorCode, isPassing, refusalOf } from './error-codes.ts'
import { KafkaUnreachableError } from './errors.ts'
import type { MemberIdentity } from './held-claim.ts'
import type { PartitionExtents } from './partition-extents.ts'
import { decodeDone } from './progress-metadata.ts'
import type { Partition } from './topic-catalog.ts'

/** Progress of a group on one partition, by names: the topic may be gone. */
export interface StoredProgress {
  readonly topic: string
  readonly partition: number
  readonly progress: Progress
}

/** What was committed here is stored for good within milliseconds. */
const stablePatienceMs = 2000

/** A commit that no member makes. */
const nobody = { memberId: '', instanceId: null, epoch: -1 } as const

/** Reads and writes the offsets of groups outside of transactions. */
export class GroupOffsets {
  readonly #cluster: Cluster
  readonly #extents: PartitionExtents

  constructor(cluster: Cluster, extents: PartitionExtents) {
    this.#cluster = cluster
    this.#extents = extents
  }

  /**
   * All that is stored of a group, after every transaction that is under way has ended (KIP-447). One of a process that died
   * ends late; then it is what was stored before: good enough to tell people, not to go on from.
   */
  async all(group: string): Promise<readonly StoredProgress[]> {
    try {
      return await this.#stored(group, null, true, { limitMs: stablePatienceMs })
    } catch (error) {
      if (!(error instanceof KafkaUnreachableError)) throw error
      return this.#stored(group, null, false, this.#cluster.usual)
    }
  }

  /** @param partitions `null`: all. */
  async #stored(
    group: string,
    partitions: readonly Partition[] | null,
    isStable: boolean,
    patience: Patience,
  ): Promise<readonly StoredProgress[]> {
    const byTopic = partitions && Map.groupBy(partitions, ({ topic }) => topic)
    const topics =
      byTopic && Array.from(byTopic, ([name, own]) => ({ name, partitionIndexes: own.map(({ number }) => number) }))
    const answer = await this.#cluster.askCoordinator(
      'group',
      group,
      'offsets',
      (link) => {
        const request = [{ groupId: group, memberId: null, memberEpoch: -1, topics }]
        return link.call('OffsetFetch', this.#cluster.protocol.offsetFetch, request, isStable)
      },
      (response) => {
        const found = response.groups[0]
        const codes = found?.topics.flatMap(({ partitions }) => partitions.map((one) => one.errorCode)) ?? []
        return found?.errorCode || codes.find(isPassing) || errorCode.none
      },
      patience,
    )
    const found = answer.groups[0]
    if (found === undefined || found.errorCode === errorCode.groupIdNotFound) return []
    if (found.errorCode !== errorCode.none) throw refusalOf('OffsetFetch', found.errorCode, group)
    return found.topics.flatMap(({ name, partitions }) =>
      partitions.flatMap(({ partitionIndex, committedOffset, metadata, errorCode: code }) => {
        if (code !== errorCode.none || committedOffset < 0n) return []
        const progress = decodeDone(Number(committedOffset), metadata)
        return [{ topic: name, partition: partitionIndex, progress }]
      }),
    )
  }

  /**
   * Where a new owner goes on, partition by partition. Where the group has not been yet, it starts, and the place is written
   * down at once: a group that starts at the end must find the same place later. `undefined`: not wanted any more.
   */
  async starts(
    member: MemberIdentity,
    partitions: readonly Partition[],
    from: 'earliest' | 'latest',
    isStillWanted: () => boolean,
  ): Promise<readonly Progress[] | undefined> {
    const stored = await this.#settledOf(member.group, partitions, isStillWanted)
    if (stored === undefined) return undefined
    const extents = await this.#extents.of(partitions)
    const fresh: { partition: Partition; next: number }[] = []
    const starts = partitions.map((partition, i): Progress => {
      const { earliest, latest } = extents[i] as { earliest: number; latest: number }
      const own = stored.find((one) => one.topic === partition.topic && one.partition === partition.number)
      // Beyond the end: it is that of a topic of the same name that was deleted.
      if (own === undefined || own.progress.next > latest) {
        const next = from === 'latest' ? latest : earliest
        fresh.push({ partition, next })
        return { next, done: [] }
      }
      if (own.progress.next >= earliest) return own.progress
      // Retention went past the group; what is gone cannot be waited for.
      const offsets = new OffsetSet(own.progress)
      offsets.add(own.progress.next, earliest)
      return offsets.snapshot()
    })
    if (fresh.length > 0) await this.put(member.group, fresh, member)
    return starts
  }

  /**
   * However long that takes: what the owner before has under way would be done again. Brokers end what a dead one left open.
   * `undefined`: nobody wants to know any more.
   */
  async #settledOf(
    group: string,
    partitions: readonly Partition[],
    isStillWanted: () => boolean,
  ): Promise<readonly StoredProgress[] | undefined> {
    for (;;) {
      try {
        return await this.#stored(group, partitions, true, { limitMs: stablePatienceMs })
      } catch (error) {
        if (!(error instanceof KafkaUnreachableError)) throw error
        if (!isStillWanted()) return undefined
      }
    }
  }

  /** Writes offsets, as a member or, where there is none, for the group. Resolves with the code that refused it. */
  async put(
    group: string,
    entries: readonly { readonly partition: Partition; readonly next: number }[],
    member: Omit<MemberIdentity, 'group' | 'epochChanged'> & Partial<MemberIdentity> = nobody,
  ): Promise<number> {
    const topics = [...Map.groupBy(entries, ({ partition }) => partition.topic)].map(([name, ofTopic]) => ({
      name,
      partitions: ofTopic.map(({ partition, next }) => ({
        partitionIndex: partition.number,
        committedOffset: BigInt(next),
        committedLeaderEpoch: -1,
        committedMetadata: '',
      })),
    }))
    const { memberId, instanceId } = member
    for (;;) {
      const answer = await this.#cluster.askCoordinator(
        'group',
        group,
        'offsets',
        (link) =>
          link.call(
            'OffsetCommit',
            this.#cluster.protocol.offsetCommit,
            group,
            member.epoch,
            memberId,
            instanceId,
            topics,
          ),
        (response) => codeOf(response),
      )
      const code = codeOf(answer)
      const isOutdated =
        code === errorCode.staleMemberEpoch ||
        code === errorCode.illegalGeneration ||
        code === errorCode.rebalanceInProgress
      // A member that is out has no epoch.
      if (!isOutdated || member.epochChanged === undefined || member.epoch < 0) return code
      await member.epochChanged()
    }
  }
}

function codeOf(answer: {
  readonly topics: readonly { readonly partitions: readonly { readonly errorCode: number }[] }[]
}): number {
  const codes = answer.topics.flatMap(({ partitions }) => partitions.map((one) => one.errorCode))
  return codes.find((code) => code !== errorCode.none) ?? errorCode.none
}
