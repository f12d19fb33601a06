import type { Message } from '../message/index.ts'
import type { MessageRecord } from '../record/index.ts'

/** Memory that a message takes beside its encoded bytes, roughly: objects are larger than their text. */
const objectFactor = 4
/** Which share of the memory a partition may take that nobody reads: whoever comes later than that finds it in the file. */
const unreadShare = 1 / 32
/** What may be added to a partition until it counts as one that is not read any more: several times what one read answers. */
const unreadBytesMax = 16 * 1024 * 1024

/** What was just published to one partition, in one record batch. */
interface RecentBatch {
  readonly partitionId: number
  readonly baseOffset: number
  readonly messages: readonly Message[]
  readonly timesMs: readonly number[]
  readonly bytes: number
  records: readonly MessageRecord[] | undefined
}

/**
 * The messages published last, as the frozen objects that they are: consumers that keep up read them from here and decode
 * nothing. Bounded in bytes; the oldest batch goes first, and what nobody reads is not kept for long.
 */
export class RecentMessages {
  readonly #bytesMax: number
  readonly #byPartition = new Map<number, RecentBatch[]>()
  readonly #byAge: RecentBatch[] = []
  /** What was added to a partition since it was read last, in bytes. */
  readonly #unread = new Map<number, number>()
  /** Partitions that are read. */
  readonly #followed = new Set<number>()
  #ageHead = 0
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** @param isAwaited Whether somebody waits for them. */
  add(
    partitionId: number,
    baseOffset: number,
    messages: readonly Message[],
    timesMs: readonly number[],
    { encodedBytes, isAwaited }: { readonly encodedBytes: number; readonly isAwaited: boolean },
  ): void {
    const bytes = encodedBytes * objectFactor
    if (isAwaited) this.noteRead(partitionId)
    const unread = (this.#unread.get(partitionId) ?? 0) + (isAwaited ? 0 : bytes)
    this.#unread.set(partitionId, unread)
    if (this.#followed.has(partitionId) && unread > unreadBytesMax) this.#followed.delete(partitionId)
    const isKept = this.#followed.has(partitionId) || unread <= this.#bytesMax * unreadShare
    if (bytes > this.#bytesMax || !isKept) {
      this.#forget(partitionId)
      return
    }
    const batch: RecentBatch = { partitionId, baseOffset, messages, timesMs, bytes, records: undefined }
    let batches = this.#byPartition.get(partitionId)
    if (batches === undefined) {
      batches = []
      this.#byPartition.set(partitionId, batches)
    }
    const last = batches.at(-1)
    // A hole would be read as "nothing there": what came before it is of no use any more.
    if (last !== undefined && last.baseOffset + last.messages.length !== baseOffset) this.#empty(batches)
    batches.push(batch)
    this.#byAge.push(batch)
    this.#bytes += bytes
    while (this.#bytes > this.#bytesMax) this.#evictOldest()
  }

  /** Records from `offset` on, or undefined if the first of them is not here. Batches are added until `bytesMax` is passed. */
  read(partitionId: number, offset: number, bytesMax: number): readonly MessageRecord[] | undefined {
    this.noteRead(partitionId)
    const batches = this.#byPartition.get(partitionId)
    const first = batches?.[0]
    if (batches === undefined || first === undefined || offset < first.baseOffset) return undefined
    let index = batches.length - 1
    while ((batches[index] as RecentBatch).baseOffset > offset) index--
    const start = batches[index] as RecentBatch
    const head = recordsOf(start)
    const records = offset === start.baseOffset ? head : head.slice(offset - start.baseOffset)
    let bytes = start.bytes / objectFactor
    if (bytes >= bytesMax || index + 1 === batches.length) return records
    const joined = records.slice()
    for (let next = batches[++index]; next !== undefined && bytes < bytesMax; next = batches[++index]) {
      for (const record of recordsOf(next)) joined.push(record)
      bytes += next.bytes / objectFactor
    }
    return joined
  }

  /** Somebody read of the partition, whether from here or not. */
  noteRead(partitionId: number): void {
    this.#unread.delete(partitionId)
    this.#followed.add(partitionId)
  }

  /** Forgets a partition: it was rewritten, truncated or deleted, or something was appended that is not kept here. */
  drop(partitionId: number): void {
    this.#unread.delete(partitionId)
    this.#followed.delete(partitionId)
    this.#forget(partitionId)
  }

  #forget(partitionId: number): void {
    const batches = this.#byPartition.get(partitionId)
    if (batches === undefined) return
    this.#byPartition.delete(partitionId)
    this.#empty(batches)
  }

  #empty(batches: RecentBatch[]): void {
    if (batches.length === 0) return
    for (const batch of batches) this.#bytes -= batch.bytes
    const gone = new Set(batches)
    batches.length = 0
    const rest = this.#byAge.slice(this.#ageHead).filter((batch) => !gone.has(batch))
    this.#byAge.length = 0
    this.#ageHead = 0
    for (const batch of rest) this.#byAge.push(batch)
  }

  #evictOldest(): void {
    const oldest = this.#byAge[this.#ageHead] as RecentBatch
    this.#ageHead++
    if (this.#ageHead > 1024) {
      this.#byAge.splice(0, this.#ageHead)
      this.#ageHead = 0
    }
    this.#bytes -= oldest.bytes
    // Ages rise within a partition, so the oldest of all is the first of its partition.
    this.#byPartition.get(oldest.partitionId)?.shift()
  }
}

/** Made when the first consumer asks, then shared by all of them. */
function recordsOf(batch: RecentBatch): readonly MessageRecord[] {
  batch.records ??= batch.messages.map(
    (message, i): MessageRecord => ({
      kind: 'message',
      offset: batch.baseOffset + i,
      timestampMs: batch.timesMs[i] as number,
      key: message.partitionkey ?? null,
      message,
    }),
  )
  return batch.records
}
