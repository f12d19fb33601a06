import { existsSync, readFileSync, type Stats, statSync } from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { type EmbeddedEngine, embedded, FileUnusableError, NotADatabaseFileError } from '../embedded/index.ts'
import type { CliEnvironment } from './environment.ts'
import { ConfigInvalidError, FileUnnamedError, NotFoundError, UsageError } from './errors.ts'
import type { GlobalOptions, Invocation } from './session.ts'

/** How a command uses the file: `'create'` writes and makes it if it is not there. */
export type FileUse = 'read' | 'write' | 'create'

/**
 * Which file is meant: `--file`, else `MILLRACE_FILE`, else `millrace.file` in the nearest package.json that has it, from
 * the working directory upwards. `undefined`: none is named.
 *
 * @throws ConfigInvalidError `CLI_CONFIG_INVALID`, UsageError `CLI_USAGE`: `--file` names nothing.
 */
export function namedFile(options: Pick<GlobalOptions, 'file'>, environment: CliEnvironment): string | undefined {
  const { cwd, env } = environment
  const fromVariable = env['MILLRACE_FILE']
  if (options.file === '') throw new UsageError('--file is empty: give a path.', 'millrace')
  if (options.file !== undefined) return resolve(cwd, options.file)
  if (fromVariable !== undefined && fromVariable !== '') return resolve(cwd, fromVariable)
  for (let folder = cwd; ; folder = dirname(folder)) {
    const file = configuredFile(join(folder, 'package.json'))
    if (file !== undefined) return resolve(folder, file)
    if (dirname(folder) === folder) return undefined
  }
}

function configuredFile(packagePath: string): string | undefined {
  if (!existsSync(packagePath)) return undefined
  let content: unknown
  try {
    content = JSON.parse(readFileSync(packagePath, 'utf8'))
  } catch (cause) {
    throw new ConfigInvalidError(packagePath, 'cannot be read as JSON', { cause })
  }
  const section = (content as { readonly millrace?: { readonly file?: unknown } } | null)?.millrace
  if (section?.file === undefined) return undefined
  if (typeof section.file === 'string' && section.file !== '') return section.file
  throw new ConfigInvalidError(packagePath, 'names no path under "millrace.file"')
}

function fileMeant(options: Pick<GlobalOptions, 'file'>, environment: CliEnvironment): string {
  const path = namedFile(options, environment)
  if (path === undefined) throw new FileUnnamedError()
  return path
}

/**
 * The file that is meant, which must be there and hold something: an empty one would be made a Millrace file by a command
 * that only wanted to change one.
 *
 * @throws FileUnnamedError `CLI_FILE_UNNAMED`, NotFoundError `CLI_NOT_FOUND`, NotADatabaseFileError `FILE_FOREIGN`
 */
export function presentFile(options: Pick<GlobalOptions, 'file'>, environment: CliEnvironment): string {
  const path = fileMeant(options, environment)
  const stats = statsOf(path)
  if (stats?.isFile() === true && stats.size === 0) throw new NotADatabaseFileError(path, 'it is empty')
  if (stats !== undefined) return path
  throw new NotFoundError(
    'file',
    path,
    'Correct the path; "millrace dev <app>" and "millrace topics create" make new files.',
  )
}

function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (cause) {
    // A folder on the way that may not be searched, or a name that is too long.
    throw new FileUnusableError(path, (cause as Error).message, { cause })
  }
}

/**
 * Opens the file for the time of some work.
 *
 * For reading it may belong to a running app; for writing it must be nobody's.
 *
 * @throws FileUnnamedError `CLI_FILE_UNNAMED`, NotFoundError `CLI_NOT_FOUND`, FileLockedError `FILE_LOCKED` and what
 *   `embedded().open()` throws
 */
export async function withEngine<Result>(
  { options, environment, output }: Pick<Invocation<object>, 'options' | 'environment' | 'output'>,
  use: FileUse,
  work: (engine: EmbeddedEngine) => Promise<Result>,
): Promise<Result> {
  const path = use === 'create' ? fileMeant(options, environment) : presentFile(options, environment)
  const isNew = !existsSync(path)
  const { clock, random } = environment
  // A short visit leaves retention and compaction to the app.
  const source = embedded({ path, ...(use === 'read' ? { readOnly: true } : { maintenanceIntervalMs: 0 }) })
  await using engine = await source.open({ clock, random })
  if (isNew) output.note(`Created ${shownPath(path, environment.cwd)}.`)
  return await work(engine)
}

/** A path as people read it: relative where it lies in the working directory. */
export function shownPath(path: string, cwd: string): string {
  const inside = relative(cwd, path)
  return inside === '' || inside.startsWith('..') || isAbsolute(inside) ? path : inside
}
