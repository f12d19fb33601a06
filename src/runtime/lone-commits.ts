import type { Conflict, StateWrite, TimerWrite } from '../engine/index.ts'
import { CommitBatch } from './commit-batch.ts'
import { commitFailureOf } from './commit-failure.ts'
import type { CommitWithin } from './effects.ts'
import { AppendConflictError } from './errors.ts'
import type { Isolation } from './isolation.ts'
import { deadLetterNamespace, parkedKeyNamespace, parkedNamespace } from './namespaces.ts'
import type { ParkedKey } from './parking.ts'
import type { SubscriptionParts } from './subscription-parts.ts'
import { done, keysOf, type Task, type TaskOutcome } from './task.ts'

/** How often a task whose effects meet a conflict runs again at once, before that counts as a failure. */
const rerunMax = 10

/** What comes after a commit that was not made. */
export interface AfterRefusal {
  readonly rerun: (task: Task) => TaskOutcome | Promise<TaskOutcome>
  readonly failed: (task: Task, error: unknown) => TaskOutcome | Promise<TaskOutcome>
  /** Meanwhile the same message was handled from another place. */
  readonly repeated: (task: Task) => TaskOutcome
}

/**
 * Commits the effects of one task by itself, so that a refusal concerns nobody else: appends that expect something, timers,
 * redrives, messages that were parked, and messages among which one is looked for that the engine refuses.
 *
 * Engines put commits that come together into one sync, so many of them at once are still fast.
 */
export class LoneCommits {
  readonly #parts: SubscriptionParts
  readonly #isolation: Isolation
  readonly #after: AfterRefusal

  constructor(parts: SubscriptionParts, isolation: Isolation, after: AfterRefusal) {
    this.#parts = parts
    this.#isolation = isolation
    this.#after = after
  }

  /** @param merge Puts the effects of the task into the batch. */
  async commit(task: Task, merge: (batch: CommitBatch) => void, within?: CommitWithin): Promise<TaskOutcome> {
    const { committer, dedupe, epoch, timers } = this.#parts
    const began = epoch()
    // Effects of earlier messages of the key may still be on their way.
    await committer.settled()
    if (began !== epoch()) return done
    if (task.kind === 'record' && dedupe?.isKnown(task.message) === true) return this.#after.repeated(task)
    const released = task.kind === 'redrive' ? this.#queueBehind(task) : undefined
    const batch = new CommitBatch(0)
    merge(batch)
    for (const write of this.#stateWrites(task)) batch.addOtherState(write)
    if (task.kind === 'record') dedupe?.remember(task.message, batch, task.reader.claim)
    const sealed = batch.seal()
    const fired: TimerWrite[] =
      task.kind === 'timer' && task.timer !== undefined
        ? [{ kind: 'fire', owner: task.timer.owner, id: task.timer.id, revision: task.timer.revision }]
        : []
    const range = { from: task.from, to: task.offset + 1 }
    const progress = task.kind === 'record' ? [{ claim: task.reader.claim, done: [range] }] : []
    let conflict: Conflict
    try {
      const outcome = await committer.commitAlone(
        task.reader,
        { ...sealed, timers: [...fired, ...(sealed.timers ?? [])], progress },
        () => {
          batch.committed()
          if (task.kind === 'record') task.reader.committed.add(range.from, range.to)
          if (released !== undefined) released.head = null
        },
        within,
      )
      if (outcome.ok) {
        if (task.kind === 'timer') timers.settled(task)
        return done
      }
      conflict = outcome.conflict
    } catch (error) {
      return began === epoch() ? this.#threw(task, error) : done
    }
    return began === epoch() ? this.#refused(task, conflict) : done
  }

  /** What the commit of a task changes besides its effects. */
  #stateWrites(task: Task): readonly StateWrite[] {
    const { parking, app } = this.#parts
    if (task.parked !== undefined) return [parking.dequeueWrite(task)]
    if (task.kind !== 'redrive' || task.dead === undefined) return []
    const { letter, revision } = task.dead
    const writes: StateWrite[] = [
      { kind: 'delete', namespace: deadLetterNamespace(app), key: letter.id, expectedRevision: revision },
    ]
    const parked = this.#queueBehind(task)
    if (parked !== undefined) writes.push(parking.releaseWrite(parked))
    return writes
  }

  /** Whether it is about what a task is taken from, and not about what its effects change. */
  #isTaken(namespace: string): boolean {
    const { app, group } = this.#parts
    return [deadLetterNamespace(app), parkedKeyNamespace(group), parkedNamespace(group)].includes(namespace)
  }

  /** What waits behind the dead letter that is redriven. */
  #queueBehind({ dead }: Task): ParkedKey | undefined {
    return dead === undefined ? undefined : this.#parts.parking.behind(dead.letter.key ?? undefined, dead.letter.id)
  }

  async #refused(task: Task, conflict: Conflict): Promise<TaskOutcome> {
    const { onFenced, timers, group, dedupe, epoch } = this.#parts
    if (conflict.kind === 'fenced') {
      onFenced(task.reader)
      return done
    }
    this.#isolation.found(task)
    if (!(await this.#forget(task))) return done
    if (task.kind === 'record' && dedupe?.isAbout(conflict) === true) {
      // It runs once more, and is then found to be known.
      const began = epoch()
      await dedupe.load([task.message], task.reader.claim)
      if (began !== epoch()) return done
    }
    const foreign =
      (conflict.kind === 'revision' && task.kind !== 'record' && this.#isTaken(conflict.namespace)) ||
      (conflict.kind === 'timer' && task.kind === 'timer')
    if (foreign) {
      // Somebody else has redriven, discarded or fired it: there is nothing left to do.
      if (task.kind === 'timer') timers.settled(task)
      return done
    }
    if (++task.rerunCount > rerunMax) {
      task.rerunCount = 0
      return this.#after.failed(task, new AppendConflictError(group, conflictText(conflict), rerunMax + 1))
    }
    task.attempt--
    return this.#after.rerun(task)
  }

  async #threw(task: Task, error: unknown): Promise<TaskOutcome> {
    const failure = commitFailureOf(error)
    if (failure === 'engine') throw error
    if (!(await this.#forget(task))) return done
    if (failure === 'content') {
      task.isRefused = true
      return this.#after.failed(task, error)
    }
    task.attempt--
    return this.#parts.patience.pauseMs(error, ++task.waitCount)
  }

  /** The cached state was changed in advance: the store knows what is true. `false`: nobody is interested any more. */
  async #forget(task: Task): Promise<boolean> {
    const { cache, handler, dedupe, epoch } = this.#parts
    const began = epoch()
    dedupe?.forget(task.message)
    if (handler.state !== undefined) for (const key of keysOf(task)) await cache.reload(key, task.reader.claim)
    return began === epoch()
  }
}

function conflictText(conflict: Conflict): string {
  switch (conflict.kind) {
    case 'stream-version':
      return `stream "${conflict.stream}" is at version ${conflict.actual}, expected was ${conflict.expected}`
    case 'condition':
      return `an event that the condition excludes stands at position ${conflict.position}`
    case 'event-id':
      return `event ${conflict.id} stands elsewhere already`
    case 'stream-deleted':
      return `stream "${conflict.stream}" was deleted for good`
    case 'revision':
      return `the state under key ${JSON.stringify(conflict.key)} was changed by somebody else`
    case 'timer':
      return `timer ${JSON.stringify(conflict.id)} was changed by somebody else`
    case 'fenced':
      return 'the partition belongs to somebody else'
  }
}
