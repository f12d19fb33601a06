import { openForWriting, placeOf } from '../src/embedded/connection.ts'
import { EmbeddedEngine, type EmbeddedOptions } from '../src/embedded/index.ts'
import { resolveEmbeddedOptions } from '../src/embedded/options.ts'
import { openFile } from '../src/embedded/storage.ts'
import { InlineStoreClient } from '../src/embedded/store-client.ts'
import { systemClock, systemRandom } from '../src/kernel/index.ts'

/**
 * Opens a file with the writing side in the caller's thread. SQLite recovers and writes it by the same code; to start a thread
 * takes ten times as long as all the rest of looking at a small file.
 */
export function openInSameThread(options: EmbeddedOptions): Promise<EmbeddedEngine> {
  const environment = { clock: systemClock, random: systemRandom }
  return EmbeddedEngine.open(resolveEmbeddedOptions(options), environment, ({ path }) =>
    openFile(path, placeOf(path, true), false, (place) => new InlineStoreClient(openForWriting(place), place)),
  )
}
