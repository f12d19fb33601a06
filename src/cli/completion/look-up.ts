import { existsSync } from 'node:fs'
import { type EmbeddedEngine, embedded } from '../../embedded/index.ts'
import { firstLetters, shelvesOf } from '../commands/dead-letter-shelves.ts'
import { desksOf as processDesksOf } from '../commands/process-names.ts'
import { desksOf as sagaDesksOf } from '../commands/saga-names.ts'
import { viewsOf } from '../commands/view-names.ts'
import type { CliEnvironment } from '../environment.ts'
import { namedFile } from '../ground.ts'
import type { LookUp, NameKind } from './candidates.ts'

/** Names offered at most: more than a person reads. */
const namesMax = 200

/**
 * Looks names up in the file that the command line names so far. Whatever goes wrong, there are simply no names. A deployment has
 * none either: nobody who presses a key wants to run a module and wait for servers.
 */
export function fileLookUp(words: readonly string[], environment: CliEnvironment): LookUp {
  return async (kind, prefix) => {
    if (words.some((word) => word === '--deployment' || word.startsWith('--deployment='))) return []
    try {
      const path = namedFile(fileOption(words), environment)
      if (path === undefined || !existsSync(path)) return []
      await using engine = await embedded({ path, readOnly: true }).open(environment)
      return await namesOf(engine, kind, prefix)
    } catch {
      return []
    }
  }
}

function fileOption(words: readonly string[]): { readonly file?: string } {
  for (const [index, word] of words.entries()) {
    if (word.startsWith('--file=')) return { file: word.slice('--file='.length) }
    const value = words[index + 1]
    if (word === '--file' && value !== undefined && value !== '') return { file: value }
  }
  return {}
}

async function namesOf(engine: EmbeddedEngine, kind: NameKind, prefix: string): Promise<readonly string[]> {
  switch (kind) {
    case 'topic':
      return (await engine.topics.list()).map(({ name }) => name)
    case 'group':
      return engine.groups.list()
    case 'view':
      return [...new Set((await viewsOf(engine)).map(({ name }) => name))]
    case 'stream':
      return (await engine.events.listStreams({ prefix, limit: namesMax })).map(({ stream }) => stream)
    case 'dead letter':
      return (await firstLetters(await shelvesOf(engine, undefined), {}, namesMax)).map(({ letter }) => letter.id)
    case 'app':
      return (await shelvesOf(engine, undefined)).map(({ app }) => app)
    case 'saga':
      return [...new Set((await sagaDesksOf(engine, {})).map(({ saga }) => saga))]
    case 'choreography':
      return [...new Set((await processDesksOf(engine, {})).map(({ choreography }) => choreography))]
  }
}
