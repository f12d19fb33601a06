import { existsSync, readFileSync, type Stats, statSync } from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { type EmbeddedEngine, embedded, FileUnusableError, NotADatabaseFileError } from '../embedded/index.ts'
import type { Engine, EngineSource } from '../engine/index.ts'
import { loadEngine } from './dev/engine-module.ts'
import type { CliEnvironment } from './environment.ts'
import { ConfigInvalidError, FileUnnamedError, NotFoundError, UsageError } from './errors.ts'
import type { GlobalOptions, Invocation } from './session.ts'

/** How a command uses its ground: `'create'` writes, and makes a file that is not there. */
export type GroundUse = 'read' | 'write' | 'create'

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
 * Opens what a command works on for the time of some work: the engine of `--deployment`, or the file.
 *
 * An app may run there meanwhile, except on a file that is written.
 *
 * @throws FileUnnamedError `CLI_FILE_UNNAMED`, NotFoundError `CLI_NOT_FOUND`, FileLockedError `FILE_LOCKED`, UsageError `CLI_USAGE`,
 *   AppUnusableError `CLI_APP_UNUSABLE`, and what the engine throws when it is opened
 */
export async function withEngine<Result>(
  invocation: Pick<Invocation<object>, 'options' | 'environment' | 'output'>,
  use: GroundUse,
  work: (engine: Engine) => Promise<Result>,
): Promise<Result> {
  const { options, environment } = invocation
  if (options.deployment === undefined) return await withFile(invocation, use, work)
  const { clock, random, signal } = environment
  const source = await loadDeployment(options, environment)
  signal.throwIfAborted()
  const opening = source.open({ clock, random, visit: use === 'read' ? 'read' : 'write' })
  await using engine = await orAborted(opening, signal)
  return await work(engine)
}

/** The engine that `--deployment` names. @throws UsageError `CLI_USAGE`, NotFoundError `CLI_NOT_FOUND`, AppUnusableError `CLI_APP_UNUSABLE` */
async function loadDeployment(
  { deployment = '', file }: Pick<GlobalOptions, 'file' | 'deployment'>,
  { cwd }: CliEnvironment,
): Promise<EngineSource> {
  if (file !== undefined) {
    throw new UsageError('--deployment says where everything is kept: leave --file out.', 'millrace')
  }
  return await loadEngine(deployment, cwd)
}

/** A server that does not answer is waited for, but not by somebody who has given up. */
async function orAborted(opening: Promise<Engine>, signal: AbortSignal): Promise<Engine> {
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => aborted.reject(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([opening, aborted.promise])
  } catch (error) {
    // Should it open all the same, nobody uses it.
    if (signal.aborted) {
      opening.then(
        (engine) => engine.close(),
        () => undefined,
      )
    }
    throw error
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/**
 * Opens the file for the time of some work that only a file can do.
 *
 * For reading it may belong to a running app; for writing it must be nobody's.
 *
 * @throws FileUnnamedError `CLI_FILE_UNNAMED`, NotFoundError `CLI_NOT_FOUND`, FileLockedError `FILE_LOCKED` and what
 *   `embedded().open()` throws
 */
export async function withFile<Result>(
  { options, environment, output }: Pick<Invocation<object>, 'options' | 'environment' | 'output'>,
  use: GroundUse,
  work: (engine: EmbeddedEngine) => Promise<Result>,
): Promise<Result> {
  const path = use === 'create' ? fileMeant(options, environment) : presentFile(options, environment)
  const isNew = !existsSync(path)
  const { clock, random } = environment
  await using engine = await embedded({ path }).open({ clock, random, visit: use === 'read' ? 'read' : 'write' })
  if (isNew) output.note(`Created ${shownPath(path, environment.cwd)}.`)
  return await work(engine)
}

/** Who does what a command asks of an app, and when: on servers one may run meanwhile, and it watches for what is asked of it. */
export function doneByApp({ deployment }: Pick<GlobalOptions, 'deployment'>): string {
  return deployment === undefined ? 'the app does it when it starts' : 'an app that runs does it now'
}

/** For a command that only a file can do. @throws UsageError `CLI_USAGE` */
export function refuseDeployment(
  { deployment }: Pick<GlobalOptions, 'deployment'>,
  command: string,
  why: string,
): void {
  if (deployment !== undefined) throw new UsageError(`--deployment is not for this command: ${why}`, command)
}

/** A path as people read it: relative where it lies in the working directory. */
export function shownPath(path: string, cwd: string): string {
  const inside = relative(cwd, path)
  return inside === '' || inside.startsWith('..') || isAbsolute(inside) ? path : inside
}
