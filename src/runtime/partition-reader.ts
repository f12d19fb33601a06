import {
  type Claim,
  type Engine,
  OffsetOutOfRangeError,
  OffsetSet,
  PartitionUnknownError,
  type Progress,
  type ReadResult,
  TopicUnknownError,
} from '../engine/index.ts'
import { type Clock, sleep } from '../kernel/index.ts'
import { type Condition, nextTurn } from './condition.ts'

/** Offsets between the first that is not done and the last that was read: a bound on what waits in lanes. */
const spanMax = 10_000
/** Reads whose records are not all done: a bound on bytes, as each read answers about 1 MiB. */
const readsMax = 16
/** The same where commits are few and large. */
const bulkSpanMax = 100_000
const bulkReadsMax = 64
/** A claim that is taken back is gone within a few turns: who keeps it for so many has a partition that was made anew. */
const missesMax = 100
/** How long a read waits for records. Each answer is a sign of life, so this is well below session time-outs. */
const waitMs = 5000
/** How soon it is looked again at a topic that is gone, if nobody takes the claim back before. */
const goneLookMs = 500

/** What a reader needs. */
export interface ReaderOptions {
  readonly engine: Engine
  readonly clock: Clock
  /** Whether it reads what is not durable yet. */
  readonly early: boolean
  /** Handles what was read, in order; resolves when it wants more. */
  readonly dispatch: (reader: PartitionReader, result: ReadResult) => Promise<void>
  /** Notified after each commit. */
  readonly changed: Condition
  readonly onRead: () => void
  /** Whether commits are few and large: it reads further ahead then. */
  readonly isBulk: () => boolean
  /** Records that are not there any more count as done. */
  readonly onGone: (reader: PartitionReader, from: number, to: number) => void
  readonly onError: (error: unknown) => void
}

/**
 * Reads one claimed partition and knows what of it is done. It reads ahead of what is done by at most about 10,000 records
 * or 16 reads (of about 1 MiB), so a message that waits for its retry does not hold up others, and nothing grows without end.
 */
export class PartitionReader {
  readonly claim: Claim
  readonly topic: string
  readonly partition: number
  /** What is durable. */
  committed: OffsetSet
  /** Where the next read starts. */
  readOffset: number
  /** End of the partition at the last read. */
  latest = 0
  /** Its end when it was read first, here: what stands before it was there when the partition was taken. */
  backlogEnd: number | undefined
  /** The batch that collects this reader's progress now, and its ranges there. */
  openBatch: object | undefined
  openRanges: { from: number; to: number }[] = []
  /** Whether the last read found nothing more and all that was read was handed on. */
  isCaughtUp = false
  readonly #options: ReaderOptions
  #ends: number[] = []
  /** Reads in a row that found the partition to end before where it was read up to. */
  #missedCount = 0
  readonly #left = new AbortController()
  #abort: AbortController | undefined
  #loop: Promise<void> = Promise.resolve()

  constructor(claim: Claim, progress: Progress, options: ReaderOptions) {
    this.claim = claim
    this.topic = claim.topic
    this.partition = claim.partition
    this.committed = new OffsetSet(progress)
    this.readOffset = progress.next
    this.#options = options
  }

  /** Aborts when it is halted. */
  get signal(): AbortSignal | undefined {
    return this.#abort?.signal
  }

  /** Aborts when the partition is given back: nothing of it is begun any more. */
  get left(): AbortSignal {
    return this.#left.signal
  }

  /** It is given back. */
  leave(): void {
    this.#left.abort()
  }

  get isLive(): boolean {
    return this.#abort !== undefined
  }

  /** Reads on from what is done. */
  start(): void {
    this.readOffset = this.committed.next
    this.openBatch = undefined
    this.#ends = []
    this.isCaughtUp = false
    const abort = new AbortController()
    this.#abort = abort
    this.#loop = this.#run(abort).catch((error: unknown) => {
      if (this.#abort === abort) this.#options.onError(error)
    })
  }

  /** Reads no more; resolves when nothing more is handed on. */
  async halt(): Promise<void> {
    const abort = this.#abort
    this.#abort = undefined
    abort?.abort()
    this.#options.changed.notify()
    await this.#loop
  }

  async #run(abort: AbortController): Promise<void> {
    const { dispatch, changed, onRead } = this.#options
    while (this.#abort === abort) {
      if (!this.#hasRoom()) {
        await changed.changed()
        continue
      }
      const result = await this.#read(abort.signal)
      if (this.#abort !== abort) return
      if (result === undefined) continue
      onRead()
      this.latest = result.latest
      this.backlogEnd ??= result.latest
      const hasMore = result.nextOffset > this.readOffset
      if (hasMore) {
        this.isCaughtUp = false
        await dispatch(this, result)
        if (this.#abort !== abort) return
        this.readOffset = result.nextOffset
        this.#ends.push(result.nextOffset)
      }
      if (this.readOffset >= this.latest || !hasMore) {
        this.isCaughtUp = true
        changed.notify()
      }
    }
  }

  /** `undefined`: look again. */
  async #read(signal: AbortSignal): Promise<ReadResult | undefined> {
    const { topic, partition, readOffset: offset } = this
    const { engine, early, changed } = this.#options
    try {
      // The first read waits for nothing: a reader of an empty partition has to know that it is caught up.
      const limitMs = this.isCaughtUp ? waitMs : 0
      const result = await engine.topics.read({ topic, partition, offset, waitMs: limitMs, early, signal })
      this.#missedCount = 0
      return result
    } catch (error) {
      if (signal.aborted) return undefined
      if (error instanceof TopicUnknownError || error instanceof PartitionUnknownError) {
        await this.#waitForTopic(signal)
        return undefined
      }
      if (!(error instanceof OffsetOutOfRangeError)) throw error
      // Retention was faster than the handler, or the topic was made anew: go on with what is there.
      const earliest = await engine.topics.locate(topic, partition, 'earliest')
      if (signal.aborted) return undefined
      if (earliest > offset) this.#options.onGone(this, offset, earliest)
      else if (early && ++this.#missedCount < missesMax) {
        // What was read early was taken back, and the claim with it: it begins anew with the next one.
        await nextTurn()
        return undefined
      } else this.committed = new OffsetSet({ next: earliest, done: [] })
      this.readOffset = earliest
      changed.notify()
      return undefined
    }
  }

  /** Deleted: there is nothing to do, until the claim is taken back or the topic is made anew. */
  async #waitForTopic(signal: AbortSignal): Promise<void> {
    const { clock, changed } = this.#options
    this.isCaughtUp = true
    changed.notify()
    await sleep(goneLookMs, clock, signal).catch(() => undefined)
  }

  #hasRoom(): boolean {
    const next = this.committed.next
    let passed = 0
    while (passed < this.#ends.length && (this.#ends[passed] as number) <= next) passed++
    if (passed > 0) this.#ends.splice(0, passed)
    const isBulk = this.#options.isBulk()
    if (this.#ends.length >= (isBulk ? bulkReadsMax : readsMax)) return false
    return this.readOffset - next < (isBulk ? bulkSpanMax : spanMax)
  }
}
