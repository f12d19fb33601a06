import type { DatabaseSync } from 'node:sqlite'
import { memoryPath, opened, openForReading, openForWriting, openSnapshot, placeOf } from './connection.ts'
import { FileLock } from './file-lock.ts'
import type { EmbeddedOptions } from './options.ts'
import { InlineStoreClient, type StoreClient, ThreadStoreClient } from './store-client.ts'

/** A connection that sees one moment of the database. */
export interface StorageSnapshot {
  readonly db: DatabaseSync
  release(): void
}

/**
 * What an open engine stands on: a way to read and a way to write one database, which may be answered late, or never. A
 * simulator puts its own in place of the file, and decides what survives.
 */
export interface Storage {
  /** Sees what is committed. */
  readonly reader: DatabaseSync
  /** Undefined where the engine only reads. */
  readonly client: StoreClient | undefined
  /** For long work that nothing must disturb. */
  snapshot(): StorageSnapshot
  /** After the last request; idempotent. */
  close(): Promise<void>
}

/** Opens the storage that the options name; rejects with what keeps it from opening. */
export type StorageOpener = (options: Required<EmbeddedOptions>) => Promise<Storage>

/** The file of the options, or the memory of this process. */
export const openStorage: StorageOpener = async (options) => {
  const { path, readOnly } = options
  const place = placeOf(path, !readOnly)
  return place === memoryPath ? openMemory(path) : await openFile(path, place, readOnly)
}

function openMemory(path: string): Storage {
  const reader = openForWriting(path)
  const client = new InlineStoreClient(reader, path)
  return {
    reader,
    client,
    snapshot: () => ({ db: reader, release: () => undefined }),
    close: () => client.close(),
  }
}

/** @param startClient How its writing side is started. Default: in a thread. */
export async function openFile(
  path: string,
  place: string,
  readOnly: boolean,
  startClient: (place: string) => StoreClient | Promise<StoreClient> = (file) => ThreadStoreClient.start(file),
): Promise<Storage> {
  const lock = readOnly ? undefined : FileLock.acquire(place, process.pid)
  let client: StoreClient | undefined
  try {
    if (!readOnly) client = await startClient(place)
    const reader = openForReading(place)
    return {
      reader,
      client,
      snapshot: () => {
        const db = openSnapshot(place)
        return { db, release: () => db.close() }
      },
      close: () => closeFile(reader, client, lock),
    }
  } catch (error) {
    await client?.close().catch(() => undefined)
    lock?.[Symbol.dispose]()
    throw opened(path, error)
  }
}

async function closeFile(
  reader: DatabaseSync,
  client: StoreClient | undefined,
  lock: FileLock | undefined,
): Promise<void> {
  try {
    if (reader.isOpen) reader.close()
  } finally {
    try {
      await client?.close()
    } finally {
      lock?.[Symbol.dispose]()
    }
  }
}
