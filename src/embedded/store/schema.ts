import { DatabaseSync } from 'node:sqlite'
import { FileDamagedError, FormatNewerError, NotADatabaseFileError } from '../errors.ts'
import { type ChecksummedTable, checksummedValues, checksumOf } from './row-checksum.ts'

/** "MRAC" in ASCII: marks the file as Millrace's, in SQLite's application_id. */
export const applicationId = 0x4d524143

/** Version of the file format that this code writes; see docs/formats/embedded-file.md. */
export const formatVersion = 3

/**
 * Steps that lead from one format version to the next: `migrations[n]` makes version n+1 out of version n.
 * Version 0 is the empty file.
 */
export type Migration = (db: DatabaseSync) => void

const createVersion1: Migration = (db) => {
  db.exec(`
    CREATE TABLE topic (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      name TEXT NOT NULL UNIQUE,
      config TEXT NOT NULL
    ) STRICT;
    CREATE TABLE partition (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      topic_id INTEGER NOT NULL REFERENCES topic (id),
      number INTEGER NOT NULL,
      start_offset INTEGER NOT NULL,
      end_floor INTEGER NOT NULL,
      compacted_to INTEGER NOT NULL,
      gaps_to INTEGER NOT NULL,
      UNIQUE (topic_id, number)
    ) STRICT;
    CREATE TABLE batch (
      id INTEGER PRIMARY KEY,
      partition_id INTEGER NOT NULL,
      base_offset INTEGER NOT NULL,
      last_offset INTEGER NOT NULL,
      time_max_ms INTEGER NOT NULL,
      byte_count INTEGER NOT NULL,
      checksum INTEGER NOT NULL,
      bytes BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX batch_by_offset ON batch (partition_id, base_offset, last_offset, time_max_ms, byte_count);
    CREATE TABLE producer (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      name TEXT NOT NULL UNIQUE,
      epoch INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE producer_partition (
      producer_id INTEGER NOT NULL,
      partition_id INTEGER NOT NULL,
      epoch INTEGER NOT NULL,
      recent TEXT NOT NULL,
      PRIMARY KEY (producer_id, partition_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE progress (
      group_name TEXT NOT NULL,
      partition_id INTEGER NOT NULL,
      next_offset INTEGER NOT NULL,
      done TEXT NOT NULL,
      PRIMARY KEY (group_name, partition_id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE stream (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      name TEXT NOT NULL UNIQUE,
      version_floor INTEGER NOT NULL,
      truncated_before INTEGER NOT NULL,
      tombstoned INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE event (
      position INTEGER PRIMARY KEY AUTOINCREMENT,
      stream_id INTEGER NOT NULL,
      version INTEGER NOT NULL,
      time_ms INTEGER NOT NULL,
      type_id INTEGER NOT NULL,
      event_id ANY NOT NULL,
      tags TEXT,
      bytes BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX event_by_stream ON event (stream_id, version);
    CREATE UNIQUE INDEX event_by_id ON event (event_id);
    CREATE TABLE label (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE event_label (
      label_id INTEGER NOT NULL,
      position INTEGER NOT NULL,
      PRIMARY KEY (label_id, position)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE namespace (
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE state (
      namespace_id INTEGER NOT NULL,
      key TEXT NOT NULL,
      revision INTEGER NOT NULL,
      value TEXT NOT NULL,
      PRIMARY KEY (namespace_id, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE timer (
      owner TEXT NOT NULL,
      id TEXT NOT NULL,
      due_ms INTEGER NOT NULL,
      revision INTEGER NOT NULL,
      payload TEXT NOT NULL,
      PRIMARY KEY (owner, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX timer_by_due ON timer (owner, due_ms);
    CREATE TABLE counter (
      name TEXT PRIMARY KEY,
      value INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
  `)
}

/** A stream that was deleted says at which version; of those that were deleted before nobody knows. */
const createVersion2: Migration = (db) => {
  const columns = db.prepare(`SELECT name FROM pragma_table_info('stream')`).all()
  // Some files of version 1 have it: it was there for a day before it made a version.
  if (columns.some(({ name }) => name === 'deleted_at')) return
  db.exec('ALTER TABLE stream ADD COLUMN deleted_at INTEGER NOT NULL DEFAULT 0')
}

/**
 * Every row has a checksum, but batches, which had one, and labels, by which nothing is found that does not say the same of itself.
 * Rows that are there get theirs here, so that none is read unchecked from now on.
 */
const createVersion3: Migration = (db) => {
  // Until now SQLite alone kept it, where nothing can watch over it.
  db.exec(`INSERT INTO counter (name, value)
    SELECT 'position', seq FROM sqlite_sequence WHERE sqlite_sequence.name = 'event'`)
  for (const table of Object.keys(checksummedValues) as ChecksummedTable[]) {
    db.exec(`ALTER TABLE ${table} ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0`)
    fillChecksums(db, table)
  }
}

/** Takes the rows of a table as they are, and notes their checksums. */
export function fillChecksums(db: DatabaseSync, table: ChecksummedTable): void {
  const checksum = (...values: readonly unknown[]): number => checksumOf(table, ...values)
  db.function('row_checksum', { varargs: true, deterministic: true }, checksum)
  db.exec(`UPDATE ${table} SET checksum = row_checksum(${checksummedValues[table].join(', ')})`)
}

/** Every migration there is, oldest first. */
export const migrations: readonly Migration[] = [createVersion1, createVersion2, createVersion3]

/** Reads one integer pragma. */
export function pragmaNumber(db: DatabaseSync, name: string): number {
  const row = db.prepare(`PRAGMA ${name}`).get()
  return row === undefined ? 0 : Number(Object.values(row)[0])
}

/** Says what kind of file this is, and refuses what this code must not touch. Returns its format version, 0 if empty. */
export function checkFormat(db: DatabaseSync, path: string, newest: number = formatVersion): number {
  const id = pragmaNumber(db, 'application_id')
  const version = pragmaNumber(db, 'user_version')
  const tableCount = Number(db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n'])
  if (tableCount === 0 && id === 0) return 0
  if (id !== applicationId) throw new NotADatabaseFileError(path, 'it is a SQLite database of another program')
  if (version > newest) throw new FormatNewerError(path, version, newest)
  return version
}

/** Brings the file to the newest format in one transaction; `steps` is for tests of the mechanism. */
export function migrate(db: DatabaseSync, fromVersion: number, steps: readonly Migration[] = migrations): void {
  if (fromVersion === steps.length) return
  db.exec('BEGIN IMMEDIATE')
  try {
    for (const step of steps.slice(fromVersion)) step(db)
    db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${steps.length}`)
    db.exec('COMMIT')
  } catch (error) {
    // A full disk has ended it already.
    if (db.isTransaction) db.exec('ROLLBACK')
    throw error
  }
}

/** Columns of the tables and of the indexes, a line each. */
function definitionsOf(db: DatabaseSync): ReadonlySet<string> {
  const rows = db
    .prepare(
      `SELECT m.name || '.' || c.name || ' ' || c.type || ' ' || c."notnull" || ' ' || c.pk AS line
       FROM sqlite_schema AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table' AND m.name NOT GLOB 'sqlite_*'
       UNION ALL
       SELECT m.name || ' of ' || m.tbl_name || ' ' || c.seqno || ' ' || coalesce(c.name, '') || ' ' || c."desc" || ' ' || c.coll
       FROM sqlite_schema AS m, pragma_index_xinfo(m.name) AS c WHERE m.type = 'index'`,
    )
    .all()
  return new Set(rows.map(({ line }) => String(line)))
}

let expected: ReadonlySet<string> | undefined

/**
 * Holds what tables and indexes are made of against what this format has: SQLite takes their definitions as it finds them, and a
 * single bit makes another column of one.
 * @throws FileDamagedError
 */
export function checkDefinitions(db: DatabaseSync, path: string): void {
  if (expected === undefined) {
    const fresh = new DatabaseSync(':memory:')
    migrate(fresh, 0)
    expected = definitionsOf(fresh)
    fresh.close()
  }
  const found = definitionsOf(db)
  const odd = [...expected].find((line) => !found.has(line)) ?? [...found].find((line) => expected?.has(line) !== true)
  if (odd === undefined) return
  const [name] = odd.split(/[. ]/)
  throw new FileDamagedError(path, `the definition of "${name}" is not that of format ${formatVersion}`)
}
