import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const leftOut = /(^|\/)(node_modules|dist|coverage|\.git|\.cache|\.data)(\/|$)/
const textNames = /\.(ts|mjs|js|json|md|yaml|yml|toml|txt|csv|sh)$|(^|\/)(\.[a-z]+|LICENSE|NOTICE|run)$/

function listed(root: string): string[] {
  try {
    const output = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return output.split('\0').filter((path) => path !== '')
  } catch {
    // Not a clone: an unpacked archive has no ignored files but the well-known ones.
    return readdirSync(root, { recursive: true, encoding: 'utf8' }).map((path) => path.replaceAll('\\', '/'))
  }
}

/** Paths of all text files of the repository, relative to its root, with forward slashes. */
export function sourcePaths(root: string): string[] {
  return listed(root).filter((path) => !leftOut.test(path) && textNames.test(path) && existsSync(join(root, path)))
}

/** The text of one of {@link sourcePaths}. */
export function readSource(root: string, path: string): string {
  return readFileSync(join(root, path), 'utf8')
}
