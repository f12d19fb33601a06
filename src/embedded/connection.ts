import { closeSync, existsSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { FileDamagedError, FileUnusableError, NotADatabaseFileError, SqliteTooOldError } from './errors.ts'
import { checkFormat, formatVersion, migrate, pragmaNumber } from './store/schema.ts'

/** A database that lives in memory and goes with the engine. */
export const memoryPath = ':memory:'

/** Releases before it can lose committed data when the write-ahead log is reset while others read (fixed in 3.51.3). */
const sqliteVersionMin = '3.51.3'

/** Large enough that a batch of records takes few pages, small enough that changing one row writes little. */
const pageBytes = 8192
/** The log goes into the database after this many pages (16 MiB): rare enough to be cheap, small enough to be short. */
const checkpointPages = 2048
const writerCacheKib = 64 * 1024
const readerCacheKib = 32 * 1024

/** Opens the one connection that writes, creates or migrates the file, and makes sure that its name survives a power cut. */
export function openForWriting(path: string): DatabaseSync {
  const isNew = path !== memoryPath && !existsSync(path)
  if (isNew) makeFolder(path)
  const db = open(path, false)
  try {
    const version = checkFormat(db, path)
    if (version === 0) db.exec(`PRAGMA page_size = ${pageBytes}`)
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = ${checkpointPages};
      PRAGMA journal_size_limit = ${checkpointPages * pageBytes * 4}; PRAGMA cache_size = -${writerCacheKib};
      PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF`)
    migrate(db, version)
    if (isNew) syncFolder(dirname(path))
    return db
  } catch (error) {
    db.close()
    throw opened(path, error)
  }
}

/** Opens a connection that only reads; it sees what is committed and never blocks the writer. */
export function openForReading(path: string): DatabaseSync {
  if (!existsSync(path)) throw new FileUnusableError(path, 'there is no such file')
  const db = open(path, true)
  try {
    if (checkFormat(db, path) !== formatVersion) {
      throw new FileUnusableError(
        path,
        'it is empty, or of an older format that is migrated when it is opened for writing',
      )
    }
    db.exec(`PRAGMA cache_size = -${readerCacheKib}; PRAGMA trusted_schema = OFF`)
    return db
  } catch (error) {
    db.close()
    throw opened(path, error)
  }
}

/** @throws SqliteTooOldError where this Node's SQLite could damage files. */
export function checkSqliteVersion(
  version: string = process.versions['sqlite'] ?? '0',
  required: string = sqliteVersionMin,
): void {
  const parts = version.split('.').map(Number)
  for (const [i, least] of required.split('.').map(Number).entries()) {
    const part = parts[i] ?? 0
    if (part > least) return
    if (part < least) throw new SqliteTooOldError(version, required)
  }
}

/** Says what SQLite thinks of its own pages; empty when all is well. */
export function integrityProblems(db: DatabaseSync, problemsMax: number): readonly string[] {
  const rows = db.prepare(`PRAGMA integrity_check(${problemsMax})`).all()
  return rows.map((row) => String(row['integrity_check'])).filter((text) => text !== 'ok')
}

/** Bytes of the database file as SQLite counts them. */
export function databaseBytes(db: DatabaseSync): number {
  return pragmaNumber(db, 'page_count') * pragmaNumber(db, 'page_size')
}

function open(path: string, readOnly: boolean): DatabaseSync {
  try {
    return new DatabaseSync(path, { readOnly, timeout: 5_000, enableForeignKeyConstraints: false })
  } catch (error) {
    throw opened(path, error)
  }
}

/** Says in Millrace's words why a file could not be opened. */
function opened(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || !('errcode' in error)) return error
  switch (Number(error.errcode) & 0xff) {
    case 11:
      return new FileDamagedError(path, error.message, { cause: error })
    case 26:
      return new NotADatabaseFileError(path, 'it does not begin as a SQLite database does', { cause: error })
    default:
      return new FileUnusableError(path, error.message, { cause: error })
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true })
  } catch (error) {
    throw new FileUnusableError(path, (error as Error).message, { cause: error })
  }
}

/** A new file's name is durable only once its folder is synced. */
function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
