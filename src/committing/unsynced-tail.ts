import type { Message } from '../message/index.ts'
import type { MessageRecord } from '../record/index.ts'

/** A batch on its way to the disk. More may still be added to it. */
export interface UnsyncedBatch {
  /** Fewer than there are times: what comes next cannot be handed out as it is. They never become fewer than were handed out. */
  readonly messages: readonly Message[]
  readonly timesMs: readonly number[]
}

/**
 * The end of one partition that has not reached the disk: what was published and is not acknowledged, for handlers that need
 * not wait for it.
 *
 * What nothing can refuse, or is expected to, has its offset as soon as it is staged: it stands behind what was staged before it.
 * So the tail can be read up to the first batch of which nobody knows. If it is taken back after all, because the disk is full or a
 * claim was lost, whatever rests on it is refused by the writer, which counts what is taken back as it is counted here.
 */
export class UnsyncedTail {
  /** In the order in which they were staged; with each, whether it may be read. */
  readonly #batches = new Map<UnsyncedBatch, boolean>()
  /** How far it was read. */
  #seenEnd = 0
  #rollbackCount = 0

  /** How often the writer took back what was on its way to this partition. */
  get rollbackCount(): number {
    return this.#rollbackCount
  }

  /** A commit added to a batch; `isReadable`: nothing can refuse it, or is expected to. */
  staged(batch: UnsyncedBatch, isReadable: boolean): void {
    if (!this.#batches.has(batch)) this.#batches.set(batch, isReadable)
  }

  /** It stands in the log, or was refused. */
  settled(batch: UnsyncedBatch): void {
    this.#batches.delete(batch)
  }

  /** A batch will never stand in the log: whatever was read here is void. */
  rolledBack(): void {
    this.#rollbackCount++
    this.#seenEnd = 0
  }

  /** How far it was read, if that is beyond `latest`, the end of what is acknowledged. */
  seenBeyond(latest: number): number | undefined {
    return this.#seenEnd > latest ? this.#seenEnd : undefined
  }

  /** Where it ends for those who read it, if `latest` is the end of what is acknowledged. */
  endAfter(latest: number): number {
    let end = latest
    for (const { messages, timesMs } of this.#readable()) {
      end += messages.length
      if (messages.length !== timesMs.length) break
    }
    return end
  }

  /** Records from `offset` on, which is not before `latest`; batches are added until `recordCountMax` is passed. */
  read(latest: number, offset: number, recordCountMax: number): readonly MessageRecord[] {
    const records: MessageRecord[] = []
    let base = latest
    for (const { messages, timesMs } of this.#readable()) {
      if (records.length >= recordCountMax) break
      for (let i = Math.max(0, offset - base); i < messages.length; i++) {
        const message = messages[i] as Message
        const timestampMs = timesMs[i] as number
        records.push({ kind: 'message', offset: base + i, timestampMs, key: message.partitionkey ?? null, message })
      }
      base += messages.length
      if (messages.length !== timesMs.length) break
    }
    const last = records.at(-1)
    if (last !== undefined) this.#seenEnd = Math.max(this.#seenEnd, last.offset + 1)
    return records
  }

  *#readable(): Iterable<UnsyncedBatch> {
    for (const [batch, isReadable] of this.#batches) {
      if (!isReadable) return
      yield batch
    }
  }
}
