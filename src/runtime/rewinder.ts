import { sleep } from '../kernel/index.ts'
import { channels } from '../telemetry/index.ts'
import type { CommitBatch } from './commit-batch.ts'
import { commitFailureOf } from './commit-failure.ts'
import type { Refusal } from './committer.ts'
import type { PartitionReader } from './partition-reader.ts'
import { happensWithin, placeOf, type SubscriptionCore } from './subscription-core.ts'

/** How long handlers that were told to abort may take to listen. */
const abortedMs = 1000
/** How many commits in a row may be refused for what they hold before that is no message's fault. */
const refusalsMax = 20
/** After so many that failed in a row for a reason that passes, it may not pass for as many messages at once. */
const waitsTogetherMax = 3

/**
 * Goes back to what is durable when a merged commit was refused: forgets what is under way, waits for what is in flight, and
 * lets the partitions be read again from there.
 *
 * - State changed by another member, or a partition that is not ours any more: just so.
 * - Something in it that the engine refuses: the same messages are then committed one by one, so that it fails alone.
 * - Something for which the engine is to blame, and which passes, as a full disk: after a pause, longer each time. From the third
 *   time on the messages are committed one by one: a commit may be too large for the time that a server gives it.
 */
export class Rewinder {
  readonly #core: SubscriptionCore
  /** Reads the partitions again. */
  readonly #reopen: () => void
  #underWay: Promise<void> | undefined
  #refusalCount = 0
  /** Commits that failed in a row for a reason that passes. */
  #waitCount = 0
  #pause = new AbortController()
  #isHurried = false
  #isStopped = false

  constructor(core: SubscriptionCore, reopen: () => void) {
    this.#core = core
    this.#reopen = reopen
  }

  /** Resolves at the end of the rewind that is under way, if there is one. */
  get underWay(): Promise<void> | undefined {
    return this.#underWay
  }

  /** Nothing is to be rewound any more. */
  stop(): void {
    this.#isStopped = true
  }

  /** Ends the pause that is under way: who takes a partition over shall not wait for it. */
  endPause(): void {
    this.#pause.abort()
    this.#pause = new AbortController()
  }

  /** Pauses no more. */
  hurry(): void {
    this.#isHurried = true
    this.endPause()
  }

  onCommitted(batch: CommitBatch): void {
    this.#waitCount = 0
    if (batch.holdsEffects) this.#refusalCount = 0
  }

  /** A task was committed by itself: what is refused stands in nobody else's way. */
  onLone(): void {
    this.#refusalCount = 0
  }

  onRefused(refusal: Refusal, batch: CommitBatch): void {
    if (refusal.kind === 'conflict') {
      const { conflict } = refusal
      if (conflict.kind === 'fenced') {
        const reader = this.#core.readers.get(placeOf(conflict.claim))
        // It may have come back meanwhile: under a later claim there is nothing to be given up.
        if (reader?.claim.epoch === conflict.claim.epoch) this.onFenced(reader)
        else this.begin('a partition was taken away')
      } else {
        if (conflict.kind !== 'revision') this.#core.isolation.suspect(batch)
        this.begin(`conflict: ${conflict.kind}`)
      }
      return
    }
    const failure = commitFailureOf(refusal.error)
    if (failure === 'engine' || (failure === 'content' && ++this.#refusalCount > refusalsMax)) {
      this.#core.parts.onFatal(refusal.error)
      return
    }
    const { isolation, parts } = this.#core
    const pauseMs = failure === 'passing' ? parts.patience.pauseMs(refusal.error, ++this.#waitCount) : 0
    if (failure === 'content' || this.#waitCount >= waitsTogetherMax) isolation.suspect(batch)
    this.begin(String(refusal.error), pauseMs)
  }

  /** Another member owns the partition: what was under way for it must not become real, and cannot. */
  onFenced(reader: PartitionReader): void {
    const place = placeOf(reader.claim)
    if (this.#core.readers.get(place) !== reader) {
      // It is being given away: what was refused still stands in memory.
      this.begin('a partition was taken away')
      return
    }
    this.#core.readers.delete(place)
    this.#core.parts.crashWatch.abandon([reader])
    reader.halt().catch(this.#core.parts.onFatal)
    this.begin(`partition ${reader.partition} of topic "${reader.topic}" belongs to another member now`)
  }

  /** Begins a rewind, unless one is under way: see {@link Rewinder.underWay}. */
  begin(reason: string, pauseMs = 0): void {
    if (this.#isStopped) return
    const { setup, parts } = this.#core
    if (this.#underWay !== undefined) return
    if (channels.rewound.hasSubscribers) channels.rewound.publish({ handler: setup.group, reason })
    this.#underWay = this.#rewind(pauseMs)
      .catch((error: unknown) => parts.onFatal(error))
      .finally(() => {
        this.#underWay = undefined
        // Nothing is merged before this point; should a commit be refused nevertheless, it is not forgotten.
        if (parts.committer.isRefused) this.begin('a commit was refused during a rewind')
        else this.#reopen()
        this.#core.lanes.changed.notify()
      })
  }

  async #rewind(pauseMs: number): Promise<void> {
    const { epoch, lanes, runner, readers, redriver, chain, parts } = this.#core
    const { committer, cache, parking, keptAttempts, dedupe, timers, clock } = parts
    epoch.end()
    lanes.clear()
    redriver.clear()
    runner.attempts.abort(new DOMException('What it was doing starts anew.', 'AbortError'))
    timers.close()
    await Promise.all([...readers.values()].map((reader) => reader.halt()))
    await committer.reset()
    await happensWithin(runner.attempts.quiet(), abortedMs, clock)
    cache.clear()
    parking.forget()
    keptAttempts.forget()
    dedupe?.clear()
    chain.forget()
    if (pauseMs > 0 && !this.#isHurried) await sleep(pauseMs, clock, this.#pause.signal).catch(() => undefined)
    committer.resume()
  }
}
