import type { DatabaseSync } from 'node:sqlite'
import { FileDamagedError } from '../errors.ts'
import { type ChecksummedTable, isIntact } from './row-checksum.ts'

type Row = Record<string, unknown>

/** The error for a place of a file that is not as it was written. */
export function damageOf(db: DatabaseSync, place: string): FileDamagedError {
  return new FileDamagedError(db.location() ?? ':memory:', place)
}

/**
 * A row as it was written, with all its columns; undefined as it came.
 * @param place Names it in the error.
 * @throws FileDamagedError `FILE_DAMAGED` where its checksum is another one.
 */
export function intactRow<R extends Row | undefined>(
  db: DatabaseSync,
  table: Exclude<ChecksummedTable, 'state'>,
  row: R,
  place: (row: Row) => string,
): R {
  if (row !== undefined && !isIntact(table, row)) throw damageOf(db, `${place(row)} (checksum)`)
  return row
}
