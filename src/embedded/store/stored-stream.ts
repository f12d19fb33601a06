import type { DatabaseSync } from 'node:sqlite'
import { damageOf, intactRow } from './damaged-row.ts'
import { isIntact } from './row-checksum.ts'

/**
 * Selects streams, each with the event at its end; conditions follow. The event is looked up by its position, so that it is told
 * from what the index says of it.
 */
export const selectStream = `SELECT stream.id, name, version_floor, truncated_before, deleted_at, tombstoned, stream.checksum,
  (SELECT position FROM event WHERE stream_id = stream.id ORDER BY version DESC LIMIT 1) AS listed_position,
  last.position, last.stream_id, last.version, last.time_ms, last.tags, last.checksum AS last_checksum
  FROM stream LEFT JOIN event AS last ON last.position =
    (SELECT position FROM event WHERE stream_id = stream.id ORDER BY version DESC LIMIT 1)`

/** A stream as it stands in the file. */
export interface StoredStream {
  readonly id: number
  readonly name: string
  /** Of its last event, or of what was the last one. */
  readonly version: number
  readonly truncatedBefore: number
  /** Version that the last deletion took; 0: none. */
  readonly deletedAt: number
  readonly tombstoned: boolean
}

/** Names a stream in errors. */
export function streamPlace(row: Record<string, unknown>): string {
  return `stream ${String(row['name'])}`
}

/** What {@link selectStream} found. @throws FileDamagedError `FILE_DAMAGED`, also where the event at the end is missing */
export function storedStream(db: DatabaseSync, row: Record<string, unknown>): StoredStream {
  intactRow(db, 'stream', row, streamPlace)
  const hasEvent = row['listed_position'] !== null
  const isOfStream = row['stream_id'] === row['id'] && isIntact('event', { ...row, checksum: row['last_checksum'] })
  if (hasEvent && !isOfStream) throw damageOf(db, `the last event of ${streamPlace(row)} (checksum)`)
  const versionFloor = Number(row['version_floor'])
  const truncatedBefore = Number(row['truncated_before'])
  const lastVersion = Number(row['version'] ?? 0)
  // A stream begins with an event, and only truncation and deletion, which raise the floor, take any away.
  const isTaken = truncatedBefore > versionFloor && versionFloor > 0
  if (!isTaken && lastVersion < Math.max(versionFloor, 1)) {
    throw damageOf(db, `the last event of ${streamPlace(row)}, which is missing`)
  }
  return {
    id: Number(row['id']),
    name: String(row['name']),
    version: Math.max(versionFloor, lastVersion),
    truncatedBefore,
    deletedAt: Number(row['deleted_at']),
    tombstoned: row['tombstoned'] === 1,
  }
}
