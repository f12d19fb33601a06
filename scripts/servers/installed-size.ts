import { basename } from 'node:path'
import { folderBytes } from '../folder-bytes.ts'
import { closureOf, packageFormat, parsePackages } from './debian-closure.ts'
import { kindOf, type ServerName } from './kinds.ts'
import { runCommand, tryCommand } from './run-command.ts'
import { type PlaceOptions, resolveServersRoot } from './server-place.ts'

/** What a server takes on disk, without data. */
export interface InstalledSize {
  readonly bytes: number
  /** Largest first. */
  readonly parts: readonly { readonly name: string; readonly bytes: number }[]
}

/**
 * What it takes to have a server on this machine: what was downloaded, and its Debian packages with all that they depend on but
 * what any Debian has. Looks at what is installed: start the server once before.
 */
export async function installedSize(name: ServerName, options: PlaceOptions = {}): Promise<InstalledSize> {
  const { installedFolder } = resolveServersRoot(options)
  const { folders, programs } = await kindOf(name).installation(installedFolder)
  const known = parsePackages(await runCommand('dpkg-query', ['-W', '-f', packageFormat]))
  const packages = new Set<(typeof known)[number]>()
  for (const program of programs) {
    for (const one of closureOf(await packageOf(program), known)) packages.add(one)
  }
  const downloaded = folders.map((folder) => ({ name: basename(folder), bytes: folderBytes(folder) }))
  const parts = [...downloaded, ...[...packages].map(({ name: part, bytes }) => ({ name: part, bytes }))]
  parts.sort((a, b) => b.bytes - a.bytes)
  return { bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0), parts }
}

/** The Debian package that a program belongs to, by the path under which it is called or the file that this leads to. */
async function packageOf(program: string): Promise<string> {
  const path = (await runCommand('sh', ['-c', 'command -v "$0"', program])).trim()
  const file = (await runCommand('readlink', ['-f', path])).trim()
  for (const one of [path, file]) {
    const { exitCode, output } = await tryCommand('dpkg', ['-S', one])
    const owner = /^([^\s:,]+)/.exec(output)?.[1]
    if (exitCode === 0 && owner !== undefined) return owner
  }
  throw new Error(`No Debian package has brought ${path}, so nobody says what it needs.`)
}
