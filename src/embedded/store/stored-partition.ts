import type { DatabaseSync } from 'node:sqlite'
import { damageOf, intactRow } from './damaged-row.ts'
import { checksumOf } from './row-checksum.ts'

/** A partition as it stands in the file. */
export interface StoredPartition {
  readonly id: number
  readonly topicId: number
  readonly number: number
  readonly startOffset: number
  readonly endFloor: number
  readonly compactedTo: number
  readonly gapsTo: number
  /** Offset of the next record. */
  readonly end: number
}

type Marks = Pick<StoredPartition, 'startOffset' | 'endFloor' | 'compactedTo' | 'gapsTo'>

const ofLastBatch = 'FROM batch WHERE partition_id = partition.id ORDER BY base_offset DESC LIMIT 1'

/** The last batch is looked up by its id, so that it is told from what the index says of it. */
const select = `SELECT partition.id, topic_id, number, start_offset, end_floor, compacted_to, gaps_to, partition.checksum,
  last.partition_id AS last_partition_id, last.last_offset, (SELECT last_offset ${ofLastBatch}) AS listed_offset
  FROM partition LEFT JOIN batch AS last ON last.id = (SELECT id ${ofLastBatch})`

/** @throws FileDamagedError `FILE_DAMAGED` */
function storedPartition(db: DatabaseSync, row: Record<string, unknown>): StoredPartition {
  const place = `partition ${Number(row['number'])} of topic id ${Number(row['topic_id'])}`
  intactRow(db, 'partition', row, () => place)
  const { last_offset: lastOffset, listed_offset: listedOffset, last_partition_id: partitionId } = row
  if (lastOffset !== listedOffset || (partitionId !== null && partitionId !== row['id'])) {
    throw damageOf(db, `the last record batch of ${place} (order)`)
  }
  const endFloor = Number(row['end_floor'])
  return {
    id: Number(row['id']),
    topicId: Number(row['topic_id']),
    number: Number(row['number']),
    startOffset: Number(row['start_offset']),
    endFloor,
    compactedTo: Number(row['compacted_to']),
    gapsTo: Number(row['gaps_to']),
    end: lastOffset === null ? endFloor : Math.max(endFloor, Number(lastOffset) + 1),
  }
}

function partitionChecksum({
  id,
  topicId,
  number,
  startOffset,
  endFloor,
  compactedTo,
  gapsTo,
}: StoredPartition): number {
  return checksumOf('partition', id, topicId, number, startOffset, endFloor, compactedTo, gapsTo)
}

/** Partitions of a topic in order of their number. @throws FileDamagedError `FILE_DAMAGED` */
export function storedPartitions(db: DatabaseSync, topicId: number): StoredPartition[] {
  const rows = db.prepare(`${select} WHERE topic_id = ? ORDER BY number`).all(topicId)
  return rows.map((row) => storedPartition(db, row))
}

/** @throws FileDamagedError `FILE_DAMAGED` */
export function findPartition(db: DatabaseSync, id: number): StoredPartition | undefined {
  const row = db.prepare(`${select} WHERE partition.id = ?`).get(id)
  return row === undefined ? undefined : storedPartition(db, row)
}

export function addPartition(db: DatabaseSync, topicId: number, number: number): StoredPartition {
  const { lastInsertRowid } = db
    .prepare(`INSERT INTO partition (topic_id, number, start_offset, end_floor, compacted_to, gaps_to)
      VALUES (?, ?, 0, 0, 0, 0)`)
    .run(topicId, number)
  const marks = { startOffset: 0, endFloor: 0, compactedTo: 0, gapsTo: 0, end: 0 }
  const added = { id: Number(lastInsertRowid), topicId, number, ...marks }
  db.prepare('UPDATE partition SET checksum = ? WHERE id = ?').run(partitionChecksum(added), added.id)
  return added
}

/** Moves marks of a partition forward; none ever goes back. @throws FileDamagedError `FILE_DAMAGED` */
export function raiseMarks(db: DatabaseSync, id: number, marks: Partial<Marks>): StoredPartition | undefined {
  const found = findPartition(db, id)
  if (found === undefined) return undefined
  const raised = {
    ...found,
    startOffset: Math.max(found.startOffset, marks.startOffset ?? 0),
    endFloor: Math.max(found.endFloor, marks.endFloor ?? 0),
    compactedTo: Math.max(found.compactedTo, marks.compactedTo ?? 0),
    gapsTo: Math.max(found.gapsTo, marks.gapsTo ?? 0),
  }
  const { startOffset, endFloor, compactedTo, gapsTo } = raised
  db.prepare(`UPDATE partition SET start_offset = ?, end_floor = ?, compacted_to = ?, gaps_to = ?, checksum = ?
    WHERE id = ?`).run(startOffset, endFloor, compactedTo, gapsTo, partitionChecksum(raised), id)
  return raised
}
