import type { Engine } from '../engine/index.ts'
import { type Clock, sleep } from '../kernel/index.ts'

/** How long work that was not done may be made up for, in milliseconds. */
const catchUpMs = 100

/** Spreads messages evenly over time, as the rate says that stands at the moment. */
export class Pace {
  readonly #clock: Clock
  readonly #perSecond: () => number | null
  #nextMs = 0

  constructor(clock: Clock, perSecond: () => number | null) {
    this.#clock = clock
    this.#perSecond = perSecond
  }

  /**
   * Waits until so many messages may be taken, or until the signal aborts.
   *
   * @param share Of the rate that is for this process, above 0 to 1.
   */
  async take(count: number, share: number, signal: AbortSignal | undefined): Promise<void> {
    const rate = this.#perSecond()
    if (rate === null) return
    const nowMs = this.#clock.monotonicMs()
    const startMs = Math.max(this.#nextMs, nowMs - catchUpMs)
    this.#nextMs = startMs + (count * 1000) / (rate * share)
    // A change of the rate ends a long wait early: it waits in pieces.
    for (let leftMs = startMs - nowMs; leftMs > 0; leftMs = startMs - this.#clock.monotonicMs()) {
      if (signal?.aborted === true) return
      if (this.#perSecond() !== rate) {
        this.#nextMs = 0
        return
      }
      await sleep(Math.min(leftMs, catchUpMs), this.#clock, signal).catch(() => undefined)
    }
  }

  get isBounded(): boolean {
    return this.#perSecond() !== null
  }

  /** How many may be taken in one go, so that they are spread evenly: what comes in a tenth of a second, and at least one. */
  pieceMax(share: number): number {
    const rate = this.#perSecond()
    return rate === null ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor((rate * share * catchUpMs) / 1000))
  }
}

/** How long it is taken for granted how many partitions there are. */
const partitionsKnownMs = 30_000

/** The pace of a group of which this process is a member: it has a share by the partitions that are its own. */
export class SharedPace {
  readonly #pace: Pace
  readonly #engine: Engine
  readonly #topics: readonly string[]
  readonly #clock: Clock
  #partitionCount = 0
  #countedAtMs: number | undefined
  #counting: Promise<void> | undefined

  constructor(parts: {
    readonly pace: Pace
    readonly engine: Engine
    readonly topics: readonly string[]
    readonly clock: Clock
  }) {
    this.#pace = parts.pace
    this.#engine = parts.engine
    this.#topics = parts.topics
    this.#clock = parts.clock
  }

  /** Resolves when so many more messages may be handled, or when the signal aborts. Never rejects. */
  async take(count: number, ownPartitionCount: number, signal: AbortSignal | undefined): Promise<void> {
    if (!this.#pace.isBounded) return
    await this.#count()
    await this.#pace.take(count, this.#share(ownPartitionCount), signal)
  }

  /** How many may be taken in one go. */
  pieceMax(ownPartitionCount: number): number {
    return this.#pace.pieceMax(this.#share(ownPartitionCount))
  }

  #share(ownPartitionCount: number): number {
    return Math.min(1, Math.max(1, ownPartitionCount) / Math.max(1, this.#partitionCount))
  }

  /** Waits for the first answer; later ones come while it goes on. */
  async #count(): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    if (this.#countedAtMs === undefined || nowMs - this.#countedAtMs >= partitionsKnownMs) {
      this.#countedAtMs = nowMs
      this.#counting = this.#ask()
    }
    if (this.#partitionCount === 0) await this.#counting
  }

  async #ask(): Promise<void> {
    try {
      const topics = await Promise.all(this.#topics.map((topic) => this.#engine.topics.describe(topic)))
      this.#partitionCount = topics.reduce((sum, topic) => sum + (topic?.partitions.length ?? 0), 0)
    } catch {
      // It goes on with what it knew: whoever reads the partitions finds out what is the matter.
    }
  }
}
