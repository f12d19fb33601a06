import type { CommitOutcome, Conflict, Engine, WriteBatch } from '../engine/index.ts'
import type { Clock, Timer } from '../kernel/index.ts'
import { CommitBatch } from './commit-batch.ts'
import type { CommitChain } from './commit-chain.ts'
import { Condition } from './condition.ts'
import { factsOfLone, reportDurable } from './durable-report.ts'
import type { CommitWithin } from './effects.ts'
import type { PartitionReader } from './partition-reader.ts'

/** At most this many merged commits of one member are in flight: one is written while the next is encoded. */
const inFlightMax = 2
/** The second one in flight is worth it from this weight on. */
const secondWeightMin = 512
/** A batch of this weight takes no more. */
const weightMax = 4096
/** The same where nobody waits for what is merged: commits are few and large. */
const bulkSecondWeightMin = 32_768
const bulkWeightMax = 65_536
/** Progress alone over records that nobody wanted is committed this often, or after so many records; so is the rest of much. */
const laterMs = 50
const skippedMax = 8192

/** What becomes of a commit that was not made. */
export type Refusal =
  | { readonly kind: 'conflict'; readonly conflict: Conflict }
  | { readonly kind: 'error'; readonly error: unknown }

/** A commit on its way, and what its answer means once that is there. */
interface Sent {
  settle?: () => void
}

/**
 * Collects effects and progress in a {@link CommitBatch} and commits it as soon as the pipeline has room: one sync for as
 * many messages as came together meanwhile. Bounded: 2 commits in flight and one of at most 4,096 messages being collected;
 * 65,536 where nobody waits for them.
 */
export class Committer {
  /** Takes what is merged now. */
  open: CommitBatch = new CommitBatch(1)
  readonly #engine: Engine
  readonly #app: string
  readonly #group: string
  readonly #chain: CommitChain
  readonly #clock: Clock
  readonly #isBulk: () => boolean
  readonly #changed = new Condition()
  readonly #onCommitted: (batch: CommitBatch) => void
  readonly #onRefused: (refusal: Refusal, batch: CommitBatch) => void
  readonly #onLone: () => void
  /** Oldest first. */
  readonly #inFlight: Sent[] = []
  readonly #alone = new Set<object>()
  #doneSequence = 0
  #urgent = false
  #scheduled = false
  #refused = false
  #laterTimer: Timer | undefined

  constructor(
    options: {
      readonly engine: Engine
      readonly app: string
      readonly group: string
      readonly chain: CommitChain
      readonly clock: Clock
      readonly isBulk: () => boolean
    },
    onCommitted: (batch: CommitBatch) => void,
    onRefused: (refusal: Refusal, batch: CommitBatch) => void,
    onLone: () => void,
  ) {
    this.#engine = options.engine
    this.#app = options.app
    this.#group = options.group
    this.#chain = options.chain
    this.#clock = options.clock
    this.#isBulk = options.isBulk
    this.#onCommitted = onCommitted
    this.#onRefused = onRefused
    this.#onLone = onLone
  }

  /** Messages must wait before more is merged. */
  get isFull(): boolean {
    return this.open.weight >= (this.#isBulk() ? bulkWeightMax : weightMax)
  }

  /** A commit was refused, and {@link Committer.resume} was not called since. */
  get isRefused(): boolean {
    return this.#refused
  }

  get isIdle(): boolean {
    return this.open.isEmpty && this.#inFlight.length === 0 && this.#alone.size === 0
  }

  /** Commits what there is, if the pipeline has room for it; else as soon as it has. `isFull`: no more can be merged. */
  flushSoon(options: { readonly isFull?: boolean } = {}): void {
    const batch = this.open
    if (this.#refused || this.#inFlight.length >= inFlightMax || batch.isEmpty) return
    const isBulk = this.#isBulk()
    const isLarge = isBulk
      ? options.isFull === true || batch.weight >= bulkSecondWeightMin
      : batch.weight >= secondWeightMin
    if (this.#urgent || isLarge) this.#send()
    else if (this.#inFlight.length > 0) return
    else if (isBulk) this.#sendLater()
    else if (batch.holdsEffects || batch.stateCount > 0 || batch.skippedCount >= skippedMax) this.#send()
    else this.#sendLater()
  }

  /** {@link Committer.flushSoon} at the end of this turn, for what finishes one by one. */
  flushThisTurn(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.flushSoon()
    })
  }

  /** Resolves when all that was merged before the call is durable, or after a refusal. */
  async settled(options: { readonly progressToo?: boolean } = {}): Promise<void> {
    const counts = this.open.holdsEffects || (options.progressToo === true && !this.open.isEmpty)
    const sequence = counts ? this.open.sequence : this.open.sequence - 1
    while (!this.#refused && this.#doneSequence < sequence) {
      if (this.open.sequence <= sequence) this.#urgent = true
      this.flushSoon()
      await this.#changed.changed()
    }
  }

  /** Commits all that is merged and waits for that and what is in flight, not for what others begin meanwhile, or for a refusal. */
  async drained(): Promise<void> {
    const before = [...this.#alone]
    await this.settled({ progressToo: true })
    await this.#changed.until(() => this.#refused || !before.some((one) => this.#alone.has(one)))
  }

  /**
   * Commits something by itself, beside what is merged. Whatever it is, it carries the claim of the partition: a member that was
   * replaced, and does not know, changes nothing.
   *
   * @param onDurable Runs before anybody can see that it is settled. Without it the commit is no more than upkeep, and not reported.
   */
  async commitAlone(
    reader: PartitionReader,
    writes: WriteBatch,
    onDurable?: () => void,
    within?: CommitWithin,
  ): Promise<CommitOutcome> {
    const { progress = [] } = writes
    const batch = progress.length > 0 ? writes : { ...writes, progress: [{ claim: reader.claim, done: [] }] }
    const one = {}
    this.#alone.add(one)
    const startMs = this.#clock.monotonicMs()
    const commit: Parameters<CommitWithin>[0] = (more) =>
      this.#engine.commit({ ...batch, state: [...(batch.state ?? []), ...more] })
    try {
      const outcome = await (within === undefined ? this.#engine.commit(batch) : within(commit))
      if (outcome.ok && onDurable !== undefined) {
        onDurable()
        const durationMs = this.#clock.monotonicMs() - startMs
        const advanced = progress.some(({ done }) => done.length > 0) ? [reader] : []
        reportDurable(this.#app, this.#group, factsOfLone(batch, advanced, durationMs))
        this.#onLone()
      }
      return outcome
    } finally {
      this.#alone.delete(one)
      this.#changed.notify()
    }
  }

  /** Waits until no commit is in flight, then throws away what is merged. */
  async reset(): Promise<void> {
    this.#refused = true
    this.#changed.notify()
    await this.#changed.until(() => this.#inFlight.length === 0 && this.#alone.size === 0)
    this.#laterTimer?.cancel()
    this.#laterTimer = undefined
    this.open.seal()
    this.#doneSequence = this.open.sequence
    this.open = new CommitBatch(this.open.sequence + 1)
    this.#urgent = false
  }

  /** Goes on after {@link Committer.reset}. */
  resume(): void {
    this.#refused = false
  }

  #sendLater(): void {
    this.#laterTimer ??= this.#clock.setTimer(() => {
      this.#laterTimer = undefined
      if (this.open.isEmpty || this.#refused) return
      this.#urgent = true
      this.flushSoon()
    }, laterMs)
  }

  #send(): void {
    const batch = this.open
    this.open = new CommitBatch(batch.sequence + 1)
    this.#urgent = false
    try {
      if (batch.holdsEffects) for (const link of this.#chain.links(batch.readers)) batch.addOtherState(link)
    } catch (error) {
      this.#failed({ kind: 'error', error }, batch)
      return
    }
    const sent: Sent = {}
    this.#inFlight.push(sent)
    const answered = (settle: () => void): void => {
      sent.settle = settle
      this.#settleInOrder()
    }
    const startMs = this.#clock.monotonicMs()
    this.#engine.commit(batch.seal()).then(
      (outcome) => {
        answered(() =>
          outcome.ok
            ? this.#succeeded(batch, startMs)
            : this.#failed({ kind: 'conflict', conflict: outcome.conflict }, batch),
        )
      },
      (error: unknown) => answered(() => this.#failed({ kind: 'error', error }, batch)),
    )
  }

  /** Engines make commits in the order of the calls, but what they say of two of them may arrive in the other one. */
  #settleInOrder(): void {
    for (let settle = this.#inFlight[0]?.settle; settle !== undefined; settle = this.#inFlight[0]?.settle) {
      this.#inFlight.shift()
      settle()
    }
  }

  #succeeded(batch: CommitBatch, startMs: number): void {
    this.#doneSequence = batch.sequence
    batch.durationMs = this.#clock.monotonicMs() - startMs
    batch.committed()
    reportDurable(this.#app, this.#group, batch)
    this.#onCommitted(batch)
    this.#changed.notify()
    this.flushSoon()
  }

  /** The first refusal starts a rewind; those sent behind it are refused for its sake. */
  #failed(refusal: Refusal, batch: CommitBatch): void {
    const first = !this.#refused
    this.#refused = true
    if (first) this.#onRefused(refusal, batch)
    this.#changed.notify()
  }
}
