import { isThenable } from '../kernel/index.ts'
import { channels } from '../telemetry/index.ts'
import { Attempts } from './attempts.ts'
import { Checkpoints } from './checkpoints.ts'
import type { CommitBatch } from './commit-batch.ts'
import { commitFailureOf } from './commit-failure.ts'
import { type EffectPlan, planEffects } from './effect-plan.ts'
import { BreakerOpenError, KeyMissingError, ParkedKeysFullError } from './errors.ts'
import { GivingUp } from './giving-up.ts'
import type { Isolation } from './isolation.ts'
import { LoneCommits } from './lone-commits.ts'
import { mergePlan } from './merge-plan.ts'
import { parkedKeysMax } from './parking.ts'
import { Replay } from './replay.ts'
import { nextAttempt } from './retry-policy.ts'
import { SeveralKeys } from './several-keys.ts'
import type { CachedState } from './state-cache.ts'
import { reportOf, type SubscriptionParts } from './subscription-parts.ts'
import { done, keysOf, type Task, type TaskOutcome } from './task.ts'

/**
 * Runs tasks to their end: attempt, plan, merge; or retry, or dead letter. Nothing that a handler does reaches beyond its own
 * task: what it throws or returns is caught before anything of it is merged.
 */
export class Runner {
  readonly attempts: Attempts
  readonly #parts: SubscriptionParts
  readonly #lone: LoneCommits
  readonly #givingUp: GivingUp
  readonly #replay: Replay
  readonly #severalKeys: SeveralKeys
  /** Until when an open breaker holds work back, on the monotonic clock. */
  #pausedUntilMs = 0
  /** Whether many tasks are being submitted in one go, after which the submitter flushes. */
  isBulk = false
  readonly #isolation: Isolation

  constructor(parts: SubscriptionParts, isolation: Isolation) {
    this.#parts = parts
    this.#isolation = isolation
    this.attempts = new Attempts(parts, new Checkpoints(parts, isolation))
    this.#givingUp = new GivingUp(parts)
    this.#severalKeys = new SeveralKeys(parts, this.attempts, this.#givingUp)
    this.#lone = new LoneCommits(parts, isolation, {
      rerun: (task) => this.#begin(task),
      failed: (task, error) => this.#failed(task, error),
      repeated: (task) => this.#skip(task),
    })
    this.#replay = new Replay(parts, this.#givingUp, (task) => this.#begin(task))
  }

  /** The outcome at once, or later. Never throws or rejects. */
  run(task: Task): TaskOutcome | Promise<TaskOutcome> {
    const { parking } = this.#parts
    switch (task.kind) {
      case 'record':
        // First, as what waits is handled without another look: a repeated one must not wait beside the first.
        if (this.#isRepeated(task)) return this.#skip(task)
        if ((task.attempt === 0 || task.pauseMs > 0) && parking.size > 0) {
          const parked = parking.queueFor(task.key, task.reader)
          if (parked !== undefined)
            return this.#guard(
              task,
              this.#replay.park(task, parked, (batch) => this.#merged(task, batch)),
            )
        }
        if (task.unreadable !== undefined) {
          task.attempt = 1
          return this.#giveUp(task, task.unreadable.error)
        }
        if (task.pauseMs > 0) return pauseOnce(task)
        break
      case 'timer':
        if (!task.obsolete) break
        this.#parts.timers.settled(task)
        return done
      case 'discard':
        return this.#guard(task, this.#replay.discard(task))
      case 'replay':
        return this.#guard(task, this.#replay.replay(task.key as string))
      case 'redrive':
        return this.#guard(task, this.#redrive(task))
      case 'parked':
        break
    }
    return this.#begin(task)
  }

  /** Holds work back while a breaker is open. */
  get isPaused(): boolean {
    return this.#pausedUntilMs > 0 && this.#parts.clock.monotonicMs() < this.#pausedUntilMs
  }

  pause(forMs: number): void {
    this.#pausedUntilMs = this.#parts.clock.monotonicMs() + forMs
  }

  /** A dead letter that is to be redriven cannot be handed to the handler. */
  giveUpAgain(task: Task, error: unknown): Promise<TaskOutcome> {
    return this.#guard(task, this.#givingUp.alone(task, error))
  }

  /** What waited behind a dead letter is handled as soon as that has succeeded. */
  async #redrive(task: Task): Promise<TaskOutcome> {
    const began = this.#parts.epoch()
    if (!task.isRedriven) {
      const outcome = await this.#begin(task)
      if (outcome !== done || began !== this.#parts.epoch()) return outcome
      // Should what waited have to wait once more, only that is done again.
      task.isRedriven = true
    }
    // What waits under another key than the message has by now is handled in the lane of that key.
    return task.key === undefined || task.key !== task.dead?.letter.key ? done : this.#replay.replay(task.key)
  }

  #begin(task: Task): TaskOutcome | Promise<TaskOutcome> {
    const { crashWatch, epochSignal } = this.#parts
    if (!crashWatch.suspects(task)) return this.#handle(task)
    const how = {
      run: () => this.#handle(task),
      giveUp: (error: unknown) => this.#giveUp(task, error),
    }
    return this.#guard(task, crashWatch.alone(task, epochSignal(), how))
  }

  #handle(task: Task): TaskOutcome | Promise<TaskOutcome> {
    const { handler, cache } = this.#parts
    if (task.keys !== undefined) return this.#countUnderEach(task)
    if (handler.state === undefined) return this.#attempt(task, undefined)
    if (task.key === undefined) {
      task.attempt++
      return this.#giveUp(task, new KeyMissingError(this.#parts.group, task.message.id))
    }
    const entry = cache.get(task.key, task.reader.claim)
    return entry === undefined ? this.#guard(task, this.#loadThenAttempt(task, task.key)) : this.#attempt(task, entry)
  }

  async #loadThenAttempt(task: Task, key: string): Promise<TaskOutcome> {
    const { cache, epoch } = this.#parts
    const began = epoch()
    const { claim } = task.reader
    await cache.load([key], claim)
    if (began !== epoch()) return done
    const entry = cache.get(key, claim)
    return entry === undefined ? this.#loadThenAttempt(task, key) : this.#attempt(task, entry)
  }

  #attempt(task: Task, entry: CachedState | undefined): TaskOutcome | Promise<TaskOutcome> {
    const { handler, clock } = this.#parts
    if (++task.attempt === 1) task.firstAttemptMs = clock.monotonicMs()
    const startMs = channels.handled.hasSubscribers ? clock.monotonicMs() : 0
    const state = entry === undefined || entry.value === undefined ? handler.state?.initial : entry.value
    let result: unknown
    try {
      result = this.attempts.run(task, state)
    } catch (error) {
      return this.#failed(task, error)
    }
    if (isThenable(result)) return this.#guard(task, this.#later(task, entry, result, startMs))
    return this.#settle(task, entry, result, startMs)
  }

  async #later(
    task: Task,
    entry: CachedState | undefined,
    result: PromiseLike<unknown>,
    startMs: number,
  ): Promise<TaskOutcome> {
    const began = this.#parts.epoch()
    let value: unknown
    // The cache must not let go of a state that somebody is working with.
    if (entry !== undefined) entry.pendingCount++
    try {
      value = await result
    } catch (error) {
      if (entry !== undefined) entry.pendingCount--
      return began === this.#parts.epoch() ? this.#failed(task, error) : done
    }
    if (entry !== undefined) entry.pendingCount--
    return began === this.#parts.epoch() ? this.#settle(task, entry, value, startMs) : done
  }

  #settle(
    task: Task,
    entry: CachedState | undefined,
    result: unknown,
    startMs: number,
  ): TaskOutcome | Promise<TaskOutcome> {
    // It may have come up again elsewhere and been handled there meanwhile.
    if (this.#isRepeated(task)) return this.#skip(task)
    let plan: EffectPlan
    try {
      plan = planEffects(result, task, this.#parts)
    } catch (error) {
      return this.#failed(task, error)
    }
    if (plan.unready.length > 0) return this.#guard(task, this.#readyThenSettle(task, entry, result, plan, startMs))
    if (channels.handled.hasSubscribers) {
      const durationMs = this.#parts.clock.monotonicMs() - startMs
      channels.handled.publish({ ...reportOf(this.#parts.group, task), durationMs, effectCount: plan.effectCount })
    }
    if (this.#isolation.covers(task) || task.isRefused || task.kind !== 'record' || plan.expects) {
      const release = held(entry)
      const merge = (batch: CommitBatch): void => {
        release()
        mergePlan(this.#parts, batch, task, entry, plan)
      }
      return this.#guard(task, this.#lone.commit(task, merge, plan.within).finally(release))
    }
    const batch = this.#parts.committer.open
    mergePlan(this.#parts, batch, task, entry, plan)
    this.#merged(task, batch)
    return done
  }

  /** A message that counts under several keys. */
  #countUnderEach(task: Task): TaskOutcome | Promise<TaskOutcome> {
    const { clock, group, committer } = this.#parts
    const prepared = this.#severalKeys.prepared(task)
    if (prepared !== undefined)
      return this.#guard(
        task,
        this.#after(prepared, () => this.#countUnderEach(task)),
      )
    if (++task.attempt === 1) task.firstAttemptMs = clock.monotonicMs()
    const startMs = channels.handled.hasSubscribers ? clock.monotonicMs() : 0
    const parts = this.#severalKeys.count(task)
    if (channels.handled.hasSubscribers) {
      const durationMs = clock.monotonicMs() - startMs
      channels.handled.publish({ ...reportOf(group, task), durationMs, effectCount: parts.length })
    }
    if (this.#isolation.covers(task) || task.isRefused || task.kind !== 'record') {
      const release = this.#severalKeys.hold(parts)
      const merge = (batch: CommitBatch): void => {
        release()
        this.#severalKeys.merge(parts, batch, true)
      }
      return this.#guard(task, this.#lone.commit(task, merge))
    }
    this.#severalKeys.merge(parts, committer.open, false)
    this.#merged(task, committer.open)
    return done
  }

  /** Unless it is of no more interest by then. */
  async #after(prepared: Promise<void>, run: () => TaskOutcome | Promise<TaskOutcome>): Promise<TaskOutcome> {
    const began = this.#parts.epoch()
    await prepared
    return began === this.#parts.epoch() ? run() : done
  }

  async #readyThenSettle(
    task: Task,
    entry: CachedState | undefined,
    result: unknown,
    plan: EffectPlan,
    startMs: number,
  ): Promise<TaskOutcome> {
    const began = this.#parts.epoch()
    const release = held(entry)
    try {
      for (const { topic, partition } of plan.unready) await this.#parts.topics.ensure(topic, partition)
    } catch (error) {
      release()
      return began === this.#parts.epoch() ? this.#failed(task, error) : done
    }
    release()
    return began === this.#parts.epoch() ? this.#settle(task, entry, result, startMs) : done
  }

  #isRepeated(task: Task): boolean {
    return task.kind === 'record' && task.hasMessage && this.#parts.dedupe?.isKnown(task.message) === true
  }

  /** Nothing but its progress. */
  #skip(task: Task): TaskOutcome {
    this.#merged(task, this.#parts.committer.open)
    return done
  }

  /** The task's effects, if any, stand in the batch: so does its progress now. */
  #merged(task: Task, batch: CommitBatch): void {
    const { committer, dedupe } = this.#parts
    batch.addProgress(task.reader, task.from, task.offset + 1)
    batch.messageCount++
    if (task.hasMessage) dedupe?.remember(task.message, batch, task.reader.claim)
    if (!this.isBulk) committer.flushThisTurn()
  }

  #failed(task: Task, error: unknown): TaskOutcome | Promise<TaskOutcome> {
    const { handler, clock, random, group, outside, patience, keptAttempts, committer } = this.#parts
    if (error instanceof BreakerOpenError) {
      // Nothing was tried, so nothing is counted; the partition waits with it.
      task.attempt--
      if (!this.isPaused) this.#parts.pause(outside.openForMs)
      return Math.max(1, Math.ceil(this.#pausedUntilMs - clock.monotonicMs()))
    }
    if (this.#isRepeated(task)) return this.#skip(task)
    if (commitFailureOf(error) === 'passing') {
      // What it asked of the engine will be answered: no fault of the message, so nothing is counted.
      task.attempt--
      return patience.pauseMs(error, ++task.waitCount)
    }
    this.#isolation.found(task)
    if (task.firstFailureMs === 0) task.firstFailureMs = clock.nowMs()
    if (channels.failed.hasSubscribers) channels.failed.publish({ ...reportOf(group, task), error })
    task.retryCounts ??= new Map()
    const elapsedMs = clock.monotonicMs() - task.firstAttemptMs
    const failed = { error, attempt: task.attempt, elapsedMs, counts: task.retryCounts }
    const { delayMs, error: reason } = nextAttempt(handler.retry, failed, random)
    if (delayMs === undefined) return this.#giveUp(task, reason)
    if (keptAttempts.keep(task, delayMs, committer.open) && !this.isBulk) committer.flushThisTurn()
    if (channels.retried.hasSubscribers) channels.retried.publish({ ...reportOf(group, task), error, delayMs })
    return delayMs
  }

  #giveUp(task: Task, error: unknown): TaskOutcome | Promise<TaskOutcome> {
    const { handler, parking, patience, group } = this.#parts
    if (task.kind === 'record' && handler.onDeadLetter === 'park-key' && parking.lacksRoomFor(keysOf(task))) {
      // Later messages of its key would be handled. They wait behind it, as it does; and with time everything after them.
      task.attempt--
      return patience.pauseMs(new ParkedKeysFullError(group, parkedKeysMax, error), ++task.waitCount)
    }
    if (task.keys !== undefined && task.kind === 'record') return this.#giveUpUnderEach(task, error)
    if (this.#isolation.covers(task) || task.isRefused || task.kind !== 'record') {
      return this.#guard(task, this.#givingUp.alone(task, error))
    }
    const batch = this.#parts.committer.open
    this.#givingUp.merge(task, error, batch)
    this.#merged(task, batch)
    return done
  }

  #giveUpUnderEach(task: Task, error: unknown): TaskOutcome | Promise<TaskOutcome> {
    const prepared = this.#severalKeys.prepared(task)
    if (prepared !== undefined)
      return this.#guard(
        task,
        this.#after(prepared, () => this.#giveUpUnderEach(task, error)),
      )
    const { failing, writes } = this.#severalKeys.refused(task)
    return this.#guard(task, this.#givingUp.alone(task, error, failing, writes))
  }

  /** What goes wrong beside the handler is the engine's or Millrace's own fault: everything stops. */
  async #guard(task: Task, outcome: TaskOutcome | Promise<TaskOutcome>): Promise<TaskOutcome> {
    const began = this.#parts.epoch()
    try {
      return await outcome
    } catch (error) {
      if (began !== this.#parts.epoch()) return done
      if (commitFailureOf(error) === 'passing') return this.#parts.patience.pauseMs(error, ++task.waitCount)
      this.#parts.onFatal(error)
      return done
    }
  }
}

/** What is left of the pause after an attempt that was made before this start, or elsewhere. */
function pauseOnce(task: Task): number {
  const { pauseMs } = task
  task.pauseMs = 0
  return pauseMs
}

/** The cache must not let go of a state that somebody is working with: until the call of what is answered. */
function held(entry: CachedState | undefined): () => void {
  if (entry === undefined) return () => undefined
  let isHeld = true
  entry.pendingCount++
  return () => {
    if (isHeld) entry.pendingCount--
    isHeld = false
  }
}
