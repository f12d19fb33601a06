import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { EngineSource } from '../../engine/index.ts'
import { AppUnusableError, NotFoundError } from '../errors.ts'

/**
 * Imports the engine that a module exports, as its default or under the name `engine`.
 *
 * @throws NotFoundError `CLI_NOT_FOUND`, AppUnusableError `CLI_APP_UNUSABLE`
 */
export async function loadEngine(given: string, cwd: string): Promise<EngineSource> {
  const path = resolve(cwd, given)
  if (!existsSync(path) || !statSync(path).isFile()) {
    throw new NotFoundError('module', path, 'Give the path of the file that exports the engine, with its extension.')
  }
  let exported: Readonly<Record<string, unknown>>
  try {
    exported = (await import(/* @vite-ignore */ pathToFileURL(path).href)) as Readonly<Record<string, unknown>>
  } catch (error) {
    const problem = `it threw while it was loaded: ${error instanceof Error ? error.message : String(error)}`
    throw new AppUnusableError(path, problem, 'Correct the module; --debug shows where it throws.', { cause: error })
  }
  const engine = [exported['default'], exported['engine']].find(isEngine)
  if (engine !== undefined) return engine
  throw new AppUnusableError(
    path,
    'none of its exports is an engine',
    "Export what embedded(), deployment() or another engine's function returns: 'export default deployment({ … })'.",
  )
}

/** It may come from another copy of Millrace than this one, so only its shape counts. */
function isEngine(value: unknown): value is EngineSource {
  return typeof value === 'object' && value !== null && 'capabilities' in value && 'open' in value
}
