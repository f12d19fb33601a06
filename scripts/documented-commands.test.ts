import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
const textOf = (path: string): string => readFileSync(join(root, path), 'utf8')
const { scripts } = JSON.parse(textOf('package.json')) as { readonly scripts: Readonly<Record<string, string>> }

/** What a page tells its readers to run of this repository: scripts of package.json, and files. */
function commandsOf(page: string): { readonly names: readonly string[]; readonly files: readonly string[] } {
  const text = textOf(page)
  const names = [
    ...text.matchAll(/\bnpm run (?:--silent )?([a-z][\w:-]*)/g),
    ...text.matchAll(/\bnpm (start|test)\b/g),
  ].map(([, name]) => name as string)
  const files = [...text.matchAll(/(?:\bnode |`)((?:\.ci|scripts|examples|torture|simulation)\/[\w./-]+)/g)].map(
    ([, path]) => path as string,
  )
  return { names, files }
}

describe.each([
  'README.md',
  'CONTRIBUTING.md',
  'examples/shop/README.md',
  'docs/reliability.md',
  'docs/performance.md',
])('%s', (page) => {
  const { names, files } = commandsOf(page)

  it('names only scripts of package.json', () => {
    expect(names.filter((name) => scripts[name] === undefined)).toEqual([])
    expect(names.length).toBeGreaterThan(0)
  })

  it('names only files that are there', () => {
    expect(files.filter((path) => !existsSync(join(root, path)))).toEqual([])
  })
})

describe('CONTRIBUTING.md', () => {
  it('tells of every script', () => {
    const told = new Set(commandsOf('CONTRIBUTING.md').names)
    expect(Object.keys(scripts).filter((name) => !told.has(name))).toEqual([])
  })
})
