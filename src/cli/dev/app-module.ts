import type { App } from '../../app/index.ts'
import { AppUnusableError } from '../errors.ts'
import { loadModule, otherExports } from './load-module.ts'

/**
 * Imports the app that a module exports, as its default or under the name `app`.
 *
 * @throws NotFoundError `CLI_NOT_FOUND`, AppUnusableError `CLI_APP_UNUSABLE`
 */
export async function loadApp(given: string, cwd: string): Promise<App> {
  const { path, exported } = await loadModule(given, cwd, 'the app')
  const app = [exported['default'], exported['app']].find(isApp)
  if (app !== undefined) return app
  throw new AppUnusableError(
    path,
    otherExports(exported, 'an app'),
    "Export what app() returns: 'export default app(…)', or 'export const app = …'.",
  )
}

/** The app may come from another copy of Millrace than this one, so only its shape counts. */
function isApp(value: unknown): value is App {
  if (typeof value !== 'object' || value === null) return false
  const { name, services, start } = value as Partial<Record<keyof App, unknown>>
  return typeof name === 'string' && Array.isArray(services) && typeof start === 'function'
}
