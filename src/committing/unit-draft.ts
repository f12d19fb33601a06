import type {
  CommitOutcome,
  EventQuery,
  ExpectedVersion,
  ProducerSequence,
  TopicPosition,
  WriteBatch,
} from '../engine/index.ts'
import type { Message } from '../message/index.ts'
import { type BatchBufferPool, type BatchMark, RecordBatchBuilder, type RecordInput } from '../record/index.ts'
import type { BatchCommand, ProgressCommand, StateCommand, TimerCommand } from './commands.ts'
import type { PartitionPlace, TopicPlace } from './places.ts'
import { isShareable } from './write-checks.ts'

/** Records of one partition on their way into one batch. */
export class BatchDraft {
  readonly topic: TopicPlace
  readonly partition: PartitionPlace
  readonly producer: ProducerSequence | undefined
  readonly builder: RecordBatchBuilder
  /** Messages as they were given, for readers that keep up: those before the first raw record or unfrozen message. */
  readonly messages: Message[] = []
  readonly timesMs: number[] = []
  /** Size of the batch once it is sealed, before compression. */
  sealedBytes = 0
  /** Where it stands in the log, once it is committed. */
  baseOffset = -1
  /** Where it ended before the commit that is being staged; `undefined`: that commit has not touched it. */
  #mark: BatchMark | undefined

  constructor(
    topic: TopicPlace,
    partition: PartitionPlace,
    producer: ProducerSequence | undefined,
    pool: BatchBufferPool,
  ) {
    this.topic = topic
    this.partition = partition
    this.producer = producer
    this.builder = new RecordBatchBuilder({ pool, recordBytesMax: topic.config.recordBytesMax })
  }

  addMessage(message: Message, nowMs: number): number {
    const bytes = this.builder.appendMessage(message, nowMs)
    if (this.messages.length === this.timesMs.length && isShareable(message)) this.messages.push(message)
    this.timesMs.push(nowMs)
    return bytes
  }

  addRecord(record: RecordInput): number {
    const bytes = this.builder.appendRaw(record)
    this.timesMs.push(record.timestampMs)
    return bytes
  }

  /** Notes, once for each commit, where it ends: at a mistake further on the whole commit is taken back. */
  begin(): void {
    this.#mark ??= this.builder.mark()
  }

  /** The commit is staged as a whole. */
  keep(): void {
    this.#mark = undefined
  }

  /** Takes back what was added since {@link begin}. */
  rewind(): void {
    const mark = this.#mark
    if (mark === undefined) return
    this.#mark = undefined
    this.builder.rewind(mark)
    this.timesMs.length = mark.recordCount
    this.messages.length = Math.min(this.messages.length, mark.recordCount)
  }

  seal(): BatchCommand {
    const { recordCount, maxTimestampMs } = this.builder
    this.sealedBytes = this.builder.batchBytes
    const bytes = this.builder.seal({ compression: this.topic.config.compression, crc: false })
    const command = { partitionId: this.partition.id, bytes, recordCount, timeMaxMs: maxTimestampMs }
    if (this.producer === undefined) return command
    const { producerId, epoch, sequence } = this.producer
    return { ...command, producer: { producerId, epoch, sequence } }
  }
}

/** An event in its final bytes. */
export interface EventDraft {
  readonly identity: string
  readonly type: string
  readonly tags: readonly string[]
  readonly bytes: Buffer
}

export interface AppendDraft {
  readonly stream: string
  readonly expected: ExpectedVersion
  readonly events: readonly EventDraft[]
  readonly condition: { readonly query: EventQuery; readonly after: number } | undefined
  readonly refusesRepeated: boolean
}

/** Place of one record of a commit: a draft and the number of the record in it. */
export interface Slot {
  readonly draft: BatchDraft
  readonly index: number
}

/** One call of `commit` that waits for its answer. */
export interface PendingCommit {
  /** As it was given: staged anew should it have to stand alone. */
  readonly batch: WriteBatch
  readonly slots: readonly Slot[]
  readonly appendCount: number
  readonly resolve: (outcome: CommitOutcome) => void
  readonly reject: (error: Error) => void
}

/**
 * What is committed or refused together. Commits that nothing which is stored can refuse share one unit; each that can be has its
 * own, so that a conflict concerns nobody else. Should a shared one be refused all the same, its commits are made one by one.
 */
export class UnitDraft {
  readonly shared: boolean
  readonly drafts: BatchDraft[] = []
  readonly appends: AppendDraft[] = []
  readonly state: StateCommand[] = []
  readonly timers: TimerCommand[] = []
  readonly progress: ProgressCommand[] = []
  readonly commits: PendingCommit[] = []
  /** Bytes taken from the budget, given back when the unit is done. */
  bytes = 0
  readonly #open = new Map<number, BatchDraft>()

  constructor(shared: boolean) {
    this.shared = shared
  }

  /** The batch that takes the next record of a partition. A producer's batch is never shared. */
  draftFor(
    topic: TopicPlace,
    partition: PartitionPlace,
    producer: ProducerSequence | undefined,
    pool: BatchBufferPool,
  ): BatchDraft {
    const open = producer === undefined ? this.#open.get(partition.id) : undefined
    const bytesMax = topic.batchBytesMax ?? batchBytesMax
    if (open !== undefined && open.builder.batchBytes < bytesMax) return open
    const draft = new BatchDraft(topic, partition, producer, pool)
    this.drafts.push(draft)
    if (producer === undefined) this.#open.set(partition.id, draft)
    // What follows stands behind the producer's batch, not in the one before it.
    else this.#open.delete(partition.id)
    return draft
  }

  /** Forgets drafts that hold nothing after a commit was taken back. */
  dropEmptyDrafts(): void {
    for (let i = this.drafts.length - 1; i >= 0; i--) {
      const draft = this.drafts[i] as BatchDraft
      if (draft.builder.recordCount > 0) continue
      this.drafts.splice(i, 1)
      if (this.#open.get(draft.partition.id) === draft) this.#open.delete(draft.partition.id)
    }
  }
}

/** A batch is closed when it reaches this size: small enough to be read at once, large enough that its frame is nothing. */
const batchBytesMax = 512 * 1024

/** Where the records of one commit landed, after their drafts were told their base offsets. */
export function positionsOf(slots: readonly Slot[]): readonly TopicPosition[] {
  return slots.map(({ draft, index }) => ({
    topic: draft.partition.topic,
    partition: draft.partition.number,
    offset: draft.baseOffset + index,
  }))
}
