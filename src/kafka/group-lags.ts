import { type PartitionLag, TopicUnknownError } from '../engine/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { StoredProgress } from './group-offsets.ts'
import type { PartitionExtents } from './partition-extents.ts'
import type { Partition, TopicCatalog } from './topic-catalog.ts'
import type { TopicReader } from './topic-reader.ts'

/** How much is read of a partition to tell records from offsets that hold none, in bytes. */
const sampleBytesMax = 256 * 1024
/** Reads of one partition at most; what lies further on is counted by offsets. */
const samplesMax = 4

/** How far groups are behind. */
export class GroupLags {
  readonly #catalog: TopicCatalog
  readonly #extents: PartitionExtents
  readonly #reader: TopicReader
  readonly #clock: Clock

  constructor(catalog: TopicCatalog, extents: PartitionExtents, reader: TopicReader, clock: Clock) {
    this.#catalog = catalog
    this.#extents = extents
    this.#reader = reader
    this.#clock = clock
  }

  async of(stored: readonly StoredProgress[]): Promise<readonly PartitionLag[]> {
    const there: { readonly partition: Partition; readonly progress: StoredProgress['progress'] }[] = []
    for (const { topic, partition: number, progress } of stored) {
      if (!this.#catalog.has(topic, number)) await this.#catalog.refresh(topic)
      const partition = this.#catalog.find(topic)?.partitions[number]
      if (partition !== undefined) there.push({ partition, progress })
    }
    const extents = await this.#extents.ofPresent(there.map(({ partition }) => partition))
    const lags = await Promise.all(
      there.flatMap(({ partition, progress }) => {
        const extent = extents.get(partition)
        if (extent === undefined) return []
        const lag = this.#of(partition, progress, extent.earliest, extent.latest)
        return [lag.catch(absentIfDeleted)]
      }),
    )
    const present = lags.filter((lag) => lag !== undefined)
    return present.sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
  }

  /**
   * Offsets are no records: markers of transactions and compacted records leave holes, and a group that has done every record
   * before a hole is not behind. So the first of what is not done is looked at.
   */
  async #of(
    place: Partition,
    progress: StoredProgress['progress'],
    earliest: number,
    latest: number,
  ): Promise<PartitionLag> {
    const { topic, number: partition } = place
    // Beyond the end: it is that of a topic of the same name that was deleted.
    const next = progress.next > latest ? earliest : Math.max(progress.next, earliest)
    let at = next
    let lagMessages = 0
    let oldestMs: number | undefined
    for (let sample = 0; sample < samplesMax && at < latest; sample++) {
      const page = await this.#reader.peek(place, at, sampleBytesMax)
      for (const { offset, timestampMs } of page.records) {
        if (offset >= latest || progress.done.some(({ from, to }) => offset >= from && offset < to)) continue
        lagMessages++
        oldestMs ??= timestampMs
      }
      // What stands behind a transaction that somebody else has left open is behind, too.
      if (page.nextOffset === at) break
      at = page.nextOffset
    }
    if (at < latest) {
      lagMessages += latest - at
      for (const { from, to } of progress.done) lagMessages -= Math.max(0, Math.min(to, latest) - Math.max(from, at))
    }
    const nowMs = this.#clock.nowMs()
    const lagSeconds = lagMessages === 0 ? 0 : Math.max(0, (nowMs - (oldestMs ?? nowMs)) / 1000)
    return { topic, partition, next, latest, lagMessages, lagSeconds }
  }
}

function absentIfDeleted(error: unknown): undefined {
  if (!(error instanceof TopicUnknownError)) throw error
}
