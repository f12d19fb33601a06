import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync, unlinkSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { backup, type DatabaseSync } from 'node:sqlite'
import { OptionsInvalidError } from '../kernel/index.ts'
import { partialPathOf, removeLeftovers } from './backup-leftovers.ts'
import { databaseBytes, opened, syncFolder } from './connection.ts'

/** Copied between two looks at the signal: about 8 MiB. */
const pagesPerStep = 1_000

/**
 * Copies the database as `db` sees it. It is written beside its place first, and takes its name when it is complete and
 * synced: a copy that was cut short is never taken for a whole one.
 */
export async function backupTo(
  db: DatabaseSync,
  toPath: string,
  onProgress: (progress: { readonly done: number; readonly total: number }) => void,
  signal: AbortSignal,
): Promise<{ readonly bytes: number }> {
  if (typeof toPath !== 'string' || toPath === '' || toPath.includes('\0') || existsSync(toPath)) throw pathRefused()
  const target = resolve(toPath)
  const partial = partialPathOf(target)
  removeLeftovers(target)
  try {
    if (isInMemory(db)) copyAtOnce(db, partial, onProgress)
    else {
      await backup(db, partial, {
        rate: pagesPerStep,
        progress: ({ totalPages, remainingPages }) => {
          // What is thrown here ends the copying.
          signal.throwIfAborted()
          onProgress({ done: totalPages - remainingPages, total: totalPages })
        },
      })
    }
    signal.throwIfAborted()
    nameOnce(partial, target)
    syncFolder(dirname(target))
  } catch (error) {
    rmSync(partial, { force: true })
    throw error instanceof OptionsInvalidError ? error : opened(toPath, error)
  }
  return { bytes: databaseBytes(db) }
}

function pathRefused(): OptionsInvalidError {
  return new OptionsInvalidError('backup()', [{ option: 'toPath', problem: 'is no path or exists already' }])
}

/** Gives a complete file its name, unless there is one of that name by now. */
function nameOnce(partial: string, target: string): void {
  try {
    linkSync(partial, target)
  } catch (error) {
    // Either that, or a file system without links.
    if (existsSync(target)) throw pathRefused()
    if (!(error instanceof Error && 'syscall' in error)) throw error
    renameSync(partial, target)
    return
  }
  unlinkSync(partial)
}

function isInMemory(db: DatabaseSync): boolean {
  return db.location() === null
}

/**
 * A database in memory has one connection, which goes on writing: SQLite's stepwise backup, which runs in another thread,
 * would meet it in the middle of a transaction. It is copied in one step instead; there is no disk to be waited for but
 * that of the copy.
 */
function copyAtOnce(
  db: DatabaseSync,
  path: string,
  onProgress: (progress: { readonly done: number; readonly total: number }) => void,
): void {
  db.prepare('VACUUM INTO ?').run(path)
  const file = openSync(path, 'r+')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  onProgress({ done: 1, total: 1 })
}
