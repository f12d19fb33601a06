import type { CommitOutcome, PublishWrite, StateWrite, TimerWrite, WriteBatch } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import { channels } from '../telemetry/index.ts'
import { CommitBatch } from './commit-batch.ts'
import { commitFailureOf } from './commit-failure.ts'
import { deadLetterOf } from './dead-letter-entry.ts'
import { deadLetterEvent } from './dead-letter-event.ts'
import type { DeadLetter } from './dead-letters.ts'
import { deadLetterNamespace, deadLetterTopic } from './namespaces.ts'
import { reportOf, type SubscriptionParts } from './subscription-parts.ts'
import { done, type Task, type TaskOutcome } from './task.ts'

/** Pause before a record is given up anew whose dead letter could not be written. */
const againMs = 10

/**
 * Makes dead letters: an entry that can be listed, shown, redriven and discarded, and an event on the topic
 * `<app>.dead-letters`, in the same commit as the progress.
 */
export class GivingUp {
  readonly #parts: SubscriptionParts
  readonly #namespace: string
  readonly #topic: string

  constructor(parts: SubscriptionParts) {
    this.#parts = parts
    this.#namespace = deadLetterNamespace(parts.app)
    this.#topic = deadLetterTopic(parts.app)
  }

  /**
   * Gives a record up, together with what else is being committed.
   *
   * @param isAlone The batch is of this record alone: should it not be committed, nobody forgets what was parked for it.
   */
  merge(task: Task, error: unknown, batch: CommitBatch, isAlone = false): void {
    const letter = this.#letterOf(task, error)
    if (isAlone) batch.afterCommit.push(() => this.#park(task, letter))
    else this.#park(task, letter)
    for (const write of this.#stateWrites(task, letter)) batch.addOtherState(write)
    for (const { messages = [] } of this.#publish(letter, task)) {
      batch.addPublish({ topic: this.#topic, partition: undefined, messages })
    }
  }

  /**
   * Gives a task up in a commit of its own. A conflict means that somebody else has dealt with it.
   *
   * @param failing What becomes a dead letter each, such as a message under each of its keys: the task itself by default.
   * @param others What else is written with it.
   */
  async alone(
    task: Task,
    error: unknown,
    failing: readonly Task[] = [task],
    others: readonly StateWrite[] = [],
  ): Promise<TaskOutcome> {
    const { committer, dedupe, timers, epoch, onFenced } = this.#parts
    const began = epoch()
    await committer.settled()
    if (began !== epoch()) return done
    const isTold = task.kind === 'record' && task.hasMessage
    // It was handled from another place meanwhile, which is seen when it runs again.
    if (isTold && dedupe?.isKnown(task.message) === true) return againMs
    // What comes again is no more to wait behind the dead letter than to be handled beside it.
    const remembered = new CommitBatch(0)
    if (isTold) dedupe?.remember(task.message, remembered, task.reader.claim)
    const letters = failing.map((one) => ({ letter: this.#letterOf(one, error), of: one }))
    const fired: TimerWrite[] =
      task.kind === 'timer' && task.timer !== undefined
        ? [{ kind: 'fire', owner: task.timer.owner, id: task.timer.id, revision: task.timer.revision }]
        : []
    const batch: WriteBatch = {
      state: [
        ...others,
        ...letters.flatMap(({ letter, of }) => this.#stateWrites(of, letter)),
        ...(remembered.seal().state ?? []),
      ],
      timers: fired,
      progress:
        task.kind === 'record' ? [{ claim: task.reader.claim, done: [{ from: task.from, to: task.offset + 1 }] }] : [],
    }
    const commit = (publish: readonly PublishWrite[]): Promise<CommitOutcome> =>
      committer.commitAlone(task.reader, { ...batch, publish }, () => {
        if (task.kind === 'record') task.reader.committed.add(task.from, task.offset + 1)
        remembered.committed()
        for (const { letter, of } of letters) this.#park(of, letter)
      })
    const events = (): PublishWrite[] => letters.flatMap(({ letter, of }) => this.#publish(letter, of))
    const outcome = await this.#commitWithEvents(events, commit).catch((error: unknown) => {
      if (isTold) dedupe?.forget(task.message)
      throw error
    })
    if (outcome === undefined || began !== epoch()) return done
    if (task.kind === 'timer') timers.settled(task)
    if (outcome.ok) return done
    if (isTold) dedupe?.forget(task.message)
    if (outcome.conflict.kind === 'fenced') onFenced(task.reader)
    else if (isTold && dedupe?.isAbout(outcome.conflict) === true) {
      await dedupe.load([task.message], task.reader.claim)
      return began === epoch() ? againMs : done
    }
    // Nobody else can have dealt with a record: its progress would be missing for ever.
    else if (task.kind === 'record') return againMs
    return done
  }

  /**
   * The topic of dead letters may have been deleted, or its limit lowered, since it was looked at: then it is made sure of
   * once more. If it takes the events not even then, the dead letters go without: it must not stop the app. `undefined`: it
   * is of no more interest.
   */
  async #commitWithEvents(
    events: () => readonly PublishWrite[],
    commit: (publish: readonly PublishWrite[]) => Promise<CommitOutcome>,
  ): Promise<CommitOutcome | undefined> {
    const { topics, app, epoch } = this.#parts
    const began = epoch()
    const isContent = (error: unknown): boolean => commitFailureOf(error) === 'content'
    try {
      return await commit(events())
    } catch (error) {
      if (!isContent(error)) throw error
    }
    try {
      await topics.createDeadLetters(app)
      if (began !== epoch()) return undefined
      return await commit(events())
    } catch (error) {
      if (!isContent(error)) throw error
    }
    return began === epoch() ? commit([]) : undefined
  }

  #letterOf(task: Task, error: unknown): DeadLetter {
    const { handler, clock } = this.#parts
    const mayPark = task.kind === 'record' || task.kind === 'parked'
    const parksKey =
      task.dead?.letter.parksKey ??
      (mayPark &&
        task.key !== undefined &&
        // What was parked stays parked, whatever the handler's option has become since.
        (task.kind === 'parked' || handler.onDeadLetter === 'park-key'))
    const letter = deadLetterOf(this.#parts, task, error, clock.nowMs(), parksKey)
    if (channels.deadLettered.hasSubscribers) {
      channels.deadLettered.publish({ ...reportOf(this.#parts.group, task), error, id: letter.id })
    }
    return letter
  }

  #stateWrites(task: Task, letter: DeadLetter): StateWrite[] {
    const { parking } = this.#parts
    if (task.kind === 'redrive') return [this.#entryWrite(letter, task.dead?.revision)]
    const writes: StateWrite[] = [this.#entryWrite(letter)]
    if (task.parked !== undefined) writes.push(parking.dequeueWrite(task))
    if (letter.parksKey) writes.push(parking.parkWrite(task.key as string, task.reader, letter.id))
    return writes
  }

  #park(task: Task, { parksKey, id }: DeadLetter): void {
    if (parksKey && task.kind !== 'redrive') this.#parts.parking.park(task.key as string, task.reader, id)
  }

  #entryWrite(letter: DeadLetter, expectedRevision?: number): StateWrite {
    return {
      kind: 'set',
      namespace: this.#namespace,
      key: letter.id,
      value: letter as unknown as Json,
      ...(expectedRevision !== undefined && { expectedRevision }),
    }
  }

  /** What tells of it, as full as it fits: the dead letter itself is there all the same. */
  #publish(letter: DeadLetter, task: Task): PublishWrite[] {
    const { topics } = this.#parts
    const cause = task.hasMessage ? task.message : undefined
    const event = deadLetterEvent(letter, cause, this.#parts, topics.recordBytesMaxOf(this.#topic))
    return event === undefined ? [] : [{ topic: this.#topic, messages: [event] }]
  }
}
