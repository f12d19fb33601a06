import type {
  AppendWrite,
  Claim,
  OffsetRange,
  ProgressWrite,
  PublishWrite,
  StateWrite,
  TimerWrite,
  WriteBatch,
} from '../engine/index.ts'
import type { Message } from '../message/index.ts'
import type { PlannedPublish, PlannedState } from './effect-plan.ts'
import type { PartitionReader } from './partition-reader.ts'
import type { CachedState, PendingWrite } from './state-cache.ts'
import type { Task } from './task.ts'

type MutableRange = { from: number; to: number }

interface OpenPublish {
  readonly topic: string
  readonly partition: number | undefined
  readonly messages: Message[]
}

/**
 * Effects and progress of many messages on their way to one commit.
 *
 * The state of a key stands in it once: the last value, with the revision that the first change expects. Progress stands
 * in it as ranges.
 */
export class CommitBatch {
  readonly sequence: number
  /** Messages whose effects are in it. 0: nothing but progress over messages that nobody wanted. */
  messageCount = 0
  publishedCount = 0
  /** Checkpoints of handlers that are still running, by their tasks. */
  readonly checkpoints: Task[] = []
  /** From the call of commit to durable, in milliseconds. */
  durationMs = 0
  /** Offsets that were skipped. */
  skippedCount = 0
  readonly #publishes: OpenPublish[] = []
  #lastPublish: OpenPublish | undefined
  readonly #writes: PendingWrite[] = []
  readonly #entries: CachedState[] = []
  readonly #otherWrites: StateWrite[] = []
  readonly #timers: TimerWrite[] = []
  readonly #appends: AppendWrite[] = []
  readonly progress: { readonly reader: PartitionReader; readonly ranges: MutableRange[] }[] = []
  /** Runs once its commit is known to be durable. */
  readonly afterCommit: (() => void)[] = []

  constructor(sequence: number) {
    this.sequence = sequence
  }

  get isEmpty(): boolean {
    return !this.holdsEffects && this.progress.length === 0 && this.#otherWrites.length === 0
  }

  /** Whether somebody waits for it: it is more than progress over messages that nobody wanted. */
  get holdsEffects(): boolean {
    return this.messageCount > 0 || this.checkpoints.length > 0
  }

  get stateCount(): number {
    return this.#writes.length + this.#otherWrites.length
  }

  /** Readers whose progress is in it. */
  get readers(): readonly PartitionReader[] {
    return this.progress.map(({ reader }) => reader)
  }

  /** How much it holds, in things to write. */
  get weight(): number {
    return this.messageCount + this.checkpoints.length + this.publishedCount
  }

  addPublish(planned: PlannedPublish): void {
    let open = this.#lastPublish
    if (open === undefined || open.topic !== planned.topic || open.partition !== planned.partition) {
      open = this.#publishes.find((one) => one.topic === planned.topic && one.partition === planned.partition)
      if (open === undefined) {
        open = { topic: planned.topic, partition: planned.partition, messages: [] }
        this.#publishes.push(open)
      }
      this.#lastPublish = open
    }
    for (const message of planned.messages) open.messages.push(message)
    this.publishedCount += planned.messages.length
  }

  addState(namespace: string, entry: CachedState, planned: PlannedState, owner: Claim): void {
    const value = planned.kind === 'set' ? planned.value : undefined
    let write = entry.openWrite
    if (write === undefined) {
      write = {
        kind: 'set',
        namespace,
        key: entry.key,
        value,
        expectedRevision: entry.revision,
        owner,
      }
      entry.openWrite = write
      entry.pendingCount++
      this.#writes.push(write)
      this.#entries.push(entry)
    }
    write.kind = value === undefined ? 'delete' : 'set'
    write.value = value
    entry.value = value
    entry.revision = value === undefined ? 0 : write.expectedRevision + 1
  }

  /** A write that no message of the handler reads through the cache. */
  addOtherState(write: StateWrite): void {
    this.#otherWrites.push(write)
  }

  addTimer(write: TimerWrite): void {
    this.#timers.push(write)
  }

  addAppend(write: AppendWrite): void {
    this.#appends.push(write)
  }

  /** Ties it to the claim of a partition, on which it may make no progress. */
  addClaim(reader: PartitionReader): void {
    if (reader.openBatch === this) return
    reader.openBatch = this
    reader.openRanges = []
    this.progress.push({ reader, ranges: reader.openRanges })
  }

  addProgress(reader: PartitionReader, from: number, to: number): void {
    this.addClaim(reader)
    const ranges = reader.openRanges
    const last = ranges[ranges.length - 1]
    if (last !== undefined && last.to === from) last.to = to
    else ranges.push({ from, to })
  }

  /** Closes it: from here on its keys start new writes. */
  seal(): WriteBatch {
    for (const entry of this.#entries) entry.openWrite = undefined
    for (const { reader, ranges } of this.progress) {
      if (reader.openBatch === this) reader.openBatch = undefined
      mergeRanges(ranges)
    }
    const state: StateWrite[] = this.#otherWrites
    for (const write of this.#writes) {
      // A key that came and went within the batch leaves nothing to write.
      if (write.kind === 'delete' && write.expectedRevision === 0) continue
      state.push(write as StateWrite)
    }
    return {
      publish: this.#publishes.map(
        ({ topic, partition, messages }): PublishWrite =>
          partition === undefined ? { topic, messages } : { topic, partition, messages },
      ),
      append: this.#appends,
      state,
      timers: this.#timers,
      progress: this.progress.map(({ reader, ranges }): ProgressWrite => ({ claim: reader.claim, done: ranges })),
    }
  }

  /** Its commit was not made: what it changed in advance is for whoever made it to put right. */
  failed(): void {
    for (const entry of this.#entries) entry.pendingCount--
  }

  /** Its commit is durable. */
  committed(): void {
    for (const entry of this.#entries) entry.pendingCount--
    for (const { reader, ranges } of this.progress) {
      for (const range of ranges) reader.committed.add(range.from, range.to)
    }
    for (const run of this.afterCommit) run()
  }
}

/** Asynchronous handlers finish in any order: this puts what they did in order and joins what touches. */
function mergeRanges(ranges: MutableRange[]): readonly OffsetRange[] {
  if (ranges.length < 2) return ranges
  ranges.sort((a, b) => a.from - b.from)
  let kept = 0
  for (let index = 1; index < ranges.length; index++) {
    const range = ranges[index] as MutableRange
    const last = ranges[kept] as MutableRange
    if (range.from <= last.to) last.to = Math.max(last.to, range.to)
    else ranges[++kept] = range
  }
  ranges.length = kept + 1
  return ranges
}
