import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')

/** A linter whose type information is missing finds nothing and says nothing, so each rule that needs it is seeded. */
const seeded: Readonly<Record<string, string>> = {
  'no-floating-promises': 'export function f(): void { g() }',
  'no-misused-promises': 'export function f(list: string[]): void { list.forEach(async () => { await g() }) }',
  'await-thenable': 'export async function f(): Promise<void> { await g(); await 1 }',
  'only-throw-error': "export function f(): never { throw 'x' }",
  'switch-exhaustiveness-check':
    "export function f(x: 'a' | 'b'): number { switch (x) { case 'a': return 1 } return 2 }",
  'no-explicit-any': 'export function f(x: any): void { void String(typeof x) }',
}
// A `void` before it does not settle a promise.
const disguised = 'export function f(): void { void g() }'
const good = 'export async function f(): Promise<void> { await g() }'

interface Diagnostic {
  readonly code: string
  readonly filename: string
}

let folder = ''
let found: readonly Diagnostic[] = []

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-lint-'))
  const config = JSON.parse(readFileSync(join(root, '.oxlintrc.json'), 'utf8')) as Record<string, unknown>
  writeFileSync(join(folder, '.oxlintrc.json'), JSON.stringify({ ...config, $schema: undefined, ignorePatterns: [] }))
  const compilerOptions = { target: 'ES2024', module: 'NodeNext', strict: true, types: [] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  for (const [name, code] of Object.entries({ ...seeded, disguised, good })) {
    writeFileSync(join(folder, `${name}.ts`), `declare function g(): Promise<void>\n${code}\n`)
  }
  const args = ['--type-aware', '--format', 'json', '--config', join(folder, '.oxlintrc.json'), folder]
  const { stdout } = spawnSync(join(root, 'node_modules', '.bin', 'oxlint'), args, { cwd: folder, encoding: 'utf8' })
  found = (JSON.parse(stdout) as { diagnostics: readonly Diagnostic[] }).diagnostics
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const rulesAt = (name: string): string[] =>
  found.filter(({ filename }) => filename.endsWith(`${name}.ts`)).map(({ code }) => code.replace(/^.*\((.*)\)$/, '$1'))

describe('the linter', () => {
  it.each(Object.keys(seeded))('finds %s', (name) => {
    expect(rulesAt(name)).toContain(name)
  })

  it('does not take void for an answer', () => {
    expect(rulesAt('disguised')).toEqual(['no-floating-promises'])
  })

  it('finds nothing where nothing is wrong', () => {
    expect(rulesAt('good')).toEqual([])
  })
})
