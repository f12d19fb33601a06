import { TopicUnknownError } from '../engine/index.ts'
import type { Cluster, Patience } from './cluster.ts'
import { errorCode, isPassing, nameOfCode, refusalOf } from './error-codes.ts'
import type { Partition, TopicCatalog } from './topic-catalog.ts'

/** Stand for a time in ListOffsets (Kafka protocol guide). */
export const atTime = { latest: -1n, earliest: -2n } as const
const isolation = { decided: 1, undecided: 0 } as const

/** Where a partition begins and ends. */
export interface Extent {
  readonly earliest: number
  /** End of what is decided, and of what this process knows to be committed. */
  readonly latest: number
}

/** Asks the leaders of partitions for offsets. */
export class PartitionExtents {
  readonly #cluster: Cluster
  readonly #catalog: TopicCatalog

  constructor(cluster: Cluster, catalog: TopicCatalog) {
    this.#cluster = cluster
    this.#catalog = catalog
  }

  /** In the order of the question. @throws TopicUnknownError when a topic was deleted meanwhile */
  async of(partitions: readonly Partition[], patience?: Patience): Promise<readonly Extent[]> {
    const [starts, ends] = await Promise.all([
      this.offsets(partitions, atTime.earliest, 'decided', patience),
      this.offsets(partitions, atTime.latest, 'decided', patience),
    ])
    return partitions.map((partition, i) => {
      partition.advance(ends[i] as number)
      return { earliest: starts[i] as number, latest: partition.latest }
    })
  }

  /** The same for those that are still there: of a topic that is deleted meanwhile nobody needs to know anything. */
  async ofPresent(partitions: readonly Partition[]): Promise<ReadonlyMap<Partition, Extent>> {
    for (;;) {
      const present = partitions.filter(({ isGone }) => !isGone)
      try {
        const extents = await this.of(present)
        return new Map(present.map((partition, i) => [partition, extents[i] as Extent]))
      } catch (error) {
        if (!(error instanceof TopicUnknownError && present.some(({ isGone }) => isGone))) throw error
      }
    }
  }

  /**
   * Offset of the first record with that time or a later one, or what {@link atTime} stands for; -1: there is none.
   *
   * @param which Whether the end is that of what is decided (default), or of all that stands there.
   * @param patience Default: that of administration.
   */
  async offsets(
    partitions: readonly Partition[],
    timestamp: bigint,
    which: keyof typeof isolation = 'decided',
    patience?: Patience,
  ): Promise<readonly number[]> {
    const found = new Map<Partition, number>()
    await this.#cluster.persist(async () => {
      const open = partitions.filter((partition) => !found.has(partition))
      const byLeader = Map.groupBy(open, ({ leaderId }) => leaderId)
      const moved = new Set<string>()
      await Promise.all(
        [...byLeader].map(([leaderId, led]) =>
          this.#askLeader(leaderId, led, timestamp, found, which).catch((error: unknown) => {
            for (const { topic } of led) moved.add(topic)
            throw error
          }),
        ),
      ).catch(async (error: unknown) => {
        for (const topic of moved)
          await this.#catalog.refresh(topic, this.#cluster.within(patience ?? this.#cluster.usual))
        for (const partition of open) if (partition.isGone) throw new TopicUnknownError(partition.topic)
        throw error
      })
    }, patience)
    return partitions.map((partition) => found.get(partition) as number)
  }

  async #askLeader(
    leaderId: number,
    partitions: readonly Partition[],
    timestamp: bigint,
    found: Map<Partition, number>,
    which: keyof typeof isolation,
  ): Promise<void> {
    const link = await this.#cluster.link(leaderId)
    const topics = [...Map.groupBy(partitions, ({ topic }) => topic)].map(([name, ofTopic]) => ({
      name,
      partitions: ofTopic.map(({ number }) => ({ partitionIndex: number, currentLeaderEpoch: -1, timestamp })),
    }))
    const answer = await link.call('ListOffsets', this.#cluster.protocol.listOffsets, -1, isolation[which], topics)
    for (const { name, partitions: ofTopic } of answer.topics) {
      for (const { partitionIndex, errorCode: code, offset } of ofTopic) {
        const partition = partitions.find((one) => one.topic === name && one.number === partitionIndex)
        if (partition === undefined) continue
        if (code === errorCode.none) found.set(partition, Number(offset))
        else if (isPassing(code) || code === errorCode.unknownTopicOrPartition) {
          throw this.#cluster.obstacle(`ListOffsets of topic "${name}" was answered ${nameOfCode(code)}`)
        } else throw refusalOf('ListOffsets', code, name)
      }
    }
  }
}
