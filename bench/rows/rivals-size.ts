import { execFile } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { bundle } from '../../scripts/bundle.ts'
import { folderBytes } from '../../scripts/folder-bytes.ts'
import { type InstalledSize, installedSize } from '../../scripts/servers/index.ts'
import { comparisonOf, type Entry } from '../comparison.ts'
import { type Contender, publishers } from '../contenders.ts'
import { importedBy, npmClosure } from '../npm-closure.ts'
import { preparePeers } from '../peer.ts'
import { removeServers } from '../rivals.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'

const mebibyte = 1024 * 1024
const root = join(import.meta.dirname, '..', '..')
const peers = join(root, 'bench', 'peers')
const toldCount = 3
const counted =
  'counted: files of npm packages and of Debian packages, with all that they depend on but what any Debian has; not Node'

interface Part {
  readonly name: string
  readonly bytes: number
}

/** Millrace as it is published, which is built for that: its own files, and what it depends on. */
async function millrace(folder: string): Promise<readonly Part[]> {
  const compiler = join(root, 'node_modules', '.bin', 'tsc')
  await promisify(execFile)(compiler, ['-p', join(root, 'tsconfig.build.json'), '--outDir', join(folder, 'dist')])
  await bundle(join(folder, 'dist'))
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
  const files = ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'].map((name) => statSync(join(root, name)).size)
  const bytes = files.reduce((sum, size) => sum + size, folderBytes(folder) + folderBytes(join(root, 'bin')))
  return [{ name: 'millrace', bytes }, ...npmClosure(Object.keys(manifest.dependencies), root)]
}

/** What npm installs for the program of a contender. */
function packagesOf({ program, part, server }: Contender, own: readonly Part[]): readonly Part[] {
  const imported = importedBy(readFileSync(join(peers, program), 'utf8'))
  // An optional peer, which its engine on PostgreSQL cannot do without.
  if (part === 'own' && server !== undefined) imported.push('pg')
  return [...(part === 'own' ? own : []), ...npmClosure(imported, peers)].sort((a, b) => b.bytes - a.bytes)
}

const told = (bytes: number): string => (bytes / mebibyte).toFixed(1)
const sumOf = (parts: readonly Part[]): number => parts.reduce((sum, { bytes }) => sum + bytes, 0)

function largestOf(parts: readonly Part[]): string {
  const largest = parts.slice(0, toldCount).map(({ name, bytes }) => `${name} ${told(bytes)}`)
  const others = parts.length - largest.length
  return [...largest, ...(others > 0 ? [`${others} more`] : [])].join(', ')
}

async function run({ folder }: RowSettings): Promise<readonly Figure[]> {
  await preparePeers()
  const contenders = publishers.filter(({ part }) => part !== 'weaker')
  const own = await millrace(folder)
  const entries: Entry[] = []
  try {
    for (const contender of contenders) {
      const packages = packagesOf(contender, own)
      await contender.server?.start()
      const none: InstalledSize = { bytes: 0, parts: [] }
      const server = contender.server === undefined ? none : await installedSize(contender.server.name)
      const notes = entries.length === 0 ? [counted] : []
      notes.push(`npm ${told(sumOf(packages))}: ${largestOf(packages)}`)
      if (contender.server !== undefined) notes.push(`server ${told(server.bytes)}: ${largestOf(server.parts)}`)
      const { name, part } = contender
      entries.push({ name, part, value: (sumOf(packages) + server.bytes) / mebibyte, notes })
    }
  } finally {
    await removeServers(contenders)
  }
  return comparisonOf({ what: 'installed', unit: 'MiB', better: 'less' }, entries)
}

/** What has to be brought to a machine that has Node.js and a bare Debian. */
export const rivalsSize: BenchRow = { title: 'Installation beside others', run }
