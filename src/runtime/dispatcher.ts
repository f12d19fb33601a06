import type { ReadResult } from '../engine/index.ts'
import { type AnyDefinition, isCurrent, type Message } from '../message/index.ts'
import type { RecordOutcome } from '../record/index.ts'
import { channels } from '../telemetry/index.ts'
import { nextTurn } from './condition.ts'
import type { Lanes } from './lanes.ts'
import { keyOfUndecodable, keyOfUnreadable, orderingKeysOf } from './ordering-key.ts'
import type { SharedPace } from './pace.ts'
import type { PartitionReader } from './partition-reader.ts'
import { unreadableRecord } from './record-again.ts'
import type { Runner } from './runner.ts'
import type { SubscriptionParts } from './subscription-parts.ts'
import { nobody, Task } from './task.ts'

/** So many records, or records of so many keys, are looked up together and handled before others have a turn. */
const chunkRecords = 256
const chunkKeys = 1024

/** Turns records into tasks, reads the states that they need in one go, and hands them to the lanes in order. */
export class Dispatcher {
  readonly #parts: SubscriptionParts
  readonly #lanes: Lanes
  readonly #runner: Runner
  readonly #definitions: ReadonlyMap<string, AnyDefinition>
  readonly #pace: SharedPace | undefined
  readonly #ownPartitionCount: () => number

  constructor(
    parts: SubscriptionParts,
    lanes: Lanes,
    runner: Runner,
    options: {
      readonly definitions: ReadonlyMap<string, AnyDefinition>
      /** Absent: as fast as it can. */
      readonly pace: SharedPace | undefined
      readonly ownPartitionCount: () => number
    },
  ) {
    this.#parts = parts
    this.#lanes = lanes
    this.#runner = runner
    this.#definitions = options.definitions
    this.#pace = options.pace
    this.#ownPartitionCount = options.ownPartitionCount
  }

  /** Resolves when all that was read is handed on, or the reader was halted. */
  async dispatch(reader: PartitionReader, result: ReadResult): Promise<void> {
    const { committer, keptAttempts, group } = this.#parts
    const records = result.records
    if (channels.consumed.hasSubscribers) {
      channels.consumed.publish({
        handler: group,
        topic: reader.topic,
        partition: reader.partition,
        recordCount: records.length,
        nextOffset: result.nextOffset,
        latest: result.latest,
      })
    }
    let position = reader.readOffset
    let end = 0
    while (end < records.length) {
      const chunk: Task[] = []
      const pieceMax = this.#pace?.pieceMax(this.#ownPartitionCount()) ?? chunkRecords
      const recordsEnd = Math.min(records.length, end + chunkRecords, end + pieceMax)
      for (let keyCount = 0; end < recordsEnd && keyCount < chunkKeys; end++) {
        const record = records[end] as RecordOutcome
        const task = this.#taskOf(reader, record, position)
        if (task === undefined) continue
        keptAttempts.resume(task)
        chunk.push(task)
        keyCount += task.keys?.length ?? 1
        position = record.offset + 1
      }
      if (chunk.length > 0) {
        if (this.#pace !== undefined) {
          await this.#pace.take(chunk.length, this.#ownPartitionCount(), reader.signal)
          if (!reader.isLive) return
        }
        await this.#preload(reader, chunk)
        if (!reader.isLive || !(await this.#submit(reader, chunk))) return
      }
      if (end < records.length) {
        if (chunk.length > 0) await nextTurn()
        if (!reader.isLive) return
      }
    }
    if (position < result.nextOffset) {
      committer.open.addProgress(reader, position, result.nextOffset)
      committer.open.skippedCount += result.nextOffset - position
    }
    committer.flushSoon()
  }

  /** `undefined`: nobody wants the record. */
  #taskOf(reader: PartitionReader, record: RecordOutcome, from: number): Task | undefined {
    const { offset, timestampMs } = record
    // After a restart some of what is read again was done before, out of order.
    if (offset < reader.committed.end && reader.committed.has(offset)) return undefined
    const { handler, group } = this.#parts
    if (record.kind === 'undecodable') {
      // It keeps its place in the order of its key: that can be read even if nothing else can.
      const task = new Task(
        'record',
        reader,
        keyOfUndecodable(handler, group, record),
        nobody,
        from,
        offset,
        timestampMs,
      )
      task.unreadable = unreadableRecord(record)
      return task
    }
    const original = record.message
    // No value and no event: a tombstone alone.
    if (original === undefined) return undefined
    const definition = this.#definitions.get(original.type)
    if (definition === undefined) return undefined
    try {
      const read = isCurrent(definition, original) ? original : definition.read(original)
      const keys = orderingKeysOf(handler, group, read)
      if (keys === undefined && handler.countsByKey) return undefined
      const key = typeof keys === 'object' ? undefined : keys
      const task =
        read === original
          ? new Task('record', reader, key, read, from, offset, timestampMs)
          : new Task('record', reader, key, read, from, offset, timestampMs, undefined, undefined, undefined, original)
      if (typeof keys === 'object') task.keys = keys
      return task
    } catch (error) {
      // It keeps its place in the order of its key, if the key can be told.
      const task = new Task(
        'record',
        reader,
        keyOfUnreadable(handler, group, original),
        original,
        from,
        offset,
        timestampMs,
      )
      task.unreadable = { error }
      return task
    }
  }

  async #preload({ claim }: PartitionReader, chunk: readonly Task[]): Promise<void> {
    const { handler, cache, dedupe } = this.#parts
    const loads: Promise<void>[] = []
    if (handler.state !== undefined) {
      cache.trim()
      const keys = new Set<string>()
      for (const task of chunk) {
        if (task.key !== undefined && !cache.has(task.key, claim)) keys.add(task.key)
        else if (task.keys !== undefined) for (const key of task.keys) if (!cache.has(key, claim)) keys.add(key)
      }
      if (keys.size > 0) loads.push(cache.load([...keys], claim))
    }
    if (dedupe !== undefined) {
      const messages: Message[] = []
      for (const task of chunk) if (task.hasMessage) messages.push(task.message)
      if (messages.length > 0) loads.push(dedupe.load(messages, claim))
    }
    if (loads.length > 0) await Promise.all(loads)
  }

  /** `false`: the reader was halted. */
  async #submit(reader: PartitionReader, chunk: readonly Task[]): Promise<boolean> {
    const { committer } = this.#parts
    const lanes = this.#lanes
    const runner = this.#runner
    runner.isBulk = true
    for (const task of chunk) {
      while (!lanes.hasRoom) {
        runner.isBulk = false
        committer.flushSoon({ isFull: true })
        await lanes.changed.changed()
        if (!reader.isLive) return false
        runner.isBulk = true
      }
      lanes.submit(task)
    }
    runner.isBulk = false
    committer.flushSoon()
    return true
  }
}
