import {
  memoryPath,
  opened,
  openForReading,
  openForWriting,
  openSnapshot,
  placeOf,
} from '../src/embedded/connection.ts'
import { FileLock } from '../src/embedded/file-lock.ts'
import { EmbeddedEngine, type EmbeddedOptions } from '../src/embedded/index.ts'
import { resolveEmbeddedOptions } from '../src/embedded/options.ts'
import type { StorageOpener } from '../src/embedded/storage.ts'
import { InlineStoreClient } from '../src/embedded/store-client.ts'
import { InvariantError, systemClock, systemRandom } from '../src/kernel/index.ts'

/**
 * Opens a file with the writing side in the caller's thread. SQLite recovers and writes it by the same code; to start a thread
 * takes ten times as long as all the rest of looking at a small file.
 */
export function openInSameThread(options: EmbeddedOptions): Promise<EmbeddedEngine> {
  const environment = { clock: systemClock, random: systemRandom }
  return EmbeddedEngine.open(resolveEmbeddedOptions(options), environment, openFile)
}

const openFile: StorageOpener = async ({ path }) => {
  const place = placeOf(path, true)
  if (place === memoryPath) throw new InvariantError('a file is opened here')
  const lock = FileLock.acquire(place, process.pid)
  try {
    const client = new InlineStoreClient(openForWriting(place), place)
    const reader = openForReading(place)
    return {
      reader,
      client,
      snapshot: () => {
        const db = openSnapshot(place)
        return { db, release: () => db.close() }
      },
      close: async () => {
        try {
          if (reader.isOpen) reader.close()
          await client.close()
        } finally {
          lock[Symbol.dispose]()
        }
      },
    }
  } catch (error) {
    lock[Symbol.dispose]()
    throw opened(path, error)
  }
}
