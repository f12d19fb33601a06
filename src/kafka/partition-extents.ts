import { TopicUnknownError } from '../engine/index.ts'
import type { Cluster, Patience } from './cluster.ts'
import { errorCode, isPassing, nameOfCode, refusalOf } from './error-codes.ts'
import type { Partition, TopicCatalog } from './topic-catalog.ts'

/** Stand for a time in ListOffsets (Kafka protocol guide). */
export const atTime = { latest: -1n, earliest: -2n } as const
const isolation = { decided: 1, undecided: 0 } as const

/** What becomes of the question when a topic is deleted meanwhile. */
type IfGone = 'fail' | 'leave out'

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
    const extents = await this.#between(partitions, 'fail', patience)
    return partitions.map((partition) => extents.get(partition) as Extent)
  }

  /** The same for those that are still there: of a topic that is deleted meanwhile nobody needs to know anything. */
  ofPresent(partitions: readonly Partition[]): Promise<ReadonlyMap<Partition, Extent>> {
    return this.#between(partitions, 'leave out')
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
    const found = await this.#find(partitions, timestamp, which, 'fail', patience)
    return partitions.map((partition) => found.get(partition) as number)
  }

  async #between(
    partitions: readonly Partition[],
    ifGone: IfGone,
    patience?: Patience,
  ): Promise<ReadonlyMap<Partition, Extent>> {
    const [starts, ends] = await Promise.all([
      this.#find(partitions, atTime.earliest, 'decided', ifGone, patience),
      this.#find(partitions, atTime.latest, 'decided', ifGone, patience),
    ])
    const extents = new Map<Partition, Extent>()
    for (const partition of partitions) {
      const [earliest, latest] = [starts.get(partition), ends.get(partition)]
      if (earliest === undefined || latest === undefined) continue
      partition.advance(latest)
      extents.set(partition, { earliest, latest: partition.latest })
    }
    return extents
  }

  /** Only what a leader did not tell is looked at and asked for again: where topics come and go, something is always missing. */
  async #find(
    partitions: readonly Partition[],
    timestamp: bigint,
    which: keyof typeof isolation,
    ifGone: IfGone,
    patience: Patience = this.#cluster.usual,
  ): Promise<ReadonlyMap<Partition, number>> {
    const found = new Map<Partition, number>()
    const missing = (): Partition[] =>
      partitions.filter((partition) => !found.has(partition) && !(ifGone === 'leave out' && partition.isGone))
    await this.#cluster.persist(async () => {
      const byLeader = Map.groupBy(missing(), ({ leaderId }) => leaderId)
      const asked = await Promise.allSettled(
        [...byLeader].map(([leaderId, led]) => this.#askLeader(leaderId, led, timestamp, found, which)),
      )
      const failed = asked.find((one) => one.status === 'rejected')
      if (failed === undefined) return
      const open = missing()
      await this.#catalog.refresh(new Set(open.map(({ topic }) => topic)), this.#cluster.within(patience))
      const gone = open.find(({ isGone }) => isGone)
      if (gone !== undefined && ifGone === 'fail') throw new TopicUnknownError(gone.topic)
      throw failed.reason
    }, patience)
    return found
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
    const byPlace = new Map(partitions.map((partition) => [`${partition.topic}/${partition.number}`, partition]))
    let obstacle: Error | undefined
    for (const { name, partitions: ofTopic } of answer.topics) {
      for (const { partitionIndex, errorCode: code, offset } of ofTopic) {
        const partition = byPlace.get(`${name}/${partitionIndex}`)
        if (partition === undefined) continue
        if (code === errorCode.none) found.set(partition, Number(offset))
        else if (isPassing(code) || code === errorCode.unknownTopicOrPartition) {
          obstacle = this.#cluster.obstacle(`ListOffsets of topic "${name}" was answered ${nameOfCode(code)}`)
        } else throw refusalOf('ListOffsets', code, name)
      }
    }
    if (obstacle !== undefined) throw obstacle
  }
}
