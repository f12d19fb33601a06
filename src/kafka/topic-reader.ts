import { checkInteger, checkOptions, checkSignal } from '../committing/index.ts'
import {
  ArgumentInvalidError,
  OffsetOutOfRangeError,
  type ReadRequest,
  type ReadResult,
  type StartPosition,
  TopicUnknownError,
} from '../engine/index.ts'
import { sleep } from '../kernel/index.ts'
import type { Cluster } from './cluster.ts'
import { errorCode, isPassing, nameOfCode, refusalOf } from './error-codes.ts'
import { rawRecordsOf, recordsOf } from './fetched-records.ts'
import { Fetcher } from './fetcher.ts'
import { atTime, type PartitionExtents } from './partition-extents.ts'
import type { FetchAnswer } from './raw-requests.ts'
import type { Partition, TopicCatalog } from './topic-catalog.ts'

const readBytesMaxDefault = 1024 * 1024
const readBytesMaxMost = 512 * 1024 * 1024
/**
 * The markers that make a transaction readable follow its end within milliseconds; what somebody else left open before it may hold
 * them up for long. Doubled from the first pause to the last.
 */
const markerPauseMs = { first: 2, last: 100 } as const

/** Reads partitions: only what is committed, and everything that this process was told to be committed. */
export class TopicReader {
  readonly #cluster: Cluster
  readonly #catalog: TopicCatalog
  readonly #extents: PartitionExtents
  readonly #fetcher: Fetcher
  /**
   * While a transaction with state comes to its end: it may be readable before its state is, and nobody is to see half of
   * it.
   */
  ending: Promise<unknown> | undefined

  constructor(cluster: Cluster, catalog: TopicCatalog, extents: PartitionExtents) {
    this.#cluster = cluster
    this.#catalog = catalog
    this.#extents = extents
    this.#fetcher = new Fetcher(cluster)
  }

  async locate(topic: string, partition: number, start: StartPosition): Promise<number> {
    const place = await this.#catalog.resolvePartition(topic, partition, this.#cluster.lasting)
    if (start === 'earliest' || start === 'latest') {
      const [extent] = await this.#extents.of([place], this.#cluster.lasting)
      return extent?.[start] as number
    }
    if (typeof start !== 'object' || start === null) {
      throw new ArgumentInvalidError('the start position', "is not 'earliest', 'latest', an offset or a time")
    }
    if ('offset' in start) {
      checkInteger('offset', start.offset, 0)
      await this.#refuseOutside(place, start.offset)
      return start.offset
    }
    checkInteger('timestampMs', start.timestampMs, 0)
    await this.#settled(place)
    const [offset] = await this.#extents.offsets([place], BigInt(start.timestampMs), 'decided', this.#cluster.lasting)
    if (offset !== undefined && offset >= 0) return offset
    const [end] = await this.#extents.of([place], this.#cluster.lasting)
    return end?.latest as number
  }

  /** Reads what can be read now, to look at it: waits neither for what this process committed nor for anything to come. */
  async peek(place: Partition, offset: number, bytesMax: number): Promise<ReadResult> {
    const answer = await this.fetch(place, offset, bytesMax, 0, this.#cluster.ended)
    const found = recordsOf(this.#cluster.library, answer, offset, (from, to) => place.noteGap(from, to))
    return { ...found, latest: Math.max(place.latest, found.nextOffset) }
  }

  async read(request: ReadRequest): Promise<ReadResult> {
    checkOptions('the request', request)
    const { topic, partition, offset, bytesMax = readBytesMaxDefault, waitMs = 0, signal } = request
    checkInteger('offset', offset, 0)
    checkInteger('bytesMax', bytesMax, 1)
    if (typeof waitMs !== 'number' || !(waitMs >= 0)) throw new ArgumentInvalidError('waitMs', 'is no time to wait')
    if (signal !== undefined) checkSignal(signal)
    signal?.throwIfAborted()
    const ended = signal === undefined ? this.#cluster.ended : AbortSignal.any([signal, this.#cluster.ended])
    let place = await this.#catalog.resolvePartition(topic, partition, this.#cluster.lasting)
    const untilMs = this.#cluster.clock.monotonicMs() + waitMs
    let from = offset
    let pauseMs: number = markerPauseMs.first
    for (;;) {
      const leftMs = Math.max(0, untilMs - this.#cluster.clock.monotonicMs())
      // What was committed here is there in a moment; until then nobody is told that there is nothing.
      const isPending = from < place.latest
      const answer = await this.fetch(place, from, Math.min(bytesMax, readBytesMaxMost), isPending ? 0 : leftMs, ended)
      if (this.ending !== undefined) await this.ending
      if (place.isGone) place = await this.#catalog.resolvePartition(topic, partition, this.#cluster.lasting)
      const found = recordsOf(this.#cluster.library, answer, from, (gapFrom, gapTo) => place.noteGap(gapFrom, gapTo))
      place.advance(answer.lastStableOffset)
      if (found.records.length > 0 || (found.nextOffset > from && leftMs === 0)) {
        return { ...found, latest: Math.max(place.latest, found.nextOffset) }
      }
      if (found.nextOffset > from) from = found.nextOffset
      else if (answer.lastStableOffset < place.latest && from < place.latest) {
        await sleep(pauseMs, this.#cluster.clock, ended)
        pauseMs = Math.min(2 * pauseMs, markerPauseMs.last)
      } else if (leftMs === 0) return { records: [], nextOffset: from, latest: Math.max(place.latest, from) }
    }
  }

  /** Waits until everything that was committed here can be seen by others. */
  async #settled(place: Partition): Promise<void> {
    for (let pauseMs: number = markerPauseMs.first; ; pauseMs = Math.min(2 * pauseMs, markerPauseMs.last)) {
      const [end] = await this.#extents.offsets([place], atTime.latest, 'decided', this.#cluster.lasting)
      if ((end ?? 0) >= place.latest || place.isGone) return
      await sleep(pauseMs, this.#cluster.clock, this.#cluster.ended)
    }
  }

  /**
   * What stands in a partition from an offset on, as brokers send it; waits up to `waitMs` for something to come.
   *
   * @throws OffsetOutOfRangeError, TopicUnknownError, KafkaUnreachableError
   */
  async fetch(
    place: Partition,
    offset: number,
    bytesMax: number,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<FetchAnswer> {
    const { reconnectTimeoutMs } = this.#cluster.options
    return this.#cluster.persist(
      async () => {
        try {
          const answer = await this.#fetcher.fetch(place, offset, bytesMax, waitMs, signal)
          const { errorCode: code } = answer
          if (code === errorCode.none && !place.isGone) return answer
          if (code === errorCode.offsetOutOfRange) {
            await this.#refuseOutside(place, offset)
            throw this.#cluster.obstacle('the end of the partition is not known yet')
          }
          const isMissing = code === errorCode.unknownTopicOrPartition || place.isGone
          if (!isMissing && !isPassing(code)) throw refusalOf('Fetch', code, place.topic)
          throw this.#cluster.obstacle(`Fetch of topic "${place.topic}" was answered ${nameOfCode(code)}`)
        } catch (error) {
          signal.throwIfAborted()
          if ((error as { code?: unknown }).code !== 'KAFKA_UNREACHABLE') throw error
          await this.#catalog.refresh(place.topic, this.#cluster.within(this.#cluster.lasting))
          if (place.isGone) throw new TopicUnknownError(place.topic)
          throw error
        }
      },
      { limitMs: reconnectTimeoutMs === null ? null : reconnectTimeoutMs + waitMs, signal },
    )
  }

  /** Whether the record at an offset was committed; resolves when that is decided. */
  async isCommitted(place: Partition, offset: number): Promise<boolean> {
    const { lasting, library, ended } = this.#cluster
    await this.#cluster.persist(async () => {
      const [end] = await this.#extents.offsets([place], atTime.latest, 'decided', lasting)
      if ((end ?? 0) <= offset) throw this.#cluster.obstacle('a transaction is not decided yet')
    }, lasting)
    const answer = await this.fetch(place, offset, readBytesMaxDefault, 0, ended)
    let isThere = false
    rawRecordsOf(library, answer, offset, (record) => {
      isThere ||= record.offset === offset
    })
    return isThere
  }

  async #refuseOutside(place: Partition, offset: number): Promise<void> {
    const [extent] = await this.#extents.of([place], this.#cluster.lasting)
    if (extent === undefined || (offset >= extent.earliest && offset <= extent.latest)) return
    throw new OffsetOutOfRangeError(place.topic, place.number, offset, extent.earliest, extent.latest)
  }
}
