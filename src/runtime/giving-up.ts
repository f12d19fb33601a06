import type { StateWrite, TimerWrite, WriteBatch } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import { contextFor, type Message, runInContext } from '../message/index.ts'
import type { UndecodableRecord } from '../record/index.ts'
import { channels } from '../telemetry/index.ts'
import type { CommitBatch } from './commit-batch.ts'
import { DeadLettered, deadLetterOf, undecodableLetter } from './dead-letter-entry.ts'
import type { DeadLetter } from './dead-letters.ts'
import { deadLetterNamespace, deadLetterTopic } from './namespaces.ts'
import type { PartitionReader } from './partition-reader.ts'
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

  /** Gives a record up, together with what else is being committed. */
  merge(task: Task, error: unknown, batch: CommitBatch): void {
    const letter = this.#letterOf(task, error)
    for (const write of this.#stateWrites(task, letter)) batch.addOtherState(write)
    batch.addPublish({ topic: this.#topic, partition: undefined, messages: [this.#event(letter, task.message)] })
  }

  /** Gives a task up in a commit of its own. A conflict means that somebody else has dealt with it. */
  async alone(task: Task, error: unknown): Promise<TaskOutcome> {
    const { committer, timers, epoch, onFenced } = this.#parts
    const began = epoch()
    await committer.settled()
    if (began !== epoch()) return done
    const letter = this.#letterOf(task, error)
    const fired: TimerWrite[] =
      task.kind === 'timer' && task.timer !== undefined
        ? [{ kind: 'fire', owner: task.timer.owner, id: task.timer.id, revision: task.timer.revision }]
        : []
    const batch: WriteBatch = {
      publish: [{ topic: this.#topic, messages: [this.#event(letter, task.message)] }],
      state: this.#stateWrites(task, letter),
      timers: fired,
      progress:
        task.kind === 'record' ? [{ claim: task.reader.claim, done: [{ from: task.from, to: task.offset + 1 }] }] : [],
    }
    const outcome = await committer.commitAlone(batch, {
      reader: task.kind === 'record' ? task.reader : undefined,
      onDurable: () => {
        if (task.kind === 'record') task.reader.committed.add(task.from, task.offset + 1)
      },
    })
    if (task.kind === 'timer') timers.settled(task)
    if (outcome.ok) return done
    if (outcome.conflict.kind === 'fenced') onFenced(task.reader)
    // Nobody else can have dealt with a record: its progress would be missing for ever.
    else if (task.kind === 'record') return againMs
    return done
  }

  /** Gives up a record that is no message. */
  undecodable(reader: PartitionReader, from: number, record: UndecodableRecord): void {
    const { committer, clock, group } = this.#parts
    const { topic, partition } = reader
    const { offset, error } = record
    const letter = undecodableLetter(group, reader, record, clock.nowMs())
    const batch = committer.open
    batch.addOtherState(this.#entryWrite(letter))
    batch.addPublish({ topic: this.#topic, partition: undefined, messages: [this.#event(letter, undefined)] })
    batch.addProgress(reader, from, offset + 1)
    batch.messageCount++
    if (channels.deadLettered.hasSubscribers) {
      const { id, key } = letter
      const report = { handler: group, topic, partition, offset, key, type: null, messageId: null, attempt: 1 }
      channels.deadLettered.publish({ ...report, error, id })
    }
  }

  #letterOf(task: Task, error: unknown): DeadLetter {
    const { group, handler, clock, parking } = this.#parts
    const mayPark = task.kind === 'record' || task.kind === 'parked'
    const parksKey =
      task.dead?.letter.parksKey ??
      (mayPark &&
        task.key !== undefined &&
        // What was parked stays parked, whatever the handler's option has become since.
        (task.kind === 'parked' || (handler.onDeadLetter === 'park-key' && !parking.isFull)))
    const letter = deadLetterOf(group, task, error, clock.nowMs(), parksKey)
    if (channels.deadLettered.hasSubscribers) {
      channels.deadLettered.publish({ ...reportOf(group, task), error, id: letter.id })
    }
    return letter
  }

  #stateWrites(task: Task, letter: DeadLetter): StateWrite[] {
    const { parking } = this.#parts
    if (task.kind === 'redrive') return [this.#entryWrite(letter, task.dead?.revision)]
    const writes: StateWrite[] = [this.#entryWrite(letter)]
    if (task.parked !== undefined) writes.push(parking.dequeueWrite(task.parked.stateKey, task.parked.revision))
    if (letter.parksKey) writes.push(parking.park(task.key as string, task.reader, letter.id))
    return writes
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

  #event(letter: DeadLetter, cause: Message | undefined): Message {
    const { group, source, clock } = this.#parts
    if (cause === undefined) return DeadLettered(letter, { source })
    const handlerId = `${group}:dead-letter:${letter.attempts}`
    return runInContext(contextFor(cause, { source, clock, handlerId }), () => DeadLettered(letter))
  }
}
