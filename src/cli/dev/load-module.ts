import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { factsOf } from '../error-report.ts'
import { AppUnusableError, NotFoundError } from '../errors.ts'

/** A module of the user's: where it is, and what it exports. */
export interface LoadedModule {
  readonly path: string
  readonly exported: Readonly<Record<string, unknown>>
}

/**
 * Imports a module of the user's. TypeScript runs as it stands, as far as Node.js can strip its types.
 *
 * @param exporting What it is to export, in words.
 * @throws NotFoundError `CLI_NOT_FOUND`, AppUnusableError `CLI_APP_UNUSABLE`
 */
export async function loadModule(given: string, cwd: string, exporting: string): Promise<LoadedModule> {
  const path = resolve(cwd, given)
  if (!existsSync(path) || !statSync(path).isFile()) {
    throw new NotFoundError('module', path, `Give the path of the file that exports ${exporting}, with its extension.`)
  }
  try {
    const exported = (await import(/* @vite-ignore */ pathToFileURL(path).href)) as LoadedModule['exported']
    return { path, exported }
  } catch (error) {
    throw notLoaded(path, error)
  }
}

/** What a module without the export that was looked for has instead. */
export function otherExports(exported: LoadedModule['exported'], wanted: string): string {
  const names = Object.keys(exported)
  return names.length === 0 ? 'it exports nothing' : `none of its exports is ${wanted} (${names.join(', ')})`
}

function notLoaded(path: string, error: unknown): AppUnusableError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const message = error instanceof Error ? error.message : String(error)
  const options = { cause: error }
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') {
    const remedy =
      'Node.js only strips types: avoid enums, namespaces and parameter properties, or give it compiled JavaScript.'
    return new AppUnusableError(path, message.trim(), remedy, options)
  }
  if (error instanceof SyntaxError || code === 'ERR_INVALID_TYPESCRIPT_SYNTAX') {
    const place = error instanceof Error ? placeOf(error, path) : ''
    const what = message.includes('does not provide an export') ? 'an import' : 'a syntax error'
    return new AppUnusableError(path, `${what}${place}: ${message.trim()}`, 'Correct the module.', options)
  }
  if (code === 'ERR_MODULE_NOT_FOUND') {
    const remedy = 'Install what it imports, and write relative imports with their extension.'
    return new AppUnusableError(path, message, remedy, options)
  }
  const { problem } = factsOf(error)
  return new AppUnusableError(
    path,
    `it threw while it was loaded: ${problem.replace(/\.$/, '')}`,
    'Correct the module; --debug shows where it throws.',
    options,
  )
}

/**
 * Where a syntax error is. Node.js begins the stack with the place, but not for JavaScript that was imported; for that its
 * own check of the file tells.
 */
function placeOf(error: Error, path: string): string {
  const stack = error.stack ?? ''
  // A stack that names the place begins with it, and the error's name comes later.
  const told = stack.startsWith('SyntaxError')
    ? spawnSync(process.execPath, ['--check', path], { encoding: 'utf8' }).stderr
    : stack
  const place = /^(?:file:\/\/)?(\/\S+:\d+|[A-Za-z]:\S+:\d+)$/m.exec(told)?.[1]
  return place === undefined ? '' : ` at ${place}`
}
