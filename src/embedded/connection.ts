import {
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import {
  DiskFullError,
  FileDamagedError,
  FileUnusableError,
  NotADatabaseFileError,
  SqliteTooOldError,
} from './errors.ts'
import { checkDefinitions, checkFormat, formatVersion, migrate, pragmaNumber } from './store/schema.ts'

/** A database that lives in memory and goes with the engine. */
export const memoryPath = ':memory:'

/** Releases before it can lose committed data when the write-ahead log is reset while others read (fixed in 3.51.3). */
const sqliteVersionMin = '3.51.3'

/** Large enough that a batch of records takes few pages, small enough that changing one row writes little. */
const pageBytes = 8192
/** The log goes into the database after this many pages (8 MiB): rare enough to be cheap, small enough to be short. */
const checkpointPages = 1024
/** What a SQLite database begins with. */
const headerBytes = 100
const writerCacheKib = 64 * 1024
const readerCacheKib = 16 * 1024

/**
 * The file behind a path, whatever links and relative parts lead there: all its names must meet at one lock. Absolute, so
 * that SQLite does not take a name for a URI.
 * @throws FileUnusableError
 */
export function placeOf(path: string, isCreated: boolean): string {
  if (path === memoryPath) return path
  const absolute = resolve(path)
  try {
    if (lstatSync(absolute, { throwIfNoEntry: false }) !== undefined) {
      const place = realpathSync(absolute)
      if (statSync(place).isDirectory()) throw new FileUnusableError(path, 'it is a folder')
      return place
    }
    if (!isCreated) throw new FileUnusableError(path, 'there is no such file')
    makeFolder(dirname(absolute))
    return join(realpathSync(dirname(absolute)), basename(absolute))
  } catch (error) {
    if (error instanceof FileUnusableError) throw error
    throw new FileUnusableError(path, (error as Error).message, { cause: error })
  }
}

/** Opens the one connection that writes, creates or migrates the file, and makes sure that its name survives a power cut. */
export function openForWriting(path: string): DatabaseSync {
  const isNew = path !== memoryPath && !existsSync(path)
  if (!isNew && path !== memoryPath) refuseEmptied(path)
  const db = open(path, false)
  try {
    const version = checkFormat(db, path)
    if (version === 0) db.exec(`PRAGMA page_size = ${pageBytes}`)
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = ${checkpointPages};
      PRAGMA journal_size_limit = ${checkpointPages * pageBytes * 4}; PRAGMA cache_size = -${writerCacheKib};
      PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF`)
    migrate(db, version)
    if (version > 0) checkDefinitions(db, path)
    if (isNew) syncFolder(dirname(path))
    return db
  } catch (error) {
    db.close()
    throw notOpened(path, error)
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
    checkDefinitions(db, path)
    return db
  } catch (error) {
    db.close()
    throw notOpened(path, error)
  }
}

/** Opens a connection that sees one moment of the file, whatever is committed meanwhile. */
export function openSnapshot(path: string): DatabaseSync {
  const db = openForReading(path)
  try {
    // The first statement fixes the moment.
    db.exec('BEGIN; SELECT count(*) FROM sqlite_schema')
    return db
  } catch (error) {
    db.close()
    throw notOpened(path, error)
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
  let rows: Record<string, unknown>[]
  try {
    rows = db.prepare(`PRAGMA integrity_check(${problemsMax})`).all()
  } catch (error) {
    return [(error as Error).message]
  }
  return rows.map((row) => String(row['integrity_check'])).filter((text) => text !== 'ok')
}

/** Bytes of the database file as SQLite counts them. */
export function databaseBytes(db: DatabaseSync): number {
  return pragmaNumber(db, 'page_count') * pragmaNumber(db, 'page_size')
}

/** SQLite takes an empty file for a new database and throws away the log beside it, with what was acknowledged. */
function refuseEmptied(path: string): void {
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false })
  if (log === undefined || log.size === 0 || statSync(path).size > 0) return
  throw new FileDamagedError(path, `it is empty, but ${path}-wal holds changes of it`)
}

function open(path: string, readOnly: boolean): DatabaseSync {
  try {
    return new DatabaseSync(path, { readOnly, timeout: 5_000, enableForeignKeyConstraints: false })
  } catch (error) {
    throw notOpened(path, error)
  }
}

/** Says in Millrace's words why a file could not be opened at all: then nobody can tell how much of it is damaged. */
function notOpened(path: string, error: unknown): unknown {
  const reason = opened(path, error)
  if (!(reason instanceof FileDamagedError && reason.cause === error)) return reason
  const place = cutOff(path) ?? `SQLite cannot read it (${(error as Error).message})`
  return new FileDamagedError(path, place, { cause: error, opens: false })
}

/** How much of a file is there, if it is shorter than its header says; `undefined`: it is not. */
function cutOff(path: string): string | undefined {
  const header = Buffer.alloc(headerBytes)
  const descriptor = openSync(path, 'r')
  try {
    readSync(descriptor, header)
  } finally {
    closeSync(descriptor)
  }
  // SQLite, "Database File Format" 1.3: a size of 1 means 65,536.
  const pageSize = header.readUInt16BE(16)
  const bytes = (pageSize === 1 ? 65_536 : pageSize) * header.readUInt32BE(28)
  const { size } = statSync(path)
  return size < bytes ? `it is cut off, ${size} of ${bytes} bytes are there` : undefined
}

/** A number beyond those that JavaScript counts exactly was met: none was ever written. */
export function isNoSafeNumber(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_OUT_OF_RANGE'
}

/** Whether SQLite found pages that are not as it writes them: `SQLITE_CORRUPT`, `SQLITE_NOTADB` with their extended codes. */
export function isDamageCode(errcode: number): boolean {
  const code = errcode & 0xff
  return code === 11 || code === 26
}

/** What SQLite found, as the place of a damage. */
export function unreadablePage(error: Error): string {
  return `a page that is needed cannot be read (${error.message})`
}

/** Says in Millrace's words why a file could not be opened or read. */
export function opened(path: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error
  if ('syscall' in error) return new FileUnusableError(path, error.message, { cause: error })
  if (isNoSafeNumber(error)) {
    return new FileDamagedError(path, `a number that cannot be (${error.message})`, { cause: error })
  }
  if (!('errcode' in error)) return error
  switch (Number(error.errcode) & 0xff) {
    case 11:
      return new FileDamagedError(path, unreadablePage(error), { cause: error })
    case 13:
      return new DiskFullError(path, { cause: error })
    case 26:
      return new NotADatabaseFileError(path, 'it does not begin as a SQLite database does', { cause: error })
    default:
      return new FileUnusableError(path, error.message, { cause: error })
  }
}

/**
 * Makes a folder with those above it, whose names are durable only once the folders that hold them are synced. One by
 * one: where a file system lets nobody make folders, as `/proc`, Node's own recursive call never returns.
 */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return
  makeFolder(dirname(folder))
  try {
    mkdirSync(folder)
  } catch (error) {
    // Somebody else made it in the meantime.
    if (!existsSync(folder)) throw error
  }
  syncFolder(dirname(folder))
}

/** A new file's name is durable only once its folder is synced. */
export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
