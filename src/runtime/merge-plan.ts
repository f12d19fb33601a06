import type { CommitBatch } from './commit-batch.ts'
import type { EffectPlan } from './effect-plan.ts'
import type { CachedState } from './state-cache.ts'
import type { SubscriptionParts } from './subscription-parts.ts'
import type { Task } from './task.ts'

/** Puts all effects of a plan into a batch. Cannot fail. */
export function mergePlan(
  parts: SubscriptionParts,
  batch: CommitBatch,
  task: Task,
  entry: CachedState | undefined,
  plan: EffectPlan,
): void {
  for (const planned of plan.publishes) batch.addPublish(planned)
  if (plan.state !== undefined && entry !== undefined) {
    batch.addState(parts.stateNamespace, entry, plan.state, task.reader.claim)
  }
  if (plan.timers.length > 0) for (const write of parts.timers.writes(task, plan.timers)) batch.addTimer(write)
  for (const write of plan.appends) batch.addAppend(write)
  for (const write of plan.writes) batch.addOtherState(write)
  for (const write of plan.delayed) batch.addTimer(write)
  for (const run of plan.afterwards) batch.afterCommit.push(run)
}
