import { DatabaseSync } from 'node:sqlite'
import { FileLockedError, FileUnusableError } from './errors.ts'

/** SQLite's result code for a lock that somebody else holds. */
const sqliteBusy = 5

/**
 * The right to write a database file, for one process at a time.
 *
 * It is a lock of the operating system, held through an open transaction on a small SQLite file beside the database: it
 * goes with the process that holds it, however that dies, so a stale lock cannot exist. The file also tells who the owner
 * is, and can be read while it is locked.
 */
export class FileLock implements Disposable {
  readonly #db: DatabaseSync

  private constructor(db: DatabaseSync) {
    this.#db = db
  }

  /** @throws FileLockedError naming the owner's process id; FileUnusableError where the folder cannot be written. */
  static acquire(path: string, processId: number): FileLock {
    const db = openLockFile(path)
    try {
      db.exec('BEGIN IMMEDIATE')
      db.exec('CREATE TABLE IF NOT EXISTS owner (process_id INTEGER NOT NULL)')
      db.exec('DELETE FROM owner')
      db.prepare('INSERT INTO owner (process_id) VALUES (?)').run(processId)
      // The owner becomes readable with this commit; who slips in between wins, and this one sees "busy".
      db.exec('COMMIT')
      db.exec('BEGIN IMMEDIATE')
      return new FileLock(db)
    } catch (error) {
      const owner = ownerOf(db)
      db.close()
      if (isBusy(error)) throw new FileLockedError(path, owner)
      throw unusable(path, error)
    }
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close()
  }
}

function openLockFile(path: string): DatabaseSync {
  try {
    return new DatabaseSync(`${path}-lock`, { timeout: 100 })
  } catch (error) {
    throw unusable(path, error)
  }
}

function unusable(path: string, error: unknown): FileUnusableError {
  return new FileUnusableError(path, `its lock file ${path}-lock: ${(error as Error).message}`, { cause: error })
}

function ownerOf(db: DatabaseSync): number | null {
  try {
    const row = db.prepare('SELECT process_id FROM owner').get()
    return row === undefined ? null : Number(row['process_id'])
  } catch {
    return null
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === sqliteBusy
}
