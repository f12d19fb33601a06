import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { installPackages, provideTools } from '../debian-packages.ts'
import { ToolMissingError } from '../errors.ts'
import { runCommand, tryCommand } from '../run-command.ts'
import type { Report } from '../server-kind.ts'

/** Where Debian puts the programs of each major version; they are not on the PATH. */
const debianFolder = '/usr/lib/postgresql'

/** The folder of `initdb` and `postgres`: the newest of Debian's, else that of the PATH; `undefined` if there is none. */
export async function findPostgresPrograms(folder: string = debianFolder): Promise<string | undefined> {
  const versions = existsSync(folder) ? readdirSync(folder).sort((a, b) => Number(b) - Number(a)) : []
  for (const version of versions) {
    const bin = join(folder, version, 'bin')
    if (existsSync(join(bin, 'initdb'))) return bin
  }
  const { exitCode, output } = await tryCommand('sh', ['-c', 'readlink -f "$(command -v initdb)"'])
  return exitCode === 0 && output.trim() !== '' ? dirname(output.trim()) : undefined
}

/** Installs PostgreSQL from Debian if the machine has none. Its own cluster is left alone. */
export async function providePostgres(report: Report): Promise<void> {
  await provideTools([{ program: 'openssl', debianPackage: 'openssl' }], report)
  if ((await findPostgresPrograms()) !== undefined) return
  await installPackages([{ program: 'postgres', debianPackage: 'postgresql' }], report)
  if ((await findPostgresPrograms()) !== undefined) return
  throw new ToolMissingError(['postgres'], `apt installed it, but there is no initdb under ${debianFolder}.`)
}

/** Like {@link findPostgresPrograms}, where they must be there. Fails with `SERVER_TOOL_MISSING`. */
export async function postgresPrograms(): Promise<string> {
  const found = await findPostgresPrograms()
  if (found !== undefined) return found
  throw new ToolMissingError(['postgres'], 'Run `npm run servers -- up postgres`, which installs it.')
}

/** Major version of these programs, as PG_VERSION states it. */
export async function postgresMajor(bin: string): Promise<string> {
  const text = await runCommand(join(bin, 'postgres'), ['--version'])
  return /\d+/.exec(text)?.[0] ?? text.trim()
}

/** The user that PostgreSQL runs as where this process is root, which it refuses to be; else nobody else. */
export async function postgresUser(): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const uid = Number(await runCommand('id', ['-u', 'postgres']))
  const gid = Number(await runCommand('id', ['-g', 'postgres']))
  return { uid, gid }
}
