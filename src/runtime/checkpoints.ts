import { CommitBatch } from './commit-batch.ts'
import { commitFailureOf } from './commit-failure.ts'
import { type EffectPlan, planEffects } from './effect-plan.ts'
import { CheckpointRefusedError } from './errors.ts'
import type { Isolation } from './isolation.ts'
import { mergePlan } from './merge-plan.ts'
import type { SubscriptionParts } from './subscription-parts.ts'
import type { Task } from './task.ts'

/**
 * Makes effects of a handler real while it is still running, without any progress: what happens outside after that may
 * rely on them. Checkpoints of many keys share one commit, as messages do; each carries the claim of its partition, so one
 * of a member that was replaced is refused.
 */
export class Checkpoints {
  readonly #parts: SubscriptionParts
  readonly #isolation: Isolation

  constructor(parts: SubscriptionParts, isolation: Isolation) {
    this.#parts = parts
    this.#isolation = isolation
  }

  /**
   * Resolves when the effects are durable. Stays pending when the attempt has become of no interest: its signal tells.
   *
   * @param isOver Whether the attempt is over: the next message of the key may be at work, and the state is its own.
   * @throws what `planEffects` throws, and what the engine says to the content of the commit
   */
  async take(task: Task, effects: unknown, isOver: () => boolean): Promise<void> {
    const { topics, epoch, committer } = this.#parts
    const began = epoch()
    const isVoid = (): boolean => began !== epoch() || isOver()
    const plan = planEffects(effects, task, this.#parts)
    for (const { topic, partition } of plan.unready) await topics.ensure(topic, partition)
    if (isVoid()) return never()
    // Who is looked for among records that the engine refuses finds no other task.
    const isLone = this.#isolation.covers(task) || task.isRefused || task.kind !== 'record' || plan.expects
    if (isLone) return this.#alone(task, plan, isVoid)
    const batch = committer.open
    this.#merge(task, plan, batch)
    const durable = new Promise<void>((resolve) => batch.afterCommit.push(resolve))
    committer.flushThisTurn()
    return durable
  }

  #merge(task: Task, plan: EffectPlan, batch: CommitBatch): void {
    const { cache } = this.#parts
    mergePlan(
      this.#parts,
      batch,
      task,
      task.key === undefined ? undefined : cache.get(task.key, task.reader.claim),
      plan,
    )
    batch.addClaim(task.reader)
    batch.checkpoints.push(task)
  }

  /** By itself, so that a refusal concerns nobody else. */
  async #alone(task: Task, plan: EffectPlan, isVoid: () => boolean): Promise<void> {
    const { committer, onFenced, group, onFatal } = this.#parts
    await committer.settled()
    if (isVoid()) return never()
    const batch = new CommitBatch(0)
    this.#merge(task, plan, batch)
    let reason: unknown
    try {
      const outcome = await committer.commitAlone(task.reader, batch.seal(), () => batch.committed(), plan.within)
      if (outcome.ok) return
      if (outcome.conflict.kind === 'fenced') onFenced(task.reader)
      reason = new CheckpointRefusedError(group, outcome.conflict.kind)
    } catch (error) {
      reason = error
    }
    batch.failed()
    if (isVoid()) {
      // What was merged in advance was not made, and somebody may rest on it by now.
      this.#parts.onStale('a checkpoint was refused after its attempt was over')
      return never()
    }
    const failure = reason instanceof CheckpointRefusedError ? undefined : commitFailureOf(reason)
    if (failure === 'engine') {
      onFatal(reason)
      return never()
    }
    if (failure === 'content') {
      task.isRefused = true
      this.#isolation.found(task)
    }
    await this.#restore(task)
    throw reason
  }

  /** The cached state was changed in advance. The handler still holds on to its entry, so it is put right in place. */
  async #restore({ key, reader }: Task): Promise<void> {
    const { cache, handler } = this.#parts
    if (handler.state !== undefined && key !== undefined) await cache.restore(key, reader.claim)
  }
}

/** What nobody waits for any more. */
function never(): Promise<never> {
  return new Promise(() => undefined)
}
