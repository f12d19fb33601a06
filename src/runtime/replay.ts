import type { StateEntry } from '../engine/index.ts'
import { sleep } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import type { CommitBatch } from './commit-batch.ts'
import { commitFailureOf } from './commit-failure.ts'
import { revivedMessage } from './dead-letter-entry.ts'
import type { GivingUp } from './giving-up.ts'
import { deadLetterNamespace } from './namespaces.ts'
import type { ParkedKey, ParkedMessage } from './parking.ts'
import { readAgain } from './record-again.ts'
import type { SubscriptionParts } from './subscription-parts.ts'
import { done, nobody, Task, type TaskOutcome } from './task.ts'

/** Pause before a message whose queue is gone is looked at anew, in milliseconds. */
const againMs = 1
/** What waits and is read at once: each may be a message of several MiB. */
const pageSize = 32

/**
 * What happens behind dead letters that park their key: messages join the queue, and are handled in order once the dead
 * letter is gone. All of it runs in the lane of the key, so nothing of that key happens meanwhile.
 */
export class Replay {
  readonly #parts: SubscriptionParts
  readonly #givingUp: GivingUp
  readonly #run: (task: Task) => TaskOutcome | Promise<TaskOutcome>

  constructor(parts: SubscriptionParts, givingUp: GivingUp, run: (task: Task) => TaskOutcome | Promise<TaskOutcome>) {
    this.#parts = parts
    this.#givingUp = givingUp
    this.#run = run
  }

  /** Lets a message wait. `merged` adds its progress. */
  park(task: Task, parked: ParkedKey, merged: (batch: CommitBatch) => void): TaskOutcome | Promise<TaskOutcome> {
    const { parking, committer, epoch } = this.#parts
    if (parked.nextSequence === undefined) {
      const began = epoch()
      return parking.locate(parked).then(() => {
        if (began !== epoch()) return done
        // The queue may be that of another partition, which was given away meanwhile.
        return parking.queueFor(task.key, task.reader) === parked ? this.park(task, parked, merged) : againMs
      })
    }
    committer.open.addOtherState(parking.enqueueWrite(parked, task))
    merged(committer.open)
    return done
  }

  /** Forgets a dead letter that parks its key, then handles what waited. */
  async discard(task: Task): Promise<TaskOutcome> {
    const { parking, committer, app, epoch, onFenced } = this.#parts
    const began = epoch()
    if (task.dead === undefined) return done
    const { letter, revision } = task.dead
    const parked = parking.behind(task.key, letter.id)
    await committer.settled()
    if (began !== epoch()) return done
    const outcome = await committer.commitAlone(task.reader, {
      state: [
        { kind: 'delete', namespace: deadLetterNamespace(app), key: letter.id, expectedRevision: revision },
        ...(parked === undefined ? [] : [parking.releaseWrite(parked)]),
      ],
    })
    if (began !== epoch()) return done
    if (!outcome.ok) {
      if (outcome.conflict.kind === 'fenced') {
        onFenced(task.reader)
        return done
      }
      // It is gone already: by an earlier try of this, perhaps, that was cut short while it handled what waited.
      return task.key === undefined ? done : this.replay(task.key)
    }
    if (parked === undefined) return done
    parked.head = null
    return this.replay(parked.key)
  }

  /** Handles what waits for a key, one after the other, until nothing is left or one becomes a dead letter itself. */
  async replay(key: string): Promise<TaskOutcome> {
    const { parking, committer, epoch, onFenced } = this.#parts
    const began = epoch()
    for (;;) {
      const parked = parking.released(key)
      if (parked === undefined) return done
      await committer.settled()
      if (began !== epoch()) return done
      const waiting = await parking.waiting(parked, pageSize)
      if (began !== epoch()) return done
      if (waiting.length === 0) {
        const outcome = await committer.commitAlone(parked.reader, { state: [parking.unparkWrite(parked)] })
        if (began !== epoch()) return done
        if (!outcome.ok) {
          onFenced(parked.reader)
          return done
        }
        parking.unpark(parked)
        continue
      }
      for (const entry of waiting) {
        // The next member goes on with what waits.
        if (parked.reader.left.aborted) return done
        const message = entry.value as unknown as ParkedMessage
        const outcome = await this.#handle(parked, message, entry)
        if (began !== epoch() || outcome === 'stop') return done
      }
    }
  }

  async #handle(parked: ParkedKey, waiting: ParkedMessage, entry: StateEntry): Promise<'next' | 'stop'> {
    const { clock, epochSignal, epoch, current } = this.#parts
    const began = epoch()
    const { topic, partition, offset, timestampMs } = waiting
    const place = { stateKey: entry.key, revision: entry.revision, topic, partition }
    const taskOf = (message: Message, original: Message): Task =>
      new Task(
        'parked',
        parked.reader,
        parked.key,
        message,
        offset,
        offset,
        timestampMs,
        undefined,
        undefined,
        place,
        original,
      )
    let task: Task
    let kept: Message | undefined
    try {
      kept = waiting.original.kind === 'message' ? revivedMessage(waiting.original) : await this.#readAgain(waiting)
      if (began !== epoch()) return 'stop'
      task = taskOf(current(kept), kept)
    } catch (error) {
      // Of those, one that waits no more is read by the next member.
      if (began !== epoch() || commitFailureOf(error) === 'passing') return 'stop'
      const lost = taskOf(kept ?? nobody, kept ?? nobody)
      lost.attempt = 1
      const record = { key: parked.key, original: waiting.original }
      lost.unreadable = kept === undefined ? { error, record } : { error }
      await this.#givingUp.alone(lost, error)
      return 'stop'
    }
    for (;;) {
      const outcome = await this.#run(task)
      if (began !== epoch()) return 'stop'
      if (outcome === done) return parked.head === null ? 'next' : 'stop'
      const { left } = parked.reader
      await sleep(outcome, clock, AbortSignal.any([epochSignal(), left])).catch(() => undefined)
      if (began !== epoch() || left.aborted) return 'stop'
    }
  }

  /** What was too large to wait elsewhere than in its topic, or could not be decoded then. */
  async #readAgain(waiting: ParkedMessage): Promise<Message> {
    const record = await readAgain(this.#parts.engine, waiting)
    if (record.kind === 'undecodable') throw record.error
    return record.message
  }
}
