import type { EngineSource } from '../../engine/index.ts'
import { AppUnusableError } from '../errors.ts'
import { loadModule, otherExports } from './load-module.ts'

/**
 * Imports the engine that a module exports, as its default or under the name `engine`.
 *
 * @throws NotFoundError `CLI_NOT_FOUND`, AppUnusableError `CLI_APP_UNUSABLE`
 */
export async function loadEngine(given: string, cwd: string): Promise<EngineSource> {
  const { path, exported } = await loadModule(given, cwd, 'the engine')
  const engine = [exported['default'], exported['engine']].find(isEngine)
  if (engine !== undefined) return engine
  throw new AppUnusableError(
    path,
    otherExports(exported, 'an engine'),
    "Export what embedded(), deployment() or another engine's function returns: 'export default deployment({ … })'.",
  )
}

/** It may come from another copy of Millrace than this one, so only its shape counts. */
function isEngine(value: unknown): value is EngineSource {
  return typeof value === 'object' && value !== null && 'capabilities' in value && 'open' in value
}
