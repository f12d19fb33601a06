import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/**
 * A new folder beside `path`, to be renamed to it once its contents are whole. What earlier attempts left is removed; each
 * has a name of its own, since a program that outlived its attempt may still be writing.
 */
export function partialFolderFor(path: string): string {
  const prefix = `${basename(path)}.partial-`
  for (const name of readdirSync(dirname(path)))
    if (name.startsWith(prefix)) rmSync(join(dirname(path), name), { recursive: true, force: true })
  return mkdtempSync(join(dirname(path), prefix))
}
