import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { folderBytes } from '../scripts/folder-bytes.ts'

/** A package that npm installed. */
export interface NpmPackage {
  readonly name: string
  readonly folder: string
  /** Of its files, without packages that lie in it. */
  readonly bytes: number
}

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
}

/** Packages that a program imports by name, in an import or a call of `require`; not those that it may import later. */
export function importedBy(source: string): string[] {
  const specifiers = [...source.matchAll(/(?:^import .*|^\} )from '([^']+)'|\brequire\('([^']+)'\)|\)\('([^']+)'\)/gm)]
  const names = specifiers
    .map(([, from, required, called]) => (from ?? required ?? called) as string)
    .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
    .map((specifier) => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/'))
  return [...new Set(names)]
}

/**
 * These packages with all that npm installs for them: dependencies, optional ones that are there, and peers that are not
 * optional. Found as Node finds them from a folder.
 */
export function npmClosure(names: readonly string[], from: string): NpmPackage[] {
  const found = new Map<string, NpmPackage>()
  const visit = (name: string, folder: string, isOptional: boolean): void => {
    const place = placeOf(name, folder)
    if (place === undefined) {
      if (isOptional) return
      throw new Error(`The package ${name} is not installed where ${folder} looks for it.`)
    }
    if (found.has(place)) return
    const inside = join(place, 'node_modules')
    found.set(place, { name, folder: place, bytes: folderBytes(place, (path) => path === inside) })
    for (const [needed, isSpare] of neededBy(place)) visit(needed, place, isSpare)
  }
  for (const name of names) visit(name, from, false)
  return [...found.values()].sort((a, b) => b.bytes - a.bytes)
}

function neededBy(folder: string): readonly (readonly [name: string, isOptional: boolean])[] {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
  const { dependencies = {}, optionalDependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = manifest
  const peers = Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional !== true)
  return [
    // npm lists what is optional among the others too.
    ...[...Object.keys(dependencies), ...peers].map((name) => [name, name in optionalDependencies] as const),
    ...Object.keys(optionalDependencies).map((name) => [name, true] as const),
  ]
}

function placeOf(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const place = join(folder, 'node_modules', name)
    if (existsSync(join(place, 'package.json'))) return realpathSync(place)
    if (folder === dirname(folder)) return undefined
  }
}
