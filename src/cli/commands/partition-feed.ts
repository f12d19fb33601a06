import { OffsetOutOfRangeError, type Topics } from '../../engine/index.ts'
import { InvariantError } from '../../kernel/index.ts'
import type { RecordOutcome } from '../../record/index.ts'

/** A record and where it stands. */
export interface PlacedRecord {
  readonly topic: string
  readonly partition: number
  readonly outcome: RecordOutcome
}

/** Bytes of batches that one partition holds in memory at a time; topics may have a thousand partitions. */
const pageBytes = 64 * 1024

/** Reads one partition page by page: first up to an end, then what comes. */
export class PartitionFeed {
  readonly topic: string
  readonly partition: number
  /** Records that retention took away before they were read. */
  lostCount = 0
  readonly #topics: Topics
  readonly #end: number
  #next: number
  #page: readonly RecordOutcome[] = []
  #index = 0

  constructor(topics: Topics, topic: string, partition: number, start: number, end: number) {
    this.#topics = topics
    this.topic = topic
    this.partition = partition
    this.#next = start
    this.#end = end
  }

  /** Whether {@link PartitionFeed.head} is known without reading. */
  get isLoaded(): boolean {
    return this.#index < this.#page.length || this.#next >= this.#end
  }

  /** The next record before the end; `undefined` there. */
  get head(): RecordOutcome | undefined {
    const outcome = this.#page[this.#index]
    return outcome === undefined || outcome.offset >= this.#end ? undefined : outcome
  }

  /** Reads until the head is known. */
  async load(): Promise<void> {
    while (!this.isLoaded) await this.#readPage()
  }

  /** Takes the head. */
  take(): PlacedRecord {
    const outcome = this.head
    if (outcome === undefined) throw new InvariantError('a record is taken after it was seen')
    this.#index++
    return { topic: this.topic, partition: this.partition, outcome }
  }

  /** Goes on after the end: what stands there was perhaps read with the page before, but not taken. */
  goOn(): void {
    const isPageTaken = this.#index >= this.#page.length
    this.#next = isPageTaken ? Math.max(this.#next, this.#end) : this.#end
    this.#page = []
  }

  /** One page of what has come since. */
  async news(): Promise<readonly PlacedRecord[]> {
    await this.#readPage()
    const { topic, partition } = this
    return this.#page.map((outcome) => ({ topic, partition, outcome }))
  }

  async #readPage(): Promise<void> {
    const { topic, partition } = this
    this.#index = 0
    try {
      const { records, nextOffset } = await this.#topics.read({
        topic,
        partition,
        offset: this.#next,
        bytesMax: pageBytes,
      })
      this.#page = records
      this.#next = nextOffset
    } catch (error) {
      if (!(error instanceof OffsetOutOfRangeError) || error.details.earliest <= this.#next) throw error
      this.lostCount += error.details.earliest - this.#next
      this.#next = error.details.earliest
      this.#page = []
    }
  }
}
