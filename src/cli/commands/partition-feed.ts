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

  /** The next record before the end; `undefined` there. */
  async peek(): Promise<PlacedRecord | undefined> {
    while (this.#index >= this.#page.length) {
      if (this.#next >= this.#end) return undefined
      await this.#readPage()
    }
    const outcome = this.#page[this.#index]
    if (outcome === undefined || outcome.offset >= this.#end) {
      // What stands behind the end is read again if the feed goes on.
      this.#next = this.#end
      this.#page = []
      return undefined
    }
    return { topic: this.topic, partition: this.partition, outcome }
  }

  /** Takes the record that {@link PartitionFeed.peek} showed. */
  take(): PlacedRecord {
    const outcome = this.#page[this.#index++]
    if (outcome === undefined) throw new InvariantError('a record is taken after it was seen')
    return { topic: this.topic, partition: this.partition, outcome }
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
