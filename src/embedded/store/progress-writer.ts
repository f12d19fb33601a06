import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { ProgressCommand } from '../../committing/index.ts'
import { type OffsetRange, OffsetSet, type Progress } from '../../engine/index.ts'
import { damageOf, intactRow } from './damaged-row.ts'
import { checksumOf } from './row-checksum.ts'

/** Groups and partitions remembered with their progress; beyond this many all are forgotten and read anew. */
const entriesMax = 100_000

interface Entry {
  readonly group: string
  readonly partitionId: number
  readonly offsets: OffsetSet
}

/** Keeps how far each group is. Many advances within one transaction become one row written. */
export class ProgressWriter {
  readonly #entries = new Map<string, Entry>()
  readonly #dirty = new Set<Entry>()
  readonly #db: DatabaseSync
  readonly #select: StatementSync
  readonly #upsert: StatementSync
  readonly #deleteGroup: StatementSync

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#select = db.prepare(`${selectProgress} WHERE group_name = ? AND partition_id = ?`)
    this.#upsert = db.prepare(`
      INSERT INTO progress (group_name, partition_id, next_offset, done, checksum) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset, done = excluded.done, checksum = excluded.checksum`)
    this.#deleteGroup = db.prepare('DELETE FROM progress WHERE group_name = ?')
  }

  advance(command: ProgressCommand): void {
    const entry = this.#entry(command.claim.group, command.partitionId)
    for (let i = 0; i < command.done.length; i += 2) {
      entry.offsets.add(command.done[i] as number, command.done[i + 1] as number)
    }
    this.#dirty.add(entry)
  }

  put(group: string, partitionId: number, next: number): void {
    const key = `${partitionId}/${group}`
    const before = this.#entries.get(key)
    if (before !== undefined) this.#dirty.delete(before)
    const entry = { group, partitionId, offsets: new OffsetSet({ next, done: [] }) }
    this.#entries.set(key, entry)
    this.#dirty.add(entry)
  }

  deleteGroup(group: string): void {
    this.#deleteGroup.run(group)
    for (const [key, entry] of this.#entries) {
      if (entry.group !== group) continue
      this.#entries.delete(key)
      this.#dirty.delete(entry)
    }
  }

  /** Writes what changed; called at the end of each transaction. */
  flush(): void {
    for (const { group, partitionId, offsets } of this.#dirty) {
      const { next } = offsets
      const done = encodeRanges(offsets.ranges)
      this.#upsert.run(group, partitionId, next, done, checksumOf('progress', group, partitionId, next, done))
    }
    this.#dirty.clear()
    // Everything is written, so nothing is lost by reading it anew.
    if (this.#entries.size > entriesMax) this.#entries.clear()
  }

  /** Drops what is cached, after a transaction was rolled back or a topic was deleted. */
  forget(): void {
    this.#entries.clear()
    this.#dirty.clear()
  }

  #entry(group: string, partitionId: number): Entry {
    const key = `${partitionId}/${group}`
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      const row = this.#select.get(group, partitionId)
      const progress = row === undefined ? { next: 0, done: [] } : decodeProgress(this.#db, row)
      entry = { group, partitionId, offsets: new OffsetSet(progress) }
      this.#entries.set(key, entry)
    }
    return entry
  }
}

/** Ranges as JSON pairs, the end not included: `[[7,9],[12,13]]`. */
function encodeRanges(ranges: readonly OffsetRange[]): string {
  return ranges.length === 0 ? '[]' : JSON.stringify(ranges.map((range) => [range.from, range.to]))
}

/** All columns of progress, by which it is known to be as it was written. */
export const selectProgress = 'SELECT group_name, partition_id, next_offset, done, checksum FROM progress'

/** Names a row of the progress table in errors. */
export function progressPlace(row: Record<string, unknown>): string {
  return `the progress of group ${String(row['group_name'])} on partition id ${Number(row['partition_id'])}`
}

/** Turns a row of the progress table into a {@link Progress}. @throws FileDamagedError `FILE_DAMAGED` */
export function decodeProgress(db: DatabaseSync, row: Record<string, unknown>): Progress {
  intactRow(db, 'progress', row, progressPlace)
  const pairs = pairsOf(db, row)
  return { next: Number(row['next_offset']), done: pairs.map(([from, to]) => ({ from, to })) }
}

function pairsOf(db: DatabaseSync, row: Record<string, unknown>): readonly (readonly [number, number])[] {
  try {
    return JSON.parse(String(row['done'])) as [number, number][]
  } catch {
    throw damageOf(db, `${progressPlace(row)}, which is no JSON`)
  }
}
