import type { Engine } from '../engine/index.ts'
import { type Clock, sleep } from '../kernel/index.ts'

/** How long work that was not done may be made up for, in milliseconds. */
const catchUpMs = 100
/** How long somebody waits at most before looking at the clock again. */
const longWaitMs = 60 * 60 * 1000

/** Spreads messages evenly over time, as the rate says that stands at the moment. */
export class Pace {
  readonly #clock: Clock
  readonly #perSecond: () => number | null
  /** A rate that may change ends a long wait early: then it waits in pieces. */
  readonly #pieceMs: number
  /** When the next ones may be taken. */
  #nextMs = 0

  constructor(clock: Clock, perSecond: number | (() => number | null)) {
    this.#clock = clock
    this.#perSecond = typeof perSecond === 'number' ? () => perSecond : perSecond
    this.#pieceMs = typeof perSecond === 'number' ? longWaitMs : catchUpMs
  }

  get isBounded(): boolean {
    return this.#perSecond() !== null
  }

  /**
   * Waits until so many messages may be taken, or until the signal aborts: then none were taken.
   *
   * @param share Of the rate that is for this process, above 0 to 1.
   */
  async take(count: number, share: number, signal: AbortSignal | undefined): Promise<void> {
    const rate = this.#perSecond()
    if (rate === null) return
    let nowMs = this.#clock.monotonicMs()
    // Others may have been let through meanwhile: whoever waits longest looks first.
    for (; nowMs < this.#nextMs; nowMs = this.#clock.monotonicMs()) {
      if (signal?.aborted === true) return
      if (this.#perSecond() !== rate) {
        this.#nextMs = 0
        return
      }
      await sleep(Math.min(this.#nextMs - nowMs, this.#pieceMs), this.#clock, signal).catch(() => undefined)
    }
    if (signal?.aborted === true) return
    this.#nextMs = Math.max(this.#nextMs, nowMs - catchUpMs) + (count * 1000) / (rate * share)
  }

  /** How many may be taken in one go, so that they are spread evenly: what comes in a tenth of a second, and at least one. */
  pieceMax(share: number): number {
    const rate = this.#perSecond()
    return rate === null ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor((rate * share * catchUpMs) / 1000))
  }
}

/** How long it is taken for granted how many partitions there are. */
const partitionsKnownMs = 30_000
/** When to ask again for what could not be told, and how long to wait for an answer. */
const askAgainMs = 1000
/** As long as nobody could tell: rather too slow than too fast for whoever is spared. */
const shareUnknown = 1 / 16

/** The pace of a group of which this process is a member: it has a share by the partitions that are its own. */
export class SharedPace {
  readonly #pace: Pace
  readonly #engine: Engine
  readonly #topics: readonly string[]
  readonly #clock: Clock
  #partitionCount: number | undefined
  #askMs = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined

  /** @param parts.engine One that does not try again by itself for as long as it takes. */
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
    this.#askNowAndThen()
    if (this.#partitionCount === undefined) await this.#answered(signal)
    await this.#pace.take(count, this.#share(ownPartitionCount), signal)
  }

  /** How many may be taken in one go. */
  pieceMax(ownPartitionCount: number): number {
    return this.#pace.pieceMax(this.#share(ownPartitionCount))
  }

  #share(ownPartitionCount: number): number {
    const count = this.#partitionCount
    if (count === undefined) return shareUnknown
    return Math.min(1, Math.max(1, ownPartitionCount) / Math.max(1, count))
  }

  #askNowAndThen(): void {
    if (this.#asking !== undefined || this.#clock.monotonicMs() < this.#askMs) return
    this.#asking = this.#ask().finally(() => {
      this.#asking = undefined
      const pauseMs = this.#partitionCount === undefined ? askAgainMs : partitionsKnownMs
      this.#askMs = this.#clock.monotonicMs() + pauseMs
    })
  }

  async #ask(): Promise<void> {
    try {
      const topics = await Promise.all(this.#topics.map((topic) => this.#engine.topics.describe(topic)))
      this.#partitionCount = topics.reduce((sum, topic) => sum + (topic?.partitions.length ?? 0), 0)
    } catch {
      // It goes on with what it knew: whoever reads the partitions finds out what is the matter.
    }
  }

  /** Waits for what was asked, but not for long. */
  async #answered(signal: AbortSignal | undefined): Promise<void> {
    const over = new AbortController()
    const end = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal])
    const late = sleep(askAgainMs, this.#clock, end).catch(() => undefined)
    await Promise.race([this.#asking, late])
    over.abort()
  }
}
