import type { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import type { TopicConfig } from '../../engine/index.ts'
import { MillraceError } from '../../kernel/index.ts'
import { KeyCompaction, RecordBatchDamagedError } from '../../record/index.ts'
import { deletedTopicPrefix, type MaintenanceTotals, type PartitionRow } from './protocol.ts'
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
  yield* removeDeletedTopics(db, transaction, totals)
  for (const row of db.prepare('SELECT id, name, config FROM topic').all()) {
    // Deleted since: the next maintenance removes it.
    if (String(row['name']).startsWith(deletedTopicPrefix)) continue
    const config = JSON.parse(String(row['config'])) as Required<TopicConfig>
    for (const place of readPartitions(db, Number(row['id']))) {
      if (config.cleanup !== 'compact') yield* retain(job, place, config)
      if (config.cleanup === 'delete') continue
      try {
        yield* compact(job, place, config)
      } catch (error) {
        // Damage in one partition must not keep the others from being looked after.
        if (!(error instanceof MillraceError)) throw error
        totals.damaged.push(`partition ${place.number} of topic ${String(row['name'])} (${error.message})`)
      }
    }
  }
  return totals
}

/** Deletes the oldest batches that are too old or beyond the bound of bytes; whole batches, as Kafka whole segments. */
function* retain(job: Job, place: PartitionRow, config: Required<TopicConfig>): Generator<void> {
  const { db, nowMs, totals } = job
  const { retentionMs, retentionBytes } = config
  if (retentionMs === null && retentionBytes === null) return
  const held = db.prepare('SELECT coalesce(sum(byte_count), 0) AS n FROM batch WHERE partition_id = ?').get(place.id)
  let bytesHeld = Number(held?.['n'])
  const oldest = db.prepare(`SELECT id, last_offset, time_max_ms, byte_count FROM batch WHERE partition_id = ?
    ORDER BY base_offset LIMIT 64`)
  const step = (): boolean => {
    let start = -1
    const rows = oldest.all(place.id)
    let gone = 0
    for (const row of rows) {
      const tooOld = retentionMs !== null && Number(row['time_max_ms']) < nowMs - retentionMs
      const tooMuch = retentionBytes !== null && bytesHeld > retentionBytes
      if (!tooOld && !tooMuch) break
      db.prepare('DELETE FROM batch WHERE id = ?').run(Number(row['id']))
      start = Number(row['last_offset']) + 1
      bytesHeld -= Number(row['byte_count'])
      totals.bytesDeleted += Number(row['byte_count'])
      gone++
    }
    if (start < 0) return false
    totals.batchesDeleted += gone
    db.prepare(
      'UPDATE partition SET start_offset = max(start_offset, ?1), end_floor = max(end_floor, ?1) WHERE id = ?2',
    ).run(start, place.id)
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
  const before = db.prepare('SELECT compacted_to FROM partition WHERE id = ?').get(place.id)
  const compactedTo = Number(before?.['compacted_to'] ?? place.latest)
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
      job.transaction(() => db.prepare('UPDATE partition SET compacted_to = ? WHERE id = ?').run(end, place.id))
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
  const row = db
    .prepare('SELECT id, last_offset, bytes, byte_count FROM batch WHERE partition_id = ? AND base_offset = ?')
    .get(place.id, baseOffset)
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
    db.prepare('UPDATE partition SET end_floor = max(end_floor, ?), gaps_to = max(gaps_to, ?) WHERE id = ?').run(
      place.latest,
      Number(row['last_offset']) + 1,
      place.id,
    )
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
  const row = db
    .prepare('SELECT bytes FROM batch WHERE partition_id = ? AND base_offset = ?')
    .get(partitionId, baseOffset)
  return row === undefined ? undefined : bytesOf(row)
}

function bytesOf({ bytes }: Record<string, unknown>): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes
  throw new RecordBatchDamagedError('truncated', 0, 'it has no bytes')
}
