import type { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import type { TopicConfig } from '../../engine/index.ts'
import { MillraceError } from '../../kernel/index.ts'
import { KeyCompaction, RecordBatchDamagedError } from '../../record/index.ts'
import { FileDamagedError } from '../errors.ts'
import { damageOf } from './damaged-row.ts'
import { deletedTopicPrefix, type MaintenanceTotals, type PartitionRow } from './protocol.ts'
import { findPartition, raiseMarks } from './stored-partition.ts'
import { selectTopic, storedTopic } from './stored-topic.ts'
import { removeDeletedTopics } from './topic-removal.ts'
import { readPartitions } from './topic-writer.ts'

type Transaction = <T>(work: () => T) => T

/** Keys held in memory at once; a partition with more of them is compacted in several rounds. */
const compactionKeysMax = 500_000

interface Job {
  readonly db: DatabaseSync
  readonly nowMs: number
  readonly transaction: Transaction
  readonly keysMax: number
  readonly ends: ReadonlyMap<number, number> | undefined
  readonly totals: MaintenanceTotals
}

/**
 * Removes deleted topics, and applies retention and compaction to every other. It yields after each small step, so that
 * commits are never held up for long: whoever drives it runs a few steps, lets others write, and comes back.
 */
export function* maintenanceOf(
  db: DatabaseSync,
  nowMs: number,
  transaction: Transaction,
  {
    keysMax = compactionKeysMax,
    ends,
  }: {
    readonly keysMax?: number
    /** By partition id: compaction looks at what stands before. Default: at everything. */
    readonly ends?: ReadonlyMap<number, number>
  } = {},
): Generator<void, MaintenanceTotals> {
  const totals: MaintenanceTotals = {
    batchesDeleted: 0,
    bytesDeleted: 0,
    recordsCompacted: 0,
    starts: [],
    rewritten: [],
    damaged: [],
  }
  const job: Job = { db, nowMs, transaction, keysMax, ends, totals }
  yield* unlessDamaged(totals, 'deleted topics', () => removeDeletedTopics(db, transaction, totals))
  for (const row of db.prepare(selectTopic).all()) {
    const name = String(row['name'])
    // Deleted since: the next maintenance removes it.
    if (name.startsWith(deletedTopicPrefix)) continue
    yield* unlessDamaged(totals, `topic ${name}`, () => lookAfter(job, row))
  }
  return totals
}

/** Damage in one place must not keep the others from being looked after. */
function* unlessDamaged(totals: MaintenanceTotals, place: string, work: () => Generator<void>): Generator<void> {
  try {
    yield* work()
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    const finding = error instanceof FileDamagedError ? error.details.place : error.message
    totals.damaged.push(`${place} (${finding})`)
  }
}

function* lookAfter(job: Job, row: Record<string, unknown>): Generator<void> {
  const { id, name, config: text } = storedTopic(job.db, row)
  const config = JSON.parse(text) as Required<TopicConfig>
  for (const place of readPartitions(job.db, id)) {
    yield* unlessDamaged(job.totals, `partition ${place.number} of topic ${name}`, function* () {
      if (config.cleanup !== 'compact') yield* retain(job, place, config)
      if (config.cleanup !== 'delete') yield* compact(job, place, config)
    })
  }
}

/** Deletes the oldest batches that are too old or beyond the bound of bytes; whole batches, as Kafka whole segments. */
function* retain(job: Job, place: PartitionRow, config: Required<TopicConfig>): Generator<void> {
  const { db, nowMs, totals } = job
  const { retentionMs, retentionBytes } = config
  if (retentionMs === null && retentionBytes === null) return
  const held = db.prepare('SELECT coalesce(sum(byte_count), 0) AS n FROM batch WHERE partition_id = ?').get(place.id)
  let bytesHeld = Number(held?.['n'])
  // What is deleted cannot be asked any more: the index, which is in order, and the batch must say the same of it.
  const oldest = db.prepare(`SELECT listed.id, listed.last_offset, listed.time_max_ms, listed.byte_count,
      stored.partition_id = listed.partition_id AND stored.last_offset = listed.last_offset
        AND stored.time_max_ms = listed.time_max_ms AND stored.byte_count = listed.byte_count AS is_same
    FROM batch AS listed INDEXED BY batch_by_offset LEFT JOIN batch AS stored ON stored.id = listed.id
    WHERE listed.partition_id = ? ORDER BY listed.base_offset LIMIT 64`)
  const step = (): boolean => {
    let start = -1
    const rows = oldest.all(place.id)
    let gone = 0
    for (const row of rows) {
      const tooOld = retentionMs !== null && Number(row['time_max_ms']) < nowMs - retentionMs
      const tooMuch = retentionBytes !== null && bytesHeld > retentionBytes
      if (!tooOld && !tooMuch) break
      if (row['is_same'] !== 1) throw damageOf(db, 'the index of record batches and what it lists differ')
      db.prepare('DELETE FROM batch WHERE id = ?').run(Number(row['id']))
      start = Number(row['last_offset']) + 1
      bytesHeld -= Number(row['byte_count'])
      totals.bytesDeleted += Number(row['byte_count'])
      gone++
    }
    if (start < 0) return false
    totals.batchesDeleted += gone
    raiseMarks(db, place.id, { startOffset: start, endFloor: start })
    totals.starts.push({ partitionId: place.id, earliest: start })
    return gone === rows.length
  }
  while (job.transaction(step)) yield
}

/** A batch that may be compacted. */
interface Candidate {
  readonly baseOffset: number
  readonly endOffset: number
}

/**
 * Compaction of one partition: of each key only the last record stays, and tombstones go after their retention.
 *
 * What was compacted before holds each key once. So it is enough to note the last offset of every key in the batches since
 * then, as many keys as memory may hold, and to rewrite the batches up to there that hold older records of these keys; then
 * the next ones. What is rewritten keeps its offsets, with gaps.
 */
function* compact(job: Job, place: PartitionRow, config: Required<TopicConfig>): Generator<void> {
  const { db, keysMax } = job
  const compactedTo = findPartition(db, place.id)?.compactedTo ?? place.latest
  if (compactedTo >= place.latest) return
  const batches = compactable(job, place, config)
  let from = batches.findIndex(({ endOffset }) => endOffset > compactedTo)
  let tombstonesKept = 0
  while (from >= 0 && from < batches.length) {
    const compaction = new KeyCompaction(job.nowMs - config.tombstoneRetentionMs)
    let to = from
    for (; to < batches.length && (to === from || compaction.keyCount < keysMax); to++) {
      const bytes = bytesAt(db, place.id, batches[to] as Candidate)
      if (bytes !== undefined) compaction.note(bytes)
      yield
    }
    const done = batches.slice(0, to)
    for (const { baseOffset } of done) {
      job.transaction(() => rewrite(db, place, baseOffset, compaction, job.totals))
      yield
    }
    tombstonesKept += compaction.tombstonesKept
    // Tombstones that stay must be looked at again even if nothing is published any more.
    if (tombstonesKept === 0) {
      const end = (done.at(-1) as Candidate).endOffset
      job.transaction(() => raiseMarks(db, place.id, { compactedTo: end }))
    }
    from = to
  }
}

/** The batches before the first one that is too young to be compacted, or not yet known to readers. */
function compactable(job: Job, place: PartitionRow, config: Required<TopicConfig>): readonly Candidate[] {
  const rows = job.db
    .prepare('SELECT base_offset, last_offset, time_max_ms FROM batch WHERE partition_id = ? ORDER BY base_offset')
    .all(place.id)
  const end = job.ends === undefined ? Number.POSITIVE_INFINITY : (job.ends.get(place.id) ?? 0)
  const first = rows.findIndex(
    (row) => Number(row['time_max_ms']) > job.nowMs - config.compactionLagMs || Number(row['last_offset']) >= end,
  )
  return (first < 0 ? rows : rows.slice(0, first)).map((row) => ({
    baseOffset: Number(row['base_offset']),
    endOffset: Number(row['last_offset']) + 1,
  }))
}

function rewrite(
  db: DatabaseSync,
  place: PartitionRow,
  baseOffset: number,
  compaction: KeyCompaction,
  totals: MaintenanceTotals,
): void {
  const row = batchAt(db, place.id, baseOffset)
  if (row === undefined) return
  const id = Number(row['id'])
  const byteCount = Number(row['byte_count'])
  const { bytes: kept, droppedCount } = compaction.compact(bytesOf(row))
  if (droppedCount === 0) return
  totals.recordsCompacted += droppedCount
  totals.rewritten.push(place.id)
  if (kept === null) {
    db.prepare('DELETE FROM batch WHERE id = ?').run(id)
    // Whoever verifies the file is told where a batch may be missing.
    raiseMarks(db, place.id, { endFloor: place.latest, gapsTo: Number(row['last_offset']) + 1 })
    totals.batchesDeleted++
    totals.bytesDeleted += byteCount
  } else {
    db.prepare('UPDATE batch SET bytes = ?, byte_count = ?, checksum = ? WHERE id = ?').run(
      kept,
      kept.byteLength,
      crc32(kept),
      id,
    )
    totals.bytesDeleted += byteCount - kept.byteLength
  }
}

function bytesAt(db: DatabaseSync, partitionId: number, { baseOffset }: Candidate): Uint8Array | undefined {
  const row = batchAt(db, partitionId, baseOffset)
  return row === undefined ? undefined : bytesOf(row)
}

/** Looked up by its id, so that it tells itself of which partition it is, and not the index. */
function batchAt(db: DatabaseSync, partitionId: number, baseOffset: number): Record<string, unknown> | undefined {
  const row = db
    .prepare(`SELECT id, partition_id, base_offset, last_offset, bytes, byte_count FROM batch
      WHERE id = (SELECT id FROM batch WHERE partition_id = ? AND base_offset = ?)`)
    .get(partitionId, baseOffset)
  const isListed = row === undefined || (row['partition_id'] === partitionId && row['base_offset'] === baseOffset)
  if (!isListed) throw damageOf(db, `the record batch at offset ${baseOffset} of partition id ${partitionId} (order)`)
  return row
}

function bytesOf({ bytes }: Record<string, unknown>): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes
  throw new RecordBatchDamagedError('truncated', 0, 'it has no bytes')
}
