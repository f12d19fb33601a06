import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { checkSqliteVersion, placeOf } from './connection.ts'
import { codeOf, commit, openEngine, temporaryFolder } from './file.test-support.ts'

const folder = temporaryFolder()
/** Permissions say nothing to the superuser. */
const isSuperuser = process.getuid?.() === 0

describe('the SQLite of this Node', () => {
  it('is new enough', () => {
    expect(() => checkSqliteVersion()).not.toThrow()
  })

  it.each(['3.51.3', '3.51.10', '3.52.0', '4.0.0', '3.51.3.1'])('%s would be', (version) => {
    expect(() => checkSqliteVersion(version)).not.toThrow()
  })

  it.each(['3.51.2', '3.50.99', '3.9.9', '2.99.99', '0', ''])('%s would not be', (version) => {
    expect(() => checkSqliteVersion(version)).toThrow(expect.objectContaining({ code: 'SQLITE_TOO_OLD' }))
  })
})

describe('the first Node that has such a SQLite', () => {
  const folderOf = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url))
  const { engines } = JSON.parse(readFileSync(folderOf('package.json'), 'utf8')) as { engines: { node: string } }
  const first = engines.node.replace('>=', '')

  it('is what package.json asks for, and what the error names', () => {
    expect(() => checkSqliteVersion('3.51.2')).toThrow(`Use Node ${first} or newer`)
  })

  it.each([
    ['24.14.1', `millrace needs Node.js ${first.replace(/\.0$/, '')} or newer; this is Node.js 24.14.1`],
    ['23.99.0', 'this is Node.js 23.99.0'],
  ])('is what the command line asks for, which refuses %s', (version, refusal) => {
    const older = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`
    const door = [`--import=data:text/javascript,${encodeURIComponent(older)}`, folderOf('bin/millrace.mjs')]
    const { status, stderr } = spawnSync(process.execPath, door, { encoding: 'utf8' })
    expect([status, stderr]).toEqual([1, expect.stringContaining(refusal)])
  })
})

describe('the place of a file', () => {
  it('is made with all folders above it', async () => {
    const path = join(folder, 'a', 'b', 'c', 'shop.db')
    await using engine = await openEngine(path)
    await engine.topics.create('orders')
    expect(existsSync(path)).toBe(true)
  })

  it('that is a folder is refused, and nothing is put beside it', async () => {
    const path = join(folder, 'folder.db')
    mkdirSync(path)
    expect(await codeOf(openEngine(path))).toBe('FILE_UNUSABLE')
    expect(await codeOf(openEngine(path, { readOnly: true }))).toBe('FILE_UNUSABLE')
    expect(readdirSync(folder).filter((name) => name.startsWith('folder.db'))).toEqual(['folder.db'])
  })

  it('below something that is no folder is refused', async () => {
    writeFileSync(join(folder, 'plain'), 'text')
    expect(await codeOf(openEngine(join(folder, 'plain', 'shop.db')))).toBe('FILE_UNUSABLE')
  })

  it('that is not there is refused for reading only, and not made', async () => {
    const path = join(folder, 'nowhere', 'shop.db')
    expect(await codeOf(openEngine(path, { readOnly: true }))).toBe('FILE_UNUSABLE')
    expect(existsSync(join(folder, 'nowhere'))).toBe(false)
  })

  it('is one for all names that lead there', async () => {
    const real = join(folder, 'real')
    mkdirSync(real)
    symlinkSync(real, join(folder, 'linked'))
    const path = join(real, 'shop.db')
    await using engine = await openEngine(path)
    await engine.topics.create('orders')
    symlinkSync(path, join(folder, 'other-name.db'))
    for (const name of [
      join(folder, 'linked', 'shop.db'),
      join(folder, 'other-name.db'),
      relative(process.cwd(), path),
      join(real, '..', 'real', 'shop.db'),
    ]) {
      expect([name, await codeOf(openEngine(name))]).toEqual([name, 'FILE_LOCKED'])
    }
  })

  it('that is a link to nothing is refused', () => {
    symlinkSync(join(folder, 'gone.db'), join(folder, 'dangling.db'))
    expect(() => placeOf(join(folder, 'dangling.db'), true)).toThrow(expect.objectContaining({ code: 'FILE_UNUSABLE' }))
  })

  it('that looks like a URI is a file all the same', async () => {
    const before = process.cwd()
    process.chdir(folder)
    try {
      await using engine = await openEngine('file:uri.db?mode=memory')
      await engine.topics.create('orders')
      expect(readdirSync(folder)).toContain('file:uri.db?mode=memory')
    } finally {
      process.chdir(before)
    }
  })

  // Skipped because permissions do not bind the superuser; the next test then stands in for it.
  it.skipIf(isSuperuser)('in a folder without the right to write is refused', async () => {
    const locked = join(folder, 'locked')
    mkdirSync(locked, { mode: 0o555 })
    expect(await codeOf(openEngine(join(locked, 'shop.db')))).toBe('FILE_UNUSABLE')
  })

  // Skipped because permissions do not bind the superuser; the next test then stands in for it.
  it.skipIf(isSuperuser)('of a file without the right to write is refused, but can be read', async () => {
    const path = join(folder, 'read-only.db')
    await using first = await openEngine(path)
    await first.topics.create('orders')
    await first.close()
    chmodSync(path, 0o444)
    expect(await codeOf(openEngine(path))).toBe('FILE_UNUSABLE')
    await using reader = await openEngine(path, { readOnly: true })
    expect((await reader.topics.list()).map(({ name }) => name)).toEqual(['orders'])
  })

  it('where even the superuser cannot write is refused', async () => {
    expect(await codeOf(openEngine('/proc/self/shop.db'))).toBe('FILE_UNUSABLE')
    // Node's own way to make folders with those above them never comes back from here.
    expect(await codeOf(openEngine('/proc/self/nowhere/shop.db'))).toBe('FILE_UNUSABLE')
  })

  it('with a lock file that is something else is refused with the name of that file', async () => {
    const path = join(folder, 'bad-lock.db')
    writeFileSync(`${path}-lock`, 'not a database, '.repeat(100))
    await expect(openEngine(path)).rejects.toThrow(/bad-lock\.db-lock/)
    rmSync(`${path}-lock`)
    await using engine = await openEngine(path)
    await commit(engine, { state: [{ kind: 'set', namespace: 'n', key: 'k', value: 1 }] })
  })
})
