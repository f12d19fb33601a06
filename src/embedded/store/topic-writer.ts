import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import type { BatchCommand, Refusal } from '../../committing/index.ts'
import type { ProducerSequence, TopicConfig } from '../../engine/index.ts'
import { setBaseOffset, setProducer, writeCrc } from '../../record/index.ts'
import { deletedTopicPrefix, type PartitionRow, type TopicRow } from './protocol.ts'

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
  readonly #epochs = new Map<number, number>()
  readonly #producers = new Map<string, ProducerState>()
  readonly #insertBatch: StatementSync
  readonly #selectEnd: StatementSync
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
    this.#selectEnd = db.prepare(`
      SELECT max(end_floor, coalesce((SELECT last_offset + 1 FROM batch WHERE partition_id = ?1
        ORDER BY base_offset DESC LIMIT 1), 0)) AS latest FROM partition WHERE id = ?1`)
    this.#selectProducer = db.prepare(
      'SELECT epoch, recent FROM producer_partition WHERE producer_id = ? AND partition_id = ?',
    )
    this.#selectEpoch = db.prepare('SELECT epoch FROM producer WHERE id = ?')
    this.#upsertProducer = db.prepare(`
      INSERT INTO producer_partition (producer_id, partition_id, epoch, recent) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET epoch = excluded.epoch, recent = excluded.recent`)
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
    return baseOffset
  }

  /** Offset that the next record of a partition gets. */
  endOf(partitionId: number): number {
    let end = this.#ends.get(partitionId)
    if (end === undefined) {
      end = Number(this.#selectEnd.get(partitionId)?.['latest'] ?? 0)
      this.#ends.set(partitionId, end)
    }
    return end
  }

  createTopic(name: string, config: Required<TopicConfig>): TopicRow {
    const { lastInsertRowid } = this.#db
      .prepare('INSERT INTO topic (name, config) VALUES (?, ?)')
      .run(name, JSON.stringify(config))
    const id = Number(lastInsertRowid)
    return { id, name, config, partitions: this.#addPartitions(id, 0, config.partitions) }
  }

  alterTopic(topicId: number, config: Required<TopicConfig>): TopicRow {
    const name = String(this.#db.prepare('SELECT name FROM topic WHERE id = ?').get(topicId)?.['name'])
    this.#db.prepare('UPDATE topic SET config = ? WHERE id = ?').run(JSON.stringify(config), topicId)
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
    this.#db.prepare('UPDATE topic SET name = ? WHERE id = ?').run(`${deletedTopicPrefix}${topicId}`, topicId)
  }

  registerProducer(name: string): { producerId: number; epoch: number } {
    this.#retireProducer(name)
    const row = this.#db
      .prepare(`INSERT INTO producer (name, epoch) VALUES (?, 0)
        ON CONFLICT (name) DO UPDATE SET epoch = epoch + 1 RETURNING id, epoch`)
      .get(name)
    const producerId = Number(row?.['id'])
    const epoch = Number(row?.['epoch'])
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
    const insert = this.#db.prepare(
      'INSERT INTO partition (topic_id, number, start_offset, end_floor, compacted_to, gaps_to) VALUES (?, ?, 0, 0, 0, 0)',
    )
    const rows: PartitionRow[] = []
    for (let number = from; number < to; number++) {
      const { lastInsertRowid } = insert.run(topicId, number)
      rows.push({ id: Number(lastInsertRowid), number, earliest: 0, latest: 0 })
    }
    return rows
  }

  #epochOf(producerId: number): number {
    let epoch = this.#epochs.get(producerId)
    if (epoch === undefined) {
      epoch = Number(this.#selectEpoch.get(producerId)?.['epoch'] ?? unregistered)
      this.#epochs.set(producerId, epoch)
    }
    return epoch
  }

  /** Takes the id of a producer out of use whose epochs are used up: ids are never given again, so it is unknown for ever. */
  #retireProducer(name: string): void {
    const spent = this.#db.prepare('DELETE FROM producer WHERE name = ? AND epoch >= ? RETURNING id')
    const producerId = spent.get(name, producerEpochMax)?.['id']
    if (producerId === undefined) return
    this.#db.prepare('DELETE FROM producer_partition WHERE producer_id = ?').run(Number(producerId))
    this.#epochs.delete(Number(producerId))
    this.#producers.clear()
  }

  #producerState(producerId: number, partitionId: number): ProducerState | undefined {
    const key = producerKey(producerId, partitionId)
    let state = this.#producers.get(key)
    if (state === undefined) {
      const row = this.#selectProducer.get(producerId, partitionId)
      if (row === undefined) return undefined
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
    this.#upsertProducer.run(producerId, partitionId, epoch, JSON.stringify(recent))
  }
}

/** Partitions of a topic in order of their number, with their extents. */
export function readPartitions(db: DatabaseSync, topicId: number): PartitionRow[] {
  return db
    .prepare(`
      SELECT id, number, start_offset, max(end_floor, coalesce((SELECT last_offset + 1 FROM batch
        WHERE partition_id = partition.id ORDER BY base_offset DESC LIMIT 1), 0)) AS latest
      FROM partition WHERE topic_id = ? ORDER BY number`)
    .all(topicId)
    .map((row) => ({
      id: Number(row['id']),
      number: Number(row['number']),
      earliest: Number(row['start_offset']),
      latest: Number(row['latest']),
    }))
}
