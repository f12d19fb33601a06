import { spawn } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

/**
 * Stands for npm: notes how it was called, and installs one package `node` whose install script makes a "Node.js" that
 * says which version it is. FAKE_NPM_SAYS makes `ci` fail with that text.
 */
const fakeNpm = `
const fs = require('node:fs')
const args = process.argv.slice(2)
if (args[0] === '--version') {
  console.log(process.env.FAKE_NPM_VERSION ?? '11.0.0')
  process.exit(0)
}
fs.appendFileSync('calls.txt', args.join(' ') + '\\n')
if (process.env.FAKE_NPM_SAYS) {
  console.error(process.env.FAKE_NPM_SAYS)
  process.exit(1)
}
setTimeout(() => {
  const lock = JSON.parse(fs.readFileSync('package-lock.json', 'utf8'))
  fs.rmSync('node_modules', { recursive: true, force: true })
  fs.mkdirSync('node_modules/.bin', { recursive: true })
  fs.mkdirSync('node_modules/node')
  const { '': root, ...packages } = lock.packages
  fs.writeFileSync('node_modules/.package-lock.json', JSON.stringify({ packages }))
  fs.writeFileSync('node_modules/node/installArchSpecificPackage.js', \`
    const fs = require('node:fs')
    if (process.env.FAKE_NODE_SAYS) { console.error(process.env.FAKE_NODE_SAYS); process.exit(1) }
    fs.mkdirSync('bin', { recursive: true })
    fs.writeFileSync('bin/node', '#!/bin/sh\\\\necho v24.21.0\\\\n', { mode: 0o755 })
  \`)
}, Number(process.env.FAKE_NPM_DELAY_MS ?? 0))
`

const lockOf = (integrity: string): string =>
  JSON.stringify({ packages: { '': {}, 'node_modules/node': { version: '24.21.0', integrity } } })

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-setup-'))
  mkdirSync(join(root, 'scripts'))
  copyFileSync(join(import.meta.dirname, 'setup.mjs'), join(root, 'scripts', 'setup.mjs'))
  writeFileSync(join(root, 'npm-cli.js'), fakeNpm)
  writeFileSync(join(root, 'package-lock.json'), lockOf('a'))
  // The machine's own Node of these tests.
  mkdirSync(join(root, 'machine'))
  machineNode('20.1.0')
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function machineNode(version: string): void {
  writeFileSync(join(root, 'machine', 'node'), `#!/bin/sh\necho v${version}\n`)
  chmodSync(join(root, 'machine', 'node'), 0o755)
}

interface Run {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

function setUp(env: Readonly<Record<string, string>> = {}): Promise<Run> {
  return new Promise((settle) => {
    const child = spawn(process.execPath, [join(root, 'scripts', 'setup.mjs')], {
      cwd: root,
      env: { PATH: `${join(root, 'machine')}:/usr/bin:/bin`, npm_execpath: join(root, 'npm-cli.js'), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => {
      stdout += String(chunk)
    })
    child.stderr.on('data', (chunk) => {
      stderr += String(chunk)
    })
    child.once('close', (exitCode) => settle({ exitCode, stdout, stderr }))
  })
}

const calls = (): string[] =>
  existsSync(join(root, 'calls.txt')) ? readFileSync(join(root, 'calls.txt'), 'utf8').trim().split('\n') : []

describe('set-up', () => {
  it('installs once, without running install scripts, and says nothing on stdout', async () => {
    const first = await setUp({ NODE_ENV: 'production', npm_config_omit: 'dev' })
    expect(first).toMatchObject({ exitCode: 0, stdout: '' })
    expect(first.stderr).toMatch(/Set up in .* running on Node\.js 24\.21\.0/)
    expect(calls()).toEqual([expect.stringMatching(/^ci --ignore-scripts --include=dev /)])
    expect(await setUp()).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(calls()).toHaveLength(1)
  })

  it('installs again when the lock file changed', async () => {
    await setUp()
    writeFileSync(join(root, 'package-lock.json'), lockOf('b'))
    expect((await setUp()).exitCode).toBe(0)
    expect(calls()).toHaveLength(2)
  })

  it('only provides Node where somebody ran `npm ci --ignore-scripts` by hand', async () => {
    await setUp()
    rmSync(join(root, 'node_modules', '.millrace-setup.json'))
    rmSync(join(root, 'node_modules', 'node', 'bin'), { recursive: true })
    rmSync(join(root, 'node_modules', '.bin', 'node'))
    expect((await setUp()).exitCode).toBe(0)
    expect(calls()).toHaveLength(1)
    expect(existsSync(join(root, 'node_modules', '.bin', 'node'))).toBe(true)
  })

  it('installs once when started several times at once', async () => {
    const runs = await Promise.all([1, 2, 3].map(() => setUp({ FAKE_NPM_DELAY_MS: '1000' })))
    expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0])
    expect(calls()).toHaveLength(1)
    expect(existsSync(join(root, '.cache', 'setup.lock'))).toBe(false)
  })

  it('takes over the lock of a set-up that was killed', async () => {
    mkdirSync(join(root, '.cache'))
    const lock = join(root, '.cache', 'setup.lock')
    writeFileSync(lock, '1')
    utimesSync(lock, new Date(0), new Date(0))
    expect((await setUp()).exitCode).toBe(0)
    expect(calls()).toHaveLength(1)
  })

  it('uses the machine’s own Node where there is no build but it is new enough', async () => {
    machineNode('25.0.0')
    const { exitCode, stderr } = await setUp({ FAKE_NODE_SAYS: 'npm error code E404' })
    expect([exitCode, stderr]).toEqual([0, expect.stringMatching(/running on Node\.js 25\.0\.0/)])
    expect(await setUp()).toEqual({ exitCode: 0, stdout: '', stderr: '' })
  })

  it.each([
    [
      'the network is down',
      'npm error code ENOTFOUND\nnpm error network request failed',
      /registry could not be reached/,
    ],
    ['nobody listens', 'npm error code ECONNREFUSED', /registry could not be reached/],
    ['the disk is full', 'npm error code ENOSPC\nnpm error nospc no space left on device', /disk is full/],
    ['the folder is read-only', "npm error code EROFS\nnpm error read-only file system, mkdir 'x'", /read-only/],
    ['rights are missing', "npm error code EACCES\nnpm error permission denied, mkdir 'x'", /may not be written to/],
    [
      'the lock file does not fit',
      'npm error code EUSAGE\nnpm error Missing: a@1 from lock file',
      /does not fit package\.json/,
    ],
    ['a package was altered', 'npm error code EINTEGRITY', /digest/],
    ['access is refused', 'npm error code E401', /refused access/],
    ['nobody knows', 'npm error something new', /`npm ci` failed/],
  ])('says what happened and what to do when %s', async (_, says, sentence) => {
    const { exitCode, stdout, stderr } = await setUp({ FAKE_NPM_SAYS: says })
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(sentence)
    expect(stderr).toContain(says.split('\n')[0])
    expect(stderr).not.toMatch(/^\s+at /m)
    // The failure leaves nothing behind that would make the next start believe it was ready.
    expect((await setUp()).exitCode).toBe(0)
  })

  it('says so when npm is too old', async () => {
    const { exitCode, stderr } = await setUp({ FAKE_NPM_VERSION: '6.14.18' })
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/npm 6\.14\.18 is too old[\s\S]*npm 8 or newer/)])
    expect(calls()).toEqual([])
  })

  it('says so when there is no Node.js for this machine', async () => {
    const { exitCode, stderr } = await setUp({ FAKE_NODE_SAYS: 'npm error code E404' })
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringMatching(/no build of Node\.js 24\.21\.0[\s\S]*Install Node\.js 24/),
    ])
  })

  it('says so when Node.js could not be fetched', async () => {
    const { exitCode, stderr } = await setUp({ FAKE_NODE_SAYS: 'npm error code EAI_AGAIN' })
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/registry could not be reached/)])
  })
})
