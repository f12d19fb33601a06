import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { importedBy, npmClosure } from './npm-closure.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-closure-'))
})
afterEach(() => rmSync(root, { recursive: true }))

/** Installs a package whose code is so long. */
function install(place: string, codeBytes: number, manifest: object = {}): number {
  const folder = join(root, place)
  mkdirSync(join(folder, 'lib'), { recursive: true })
  const text = JSON.stringify(manifest)
  writeFileSync(join(folder, 'package.json'), text)
  writeFileSync(join(folder, 'lib', 'index.js'), ' '.repeat(codeBytes))
  return codeBytes + text.length
}

describe('what npm installs for a package', () => {
  it('is what it depends on, and peers that it cannot do without', () => {
    const sizes = {
      a: install('node_modules/a', 1000, {
        dependencies: { '@scope/b': '1', c: '1' },
        optionalDependencies: { c: '1', missing: '1' },
        peerDependencies: { d: '1', left: '1' },
        peerDependenciesMeta: { left: { optional: true } },
      }),
      b: install('node_modules/@scope/b', 600, { dependencies: { d: '2', a: '1' } }),
      inner: install('node_modules/@scope/b/node_modules/d', 400),
      c: install('node_modules/c', 300),
      d: install('node_modules/d', 200),
    }
    install('node_modules/left', 100)
    expect(npmClosure(['a'], join(root, 'program')).map(({ name, bytes }) => [name, bytes])).toEqual([
      ['a', sizes.a],
      ['@scope/b', sizes.b],
      ['d', sizes.inner],
      ['c', sizes.c],
      ['d', sizes.d],
    ])
  })

  it('is not told where something is missing', () => {
    install('node_modules/a', 10, { dependencies: { b: '1' } })
    expect(() => npmClosure(['a'], root)).toThrow('The package b is not installed')
  })
})

it('finds what a program imports at its start', () => {
  const source = `import { join } from 'node:path'
import { jetstream } from '@nats-io/jetstream'
import {
  one,
  two,
} from 'several/deep/file.js'
import { tasks } from './tasks.mjs'
const Store = createRequire(import.meta.url)('event-storage')
async function later() {
  const { default: pg } = await import('pg')
  console.log("it is kept 'from here' on")
}`
  expect(importedBy(source)).toEqual(['@nats-io/jetstream', 'several', 'event-storage'])
})
