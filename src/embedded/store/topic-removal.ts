import type { DatabaseSync } from 'node:sqlite'
import { deletedTopicPrefix, type MaintenanceTotals } from './protocol.ts'
import { storedPartitions } from './stored-partition.ts'
import { selectTopic, storedTopic } from './stored-topic.ts'

type Transaction = <T>(work: () => T) => T

/** Rows that one step deletes at most … */
const rowsPerStep = 256
/** … and bytes of batches after which it takes no more: a record may have 64 MiB. */
const bytesPerStep = 8 * 1024 * 1024

/**
 * Removes what is left of topics that were deleted. It yields after each small step, and each step is a transaction of its
 * own: after a crash the next maintenance goes on where this one was. The topic's own row goes last, so that it is found
 * until nothing is left.
 */
export function* removeDeletedTopics(
  db: DatabaseSync,
  transaction: Transaction,
  totals: Pick<MaintenanceTotals, 'batchesDeleted' | 'bytesDeleted'>,
): Generator<void> {
  const rows = db.prepare(`${selectTopic} WHERE substr(name, 1, length(?1)) = ?1`).all(deletedTopicPrefix)
  for (const row of rows) {
    const { id: topicId } = storedTopic(db, row)
    const partitionIds = new Set(storedPartitions(db, topicId).map(({ id }) => id))
    for (const partitionId of partitionIds) {
      while (transaction(() => removeBatches(db, partitionId, totals))) yield
    }
    yield* removeNumbering(db, transaction, partitionIds)
    transaction(() => {
      db.prepare('DELETE FROM partition WHERE topic_id = ?').run(topicId)
      db.prepare('DELETE FROM topic WHERE id = ?').run(topicId)
    })
    yield
  }
}

/** `false`: there was nothing more to remove. */
function removeBatches(
  db: DatabaseSync,
  partitionId: number,
  totals: Pick<MaintenanceTotals, 'batchesDeleted' | 'bytesDeleted'>,
): boolean {
  const rows = db
    .prepare('SELECT id, byte_count FROM batch WHERE partition_id = ? ORDER BY base_offset LIMIT ?')
    .all(partitionId, rowsPerStep)
  const remove = db.prepare('DELETE FROM batch WHERE id = ?')
  let bytes = 0
  for (const row of rows) {
    remove.run(Number(row['id']))
    bytes += Number(row['byte_count'])
    totals.batchesDeleted++
    if (bytes >= bytesPerStep) break
  }
  totals.bytesDeleted += bytes
  return rows.length > 0
}

/** Producers number their batches by partition. The table is ordered by producers, so all of it is looked through. */
function* removeNumbering(
  db: DatabaseSync,
  transaction: Transaction,
  partitionIds: ReadonlySet<number>,
): Generator<void> {
  const page = db.prepare(`SELECT producer_id, partition_id FROM producer_partition
    WHERE (producer_id, partition_id) > (?, ?) ORDER BY producer_id, partition_id LIMIT ?`)
  const remove = db.prepare('DELETE FROM producer_partition WHERE producer_id = ? AND partition_id = ?')
  let after: readonly [producerId: number, partitionId: number] = [-1, -1]
  for (;;) {
    const rows = page
      .all(...after, rowsPerStep)
      .map((row) => [Number(row['producer_id']), Number(row['partition_id'])] as const)
    const gone = rows.filter(([, partitionId]) => partitionIds.has(partitionId))
    if (gone.length > 0) transaction(() => gone.forEach((row) => void remove.run(...row)))
    if (rows.length < rowsPerStep) return
    after = rows.at(-1) ?? after
    yield
  }
}
