import type { StateWrite } from '../engine/index.ts'
import { channels } from '../telemetry/index.ts'
import type { Attempts } from './attempts.ts'
import type { CommitBatch } from './commit-batch.ts'
import { type EffectPlan, planEffects } from './effect-plan.ts'
import type { GivingUp } from './giving-up.ts'
import { mergePlan } from './merge-plan.ts'
import type { ParkedKey } from './parking.ts'
import type { CachedState } from './state-cache.ts'
import { reportOf, type SubscriptionParts } from './subscription-parts.ts'
import { keysOf, Task } from './task.ts'

/** What became of a message under one of its keys. */
export type Part =
  | { readonly kind: 'counted'; readonly task: Task; readonly entry: CachedState; readonly plan: EffectPlan }
  | { readonly kind: 'failed'; readonly task: Task; readonly error: unknown }
  /** Others of the key wait behind a dead letter, and so does it. */
  | { readonly kind: 'waits'; readonly task: Task; readonly parked: ParkedKey }

/**
 * Counts a message under each of several keys, in one commit with its progress: so it counts under all of them once, or has not been
 * handled. One key is nothing to another: a message that fails under one is a dead letter of that key, and counts under the others.
 */
export class SeveralKeys {
  readonly #parts: SubscriptionParts
  readonly #attempts: Attempts
  readonly #givingUp: GivingUp

  constructor(parts: SubscriptionParts, attempts: Attempts, givingUp: GivingUp) {
    this.#parts = parts
    this.#attempts = attempts
    this.#givingUp = givingUp
  }

  /** Looks up what {@link SeveralKeys.count} needs; `undefined`: it is all at hand. */
  prepared(task: Task): Promise<void> | undefined {
    const { cache, parking } = this.#parts
    const { reader } = task
    const missing = keysOf(task).filter((key) => !cache.has(key, reader.claim))
    const unlocated = this.#queuesOf(task).filter(({ nextSequence }) => nextSequence === undefined)
    if (missing.length === 0 && unlocated.length === 0) return undefined
    return Promise.all([
      missing.length === 0 ? undefined : cache.load(missing, reader.claim),
      ...unlocated.map((parked) => parking.locate(parked)),
    ]).then(() => undefined)
  }

  /** What the message makes of each of its keys, and nothing else: neither does it throw, nor does it change anything. */
  count(task: Task): readonly Part[] {
    const { cache, parking } = this.#parts
    return keysOf(task).map((key): Part => {
      const part = partOf(task, key)
      const parked = parking.queueFor(key, task.reader)
      if (parked !== undefined) return { kind: 'waits', task: part, parked }
      try {
        const entry = cache.get(key, task.reader.claim) as CachedState
        return { kind: 'counted', task: part, entry, plan: this.#planned(part, entry) }
      } catch (error) {
        return { kind: 'failed', task: part, error }
      }
    })
  }

  /** The engine refuses what it makes of its keys: what becomes a dead letter, and where others wait, what lets it wait with them. */
  refused(task: Task): { readonly failing: readonly Task[]; readonly writes: readonly StateWrite[] } {
    const { parking } = this.#parts
    const failing: Task[] = []
    const writes: StateWrite[] = []
    for (const key of keysOf(task)) {
      const part = partOf(task, key)
      part.attempt = task.attempt
      part.firstFailureMs = task.firstFailureMs
      const parked = parking.queueFor(key, task.reader)
      if (parked === undefined) failing.push(part)
      else writes.push(parking.enqueueWrite(parked, part))
    }
    return { failing, writes }
  }

  /** The cache must not let go of the states that somebody is working with: until the call of what is answered. */
  hold(parts: readonly Part[]): () => void {
    const entries = parts.flatMap((part) => (part.kind === 'counted' ? [part.entry] : []))
    for (const entry of entries) entry.pendingCount++
    return () => {
      for (const entry of entries) entry.pendingCount--
    }
  }

  /** Puts it all into a batch: of this message alone, or of others, too. */
  merge(parts: readonly Part[], batch: CommitBatch, isAlone: boolean): void {
    for (const part of parts) {
      if (part.kind === 'counted') mergePlan(this.#parts, batch, part.task, part.entry, part.plan)
      else if (part.kind === 'failed') this.#giveUp(part, batch, isAlone)
      else batch.addOtherState(this.#parts.parking.enqueueWrite(part.parked, part.task))
    }
  }

  #planned(part: Task, { value }: CachedState): EffectPlan {
    const { handler } = this.#parts
    part.attempt = 1
    const state = value === undefined ? handler.state?.initial : value
    return planEffects(this.#attempts.run(part, state), part, this.#parts)
  }

  #giveUp({ task, error }: Extract<Part, { kind: 'failed' }>, batch: CommitBatch, isAlone: boolean): void {
    const { group, clock } = this.#parts
    task.attempt = 1
    task.firstFailureMs = clock.nowMs()
    if (channels.failed.hasSubscribers) channels.failed.publish({ ...reportOf(group, task), error })
    this.#givingUp.merge(task, error, batch, isAlone)
  }

  #queuesOf(task: Task): readonly ParkedKey[] {
    const { parking } = this.#parts
    return parking.size === 0 ? [] : keysOf(task).flatMap((key) => parking.queueFor(key, task.reader) ?? [])
  }
}

/** The message under one of its keys. */
function partOf(task: Task, key: string): Task {
  const { reader, message, from, offset, timestampMs, original } = task
  const [timer, dead, parked] = [undefined, undefined, undefined]
  return new Task('record', reader, key, message, from, offset, timestampMs, timer, dead, parked, original)
}
