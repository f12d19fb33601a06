import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import type { BatchCommand, Refusal } from '../../committing/index.ts'
import type { ProducerSequence, TopicConfig } from '../../engine/index.ts'
import { InvariantError } from '../../kernel/index.ts'
import { setBaseOffset, setProducer, writeCrc } from '../../record/index.ts'
import { intactRow } from './damaged-row.ts'
import { deletedTopicPrefix, type PartitionRow, type TopicRow } from './protocol.ts'
import { checksumOf } from './row-checksum.ts'
import { addPartition, findPartition, raiseMarks, storedPartitions } from './stored-partition.ts'
import { type StoredTopic, selectTopic, storedTopic, writeTopic } from './stored-topic.ts'

/**
 * The last epoch that a producer's id is used with, as in Kafka: epochs are 16-bit and the greatest is kept back. The
 * registration after it gets a new id.
 */
export const producerEpochMax = 32_766

/** How many batches an idempotent producer may have in flight and repeat, as in Kafka (max.in.flight.requests 5). */
const producerWindow = 5

interface RecentBatch {
  readonly sequence: number
  readonly count: number
  readonly baseOffset: number
}

interface ProducerState {
  epoch: number
  recent: RecentBatch[]
}

/** Where a batch goes, as found by the check before anything is written. */
export type BatchPlan = { readonly kind: 'write' } | { readonly kind: 'duplicate'; readonly baseOffset: number }

const selectProducer = 'SELECT id, name, epoch, checksum FROM producer'

/** Stands for the epoch of a producer that is not registered. */
const unregistered = -1

/** Sequence numbers are 32-bit and start again at 0 after 2,147,483,647, as in Kafka. */
function sequenceAfter(sequence: number, count: number): number {
  return (sequence + count) % 2 ** 31
}

function producerKey(producerId: number, partitionId: number): string {
  return `${producerId}/${partitionId}`
}

/** Writes record batches and keeps the ends of partitions and the numbering of producers. */
export class TopicWriter {
  readonly #ends = new Map<number, number>()
  /** Partitions that were written to since their ends were noted. */
  readonly #written = new Set<number>()
  readonly #epochs = new Map<number, number>()
  readonly #producers = new Map<string, ProducerState>()
  readonly #insertBatch: StatementSync
  readonly #selectProducer: StatementSync
  readonly #selectEpoch: StatementSync
  readonly #upsertProducer: StatementSync
  readonly #db: DatabaseSync

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#insertBatch = db.prepare(
      `INSERT INTO batch (partition_id, base_offset, last_offset, time_max_ms, byte_count, checksum, bytes)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#selectProducer = db.prepare(
      `SELECT producer_id, partition_id, epoch, recent, checksum FROM producer_partition
        WHERE producer_id = ? AND partition_id = ?`,
    )
    this.#selectEpoch = db.prepare(`${selectProducer} WHERE id = ?`)
    this.#upsertProducer = db.prepare(`
      INSERT INTO producer_partition (producer_id, partition_id, epoch, recent, checksum) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET epoch = excluded.epoch, recent = excluded.recent, checksum = excluded.checksum`)
  }

  /**
   * Looks at a batch before its unit is written: a repeated one is not stored twice, a gap or an old epoch is refused.
   * @param ahead Sequence that each producer will stand at on each partition after the batches before it in the unit.
   */
  check(batch: BatchCommand, ahead: Map<string, number>): BatchPlan | Refusal {
    if (batch.producer === undefined) return { kind: 'write' }
    const { producerId, epoch, sequence } = batch.producer
    const currentEpoch = this.#epochOf(producerId)
    if (currentEpoch === unregistered) return { kind: 'producer-unknown', producerId }
    if (epoch !== currentEpoch) return { kind: 'producer-fenced', producerId, epoch, currentEpoch }
    const state = this.#producerState(producerId, batch.partitionId)
    // The numbering starts anew with each epoch.
    const recent = state?.epoch === epoch ? state.recent : []
    const repeated = recent.find((one) => one.sequence === sequence && one.count === batch.recordCount)
    if (repeated !== undefined) return { kind: 'duplicate', baseOffset: repeated.baseOffset }
    const key = producerKey(producerId, batch.partitionId)
    const last = recent.at(-1)
    const expected = ahead.get(key) ?? (last === undefined ? 0 : sequenceAfter(last.sequence, last.count))
    if (sequence !== expected) {
      return { kind: 'out-of-sequence', producerId, partitionId: batch.partitionId, expected, sequence }
    }
    ahead.set(key, sequenceAfter(sequence, batch.recordCount))
    return { kind: 'write' }
  }

  /** Writes a checked batch and returns its base offset. */
  write(batch: BatchCommand): number {
    const baseOffset = this.endOf(batch.partitionId)
    const { bytes, recordCount } = batch
    setBaseOffset(bytes, baseOffset)
    if (batch.producer !== undefined) {
      setProducer(bytes, {
        id: batch.producer.producerId,
        epoch: batch.producer.epoch,
        baseSequence: batch.producer.sequence,
      })
      this.#remember(batch.partitionId, batch.producer, recordCount, baseOffset)
    }
    writeCrc(bytes)
    const lastOffset = baseOffset + recordCount - 1
    const checksum = crc32(bytes)
    this.#insertBatch.run(batch.partitionId, baseOffset, lastOffset, batch.timeMaxMs, bytes.byteLength, checksum, bytes)
    this.#ends.set(batch.partitionId, lastOffset + 1)
    this.#written.add(batch.partitionId)
    return baseOffset
  }

  /** Offset that the next record of a partition gets. */
  endOf(partitionId: number): number {
    let end = this.#ends.get(partitionId)
    if (end === undefined) {
      end = findPartition(this.#db, partitionId)?.end ?? 0
      this.#ends.set(partitionId, end)
    }
    return end
  }

  get hasEndsToNote(): boolean {
    return this.#written.size > 0
  }

  /** Notes where partitions end that were written to, so that batches which go missing at their ends are missed. */
  noteEnds(): void {
    for (const id of this.#written) raiseMarks(this.#db, id, { endFloor: this.endOf(id) })
    this.#written.clear()
  }

  createTopic(name: string, config: Required<TopicConfig>): TopicRow {
    const text = JSON.stringify(config)
    const { lastInsertRowid } = this.#db.prepare('INSERT INTO topic (name, config) VALUES (?, ?)').run(name, text)
    const id = Number(lastInsertRowid)
    writeTopic(this.#db, { id, name, config: text })
    return { id, name, config, partitions: this.#addPartitions(id, 0, config.partitions) }
  }

  alterTopic(topicId: number, config: Required<TopicConfig>): TopicRow {
    const { name } = this.#topic(topicId)
    writeTopic(this.#db, { id: topicId, name, config: JSON.stringify(config) })
    const present = readPartitions(this.#db, topicId)
    return {
      id: topicId,
      name,
      config,
      partitions: [...present, ...this.#addPartitions(topicId, present.length, config.partitions)],
    }
  }

  /**
   * Marks a topic as deleted, by a name that no topic can have: it is gone for readers, and its name is free. However much
   * it holds, this is one short transaction; maintenance removes what is left of it, see {@link removeDeletedTopics}.
   */
  deleteTopic(topicId: number): void {
    for (const { id } of readPartitions(this.#db, topicId)) this.#ends.delete(id)
    this.#producers.clear()
    this.#db
      .prepare('DELETE FROM progress WHERE partition_id IN (SELECT id FROM partition WHERE topic_id = ?)')
      .run(topicId)
    writeTopic(this.#db, { ...this.#topic(topicId), name: `${deletedTopicPrefix}${topicId}` })
  }

  registerProducer(name: string): { producerId: number; epoch: number } {
    const found = this.#producer(this.#db.prepare(`${selectProducer} WHERE name = ?`).get(name))
    const isSpent = found !== undefined && found.epoch >= producerEpochMax
    if (isSpent) this.#retireProducer(found.producerId)
    const producerId =
      found === undefined || isSpent
        ? Number(this.#db.prepare('INSERT INTO producer (name, epoch) VALUES (?, 0)').run(name).lastInsertRowid)
        : found.producerId
    const epoch = found === undefined || isSpent ? 0 : found.epoch + 1
    this.#db
      .prepare('UPDATE producer SET epoch = ?, checksum = ? WHERE id = ?')
      .run(epoch, checksumOf('producer', producerId, name, epoch), producerId)
    this.#epochs.set(producerId, epoch)
    return { producerId, epoch }
  }

  /** Drops what is cached, after a transaction was rolled back. */
  forget(): void {
    this.#ends.clear()
    this.#epochs.clear()
    this.#producers.clear()
  }

  #addPartitions(topicId: number, from: number, to: number): PartitionRow[] {
    const rows: PartitionRow[] = []
    for (let number = from; number < to; number++) {
      rows.push({ id: addPartition(this.#db, topicId, number).id, number, earliest: 0, latest: 0 })
    }
    return rows
  }

  #epochOf(producerId: number): number {
    let epoch = this.#epochs.get(producerId)
    if (epoch === undefined) {
      epoch = this.#producer(this.#selectEpoch.get(producerId))?.epoch ?? unregistered
      this.#epochs.set(producerId, epoch)
    }
    return epoch
  }

  /** Takes the id of a producer out of use whose epochs are used up: ids are never given again, so it is unknown for ever. */
  #retireProducer(producerId: number): void {
    this.#db.prepare('DELETE FROM producer WHERE id = ?').run(producerId)
    this.#db.prepare('DELETE FROM producer_partition WHERE producer_id = ?').run(producerId)
    this.#epochs.delete(producerId)
    this.#producers.clear()
  }

  #producer(row: Record<string, unknown> | undefined): { producerId: number; epoch: number } | undefined {
    const found = intactRow(this.#db, 'producer', row, ({ id }) => `the producer with the id ${Number(id)}`)
    return found === undefined ? undefined : { producerId: Number(found['id']), epoch: Number(found['epoch']) }
  }

  #topic(id: number): StoredTopic {
    const row = this.#db.prepare(`${selectTopic} WHERE id = ?`).get(id)
    if (row === undefined) throw new InvariantError(`a topic that is changed is there (id ${id})`)
    return storedTopic(this.#db, row)
  }

  #producerState(producerId: number, partitionId: number): ProducerState | undefined {
    const key = producerKey(producerId, partitionId)
    let state = this.#producers.get(key)
    if (state === undefined) {
      const row = this.#selectProducer.get(producerId, partitionId)
      if (row === undefined) return undefined
      intactRow(this.#db, 'producer_partition', row, () => `the numbering of producer ${producerId}`)
      state = { epoch: Number(row['epoch']), recent: JSON.parse(String(row['recent'])) as RecentBatch[] }
      this.#producers.set(key, state)
    }
    return state
  }

  #remember(partitionId: number, producer: ProducerSequence, count: number, baseOffset: number): void {
    const { producerId, epoch, sequence } = producer
    const before = this.#producerState(producerId, partitionId)
    const recent = before?.epoch === epoch ? before.recent.slice(1 - producerWindow) : []
    recent.push({ sequence, count, baseOffset })
    this.#producers.set(producerKey(producerId, partitionId), { epoch, recent })
    const text = JSON.stringify(recent)
    const checksum = checksumOf('producer_partition', producerId, partitionId, epoch, text)
    this.#upsertProducer.run(producerId, partitionId, epoch, text, checksum)
  }
}

/** Partitions of a topic in order of their number, with their extents. @throws FileDamagedError `FILE_DAMAGED` */
export function readPartitions(db: DatabaseSync, topicId: number): PartitionRow[] {
  return storedPartitions(db, topicId).map(({ id, number, startOffset, end }) => {
    return { id, number, earliest: startOffset, latest: end }
  })
}
