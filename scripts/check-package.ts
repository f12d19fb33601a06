// Checks the package as a stranger gets it: what publint and attw say about the tarball, then the tarball installed into
// an empty folder, with every door imported, the command started, and a strict program compiled against the types.
// Needs a finished build.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const tool = (name: string): string => join(root, 'node_modules', '.bin', name)

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, unknown>>
  readonly bin: Readonly<Record<string, string>>
}
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest

/** Import specifiers of all doors that are code. */
const doors = Object.keys(manifest.exports)
  .filter((door) => !door.endsWith('.json'))
  .map((door) => manifest.name + door.slice(1))

function run(cwd: string, command: string, args: readonly string[]): { ok: boolean; stdout: string; all: string } {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  })
  return { ok: status === 0, stdout: stdout ?? '', all: `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`.trim() }
}

/** Faults of one check: what it said if it failed. */
function require(title: string, result: { ok: boolean; all: string }): string[] {
  console.log(`${result.ok ? 'ok    ' : 'FAILED'} ${title}`)
  return result.ok ? [] : [`${title}:\n${result.all}`]
}

function importsOf(folder: string): string[] {
  return doors.flatMap((door) => {
    const code = `const names = Object.keys(await import('${door}')); if (names.length === 0) throw new Error('It exports nothing.')`
    return require(`import of ${door}`, run(folder, process.execPath, ['--input-type=module', '--eval', code]))
  })
}

function command(folder: string): string[] {
  return Object.keys(manifest.bin).flatMap((name) => {
    const link = join(folder, 'node_modules', '.bin', name)
    const help = run(folder, link, ['--help'])
    // Says of itself that it is older, so that the refusal can be seen on the Node that is here.
    const older = "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.0.0' } })"
    const refusal = run(folder, process.execPath, [
      '--import',
      `data:text/javascript,${encodeURIComponent(older)}`,
      link,
    ])
    const refuses = !refusal.ok && /needs Node\.js [\d.]+ or newer; this is Node\.js 20\.0\.0/.test(refusal.all)
    return [
      ...require(`${name} --help`, { ok: help.ok && /usage/i.test(help.stdout), all: help.all }),
      ...require(`${name} on an older Node.js`, { ok: refuses, all: refusal.all }),
    ]
  })
}

function compiled(folder: string): string[] {
  const lines = doors.map((door, index) => `import * as door${index} from '${door}'`)
  const uses = doors.map((_, index) => `door${index}`).join(', ')
  writeFileSync(
    join(folder, 'program.ts'),
    `${lines.join('\n')}\n\nexport const doors: readonly object[] = [${uses}]\n`,
  )
  const compilerOptions = {
    target: 'ES2024',
    module: 'NodeNext',
    strict: true,
    exactOptionalPropertyTypes: true,
    // The declarations that we ship are part of what is checked.
    skipLibCheck: false,
    noEmit: true,
    types: ['node'],
    typeRoots: [join(root, 'node_modules', '@types')],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['program.ts'] }))
  return require('a strict program compiles against the types', run(folder, tool('tsc'), ['-p', folder]))
}

function check(folder: string): string[] {
  const packed = run(root, 'npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder])
  const faults = require('npm pack', packed)
  const tarball = join(folder, packed.stdout.trim().split('\n').at(-1) ?? '')
  if (!packed.ok) return faults
  faults.push(...require('publint', run(root, tool('publint'), [tarball, '--strict'])))
  faults.push(...require('attw', run(root, tool('attw'), [tarball, '--profile', 'esm-only', '--format', 'ascii'])))
  writeFileSync(join(folder, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }\n')
  const installed = run(folder, 'npm', [
    'install',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    tarball,
  ])
  faults.push(...require('installs into an empty folder', installed))
  if (!installed.ok) return faults
  return [...faults, ...importsOf(folder), ...command(folder), ...compiled(folder)]
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-package-'))
try {
  const faults = check(folder)
  for (const fault of faults) console.error(`\n${fault}`)
  process.exitCode = faults.length === 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
