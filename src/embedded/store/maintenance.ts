import type { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { CompactionSchedule } from '../../committing/index.ts'
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
  readonly schedule: CompactionSchedule
  readonly onlyDue: boolean
  /** Ids of the partitions that compact. */
  readonly compacting: Set<number>
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
    schedule = new CompactionSchedule(),
    onlyDue = false,
  }: {
    readonly keysMax?: number
    /** By partition id: compaction looks at what stands before. Default: at everything. */
    readonly ends?: ReadonlyMap<number, number>
    /** What is known of earlier compactions. Default: nothing. */
    readonly schedule?: CompactionSchedule
    /** Whether to compact only what is worth it. Default: all that may be compacted. */
    readonly onlyDue?: boolean
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
  const compacting = new Set<number>()
  const job: Job = { db, nowMs, transaction, keysMax, ends, schedule, onlyDue, compacting, totals }
  yield* unlessDamaged(totals, 'deleted topics', () => removeDeletedTopics(db, transaction, totals))
  for (const row of db.prepare(selectTopic).all()) {
    const name = String(row['name'])
    // Deleted since: the next maintenance removes it.
    if (name.startsWith(deletedTopicPrefix)) continue
    yield* unlessDamaged(totals, `topic ${name}`, () => lookAfter(job, row))
  }
  schedule.keepOnly(job.compacting)
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
      if (config.cleanup === 'delete') return
      job.compacting.add(place.id)
      yield* compact(job, place, config)
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

/** A batch to be compacted. */
interface Candidate {
  readonly baseOffset: number
  readonly endOffset: number
  readonly byteCount: number
}

/**
 * Compaction of one partition: of each key only the last record stays, and tombstones go after their retention.
 *
 * What was compacted before holds each key once. So it is enough to note the last offset of every key in the batches since
 * then, as many keys as memory may hold, and to rewrite the batches up to there that hold older records of these keys; then
 * the next ones. What is rewritten keeps its offsets, with gaps.
 */
function* compact(job: Job, place: PartitionRow, config: Required<TopicConfig>): Generator<void> {
  const { db, keysMax, nowMs, schedule } = job
  const { tombstoneRetentionMs } = config
  const compactedTo = findPartition(db, place.id)?.compactedTo ?? place.latest
  if (compactedTo >= place.latest) return
  const compactedEnd = Math.max(compactedTo, schedule.endOf(place.id))
  const waiting = compactable(job, place, config, compactedEnd)
  const waitingBytes = waiting.reduce((sum, { byteCount }) => sum + byteCount, 0)
  const question = { partitionId: place.id, waitingBytes, tombstoneRetentionMs, nowMs }
  if (job.onlyDue ? !schedule.isDue(question) : !schedule.isUseful(question)) return
  const batches = [...compacted(job, place, compactedEnd), ...waiting]
  let bytes = 0
  let oldestTombstoneMs: number | undefined
  let from = batches.length - waiting.length
  do {
    const compaction = new KeyCompaction(nowMs - tombstoneRetentionMs)
    let to = from
    for (; to < batches.length && (to === from || compaction.keyCount < keysMax); to++) {
      const batch = bytesAt(db, place.id, batches[to] as Candidate)
      if (batch !== undefined) compaction.note(batch)
      yield
    }
    const done = batches.slice(0, to)
    bytes = 0
    for (const { baseOffset } of done) {
      bytes += job.transaction(() => rewrite(db, place, baseOffset, compaction, job.totals))
      yield
    }
    oldestTombstoneMs = compaction.oldestTombstoneMs
    // Tombstones that stay must be looked at again even if nothing is published any more.
    if (oldestTombstoneMs === undefined) {
      const end = done.at(-1)?.endOffset ?? compactedEnd
      job.transaction(() => raiseMarks(db, place.id, { compactedTo: end }))
    }
    from = to
  } while (from < batches.length)
  schedule.note(place.id, nowMs, { end: waiting.at(-1)?.endOffset ?? compactedEnd, bytes, oldestTombstoneMs })
}

const selectCandidates = `SELECT base_offset, last_offset, time_max_ms, byte_count FROM batch
  WHERE partition_id = ? AND base_offset >= ? AND base_offset < ? ORDER BY base_offset`

/** The batches from an offset on before the first one that is too young to be compacted, or not yet known to readers. */
function compactable(
  job: Job,
  place: PartitionRow,
  config: Required<TopicConfig>,
  fromOffset: number,
): readonly Candidate[] {
  const rows = job.db.prepare(selectCandidates).all(place.id, fromOffset, Number.MAX_SAFE_INTEGER)
  const end = job.ends === undefined ? Number.POSITIVE_INFINITY : (job.ends.get(place.id) ?? 0)
  const first = rows.findIndex(
    (row) => Number(row['time_max_ms']) > job.nowMs - config.compactionLagMs || Number(row['last_offset']) >= end,
  )
  return (first < 0 ? rows : rows.slice(0, first)).map(candidate)
}

/** The batches that were compacted before. */
function compacted({ db }: Job, place: PartitionRow, end: number): readonly Candidate[] {
  return db.prepare(selectCandidates).all(place.id, 0, end).map(candidate)
}

function candidate(row: Record<string, unknown>): Candidate {
  return {
    baseOffset: Number(row['base_offset']),
    endOffset: Number(row['last_offset']) + 1,
    byteCount: Number(row['byte_count']),
  }
}

/** How many bytes are left of the batch. */
function rewrite(
  db: DatabaseSync,
  place: PartitionRow,
  baseOffset: number,
  compaction: KeyCompaction,
  totals: MaintenanceTotals,
): number {
  const row = batchAt(db, place.id, baseOffset)
  if (row === undefined) return 0
  const id = Number(row['id'])
  const byteCount = Number(row['byte_count'])
  const { bytes: kept, droppedCount } = compaction.compact(bytesOf(row))
  if (droppedCount === 0) return byteCount
  totals.recordsCompacted += droppedCount
  totals.rewritten.push(place.id)
  if (kept === null) {
    db.prepare('DELETE FROM batch WHERE id = ?').run(id)
    // Whoever verifies the file is told where a batch may be missing.
    raiseMarks(db, place.id, { endFloor: place.latest, gapsTo: Number(row['last_offset']) + 1 })
    totals.batchesDeleted++
    totals.bytesDeleted += byteCount
    return 0
  }
  db.prepare('UPDATE batch SET bytes = ?, byte_count = ?, checksum = ? WHERE id = ?').run(
    kept,
    kept.byteLength,
    crc32(kept),
    id,
  )
  totals.bytesDeleted += byteCount - kept.byteLength
  return kept.byteLength
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
