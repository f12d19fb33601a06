import type { DatabaseSync } from 'node:sqlite'
import { intactRow } from './damaged-row.ts'
import { checksumOf } from './row-checksum.ts'

/** All columns of topics, by which they are known to be as they were written. */
export const selectTopic = 'SELECT id, name, config, checksum FROM topic'

/** A topic as it stands in the file. */
export interface StoredTopic {
  readonly id: number
  readonly name: string
  /** JSON. */
  readonly config: string
}

/** What {@link selectTopic} found. @throws FileDamagedError `FILE_DAMAGED` */
export function storedTopic(db: DatabaseSync, row: Record<string, unknown>): StoredTopic {
  intactRow(db, 'topic', row, ({ name }) => `topic ${String(name)}`)
  return { id: Number(row['id']), name: String(row['name']), config: String(row['config']) }
}

/** Writes name and settings of a topic that is there. */
export function writeTopic(db: DatabaseSync, { id, name, config }: StoredTopic): void {
  const checksum = checksumOf('topic', id, name, config)
  db.prepare('UPDATE topic SET name = ?, config = ?, checksum = ? WHERE id = ?').run(name, config, checksum, id)
}
