import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import { Capture, cli, jsonLines, publishOrders, sharedFile, testFile, testFolder } from './cli.test-support.ts'
import { InterruptedError } from './errors.ts'
import { main } from './main.ts'
import { createProgram } from './program.ts'
import { Session } from './session.ts'

async function fill(engine: Engine): Promise<void> {
  await engine.topics.create('orders', { partitions: 1 })
  await publishOrders(engine, 3)
  await engine.commit({ state: [{ kind: 'set', namespace: 'view:shop.totals:v1', key: 'all', value: 1 }] })
}

/** Every command that reads a file, with arguments that suit {@link fill}, and the exit code on it. */
const readers: readonly (readonly [args: readonly string[], exitCode: number])[] = [
  [['topics', 'ls'], 0],
  [['topics', 'describe', 'orders'], 0],
  [['topics', 'delete', 'orders', '--dry-run'], 0],
  [['publish', 'orders', '{}', '--type', 'T', '--dry-run'], 0],
  [['tail', 'orders'], 0],
  [['groups', 'ls'], 0],
  [['groups', 'describe', 'g'], 3],
  [['groups', 'reset', 'g', '--to', 'latest', '--dry-run'], 3],
  [['groups', 'delete', 'g', '--dry-run'], 3],
  [['lag'], 0],
  [['dead-letters', 'ls'], 0],
  [['dead-letters', 'show', 'x'], 3],
  [['dead-letters', 'redrive', '--all', '--dry-run'], 0],
  [['dead-letters', 'discard', '--all', '--dry-run'], 0],
  [['views', 'ls'], 0],
  [['views', 'get', 'totals', 'all'], 0],
  [['views', 'range', 'totals'], 0],
  [['views', 'status', 'totals'], 3],
  [['views', 'diff', 'totals'], 3],
  [['streams', 'ls'], 0],
  [['streams', 'read', '--all'], 0],
  [['streams', 'describe', 's'], 3],
  [['timers', 'ls'], 0],
  [['verify'], 0],
]

/** Every command that writes a file. */
const writers: readonly (readonly string[])[] = [
  ['topics', 'create', 'new'],
  ['topics', 'alter', 'orders', '--partitions', '2'],
  ['topics', 'delete', 'orders', '--yes'],
  ['publish', 'orders', '{}', '--type', 'T'],
  ['groups', 'reset', 'g', '--to', 'latest', '--yes'],
  ['groups', 'delete', 'g', '--yes'],
  ['dead-letters', 'redrive', '--all', '--yes'],
  ['dead-letters', 'discard', '--all', '--yes'],
  ['views', 'swap', 'totals', '--yes'],
  ['views', 'pause', 'totals'],
]

const newFileMakers = new Set(['create'])

describe('every command', () => {
  const shared = sharedFile(fill)

  it('says which file it wants', async () => {
    const cwd = testFolder()
    for (const args of [...readers.map(([reader]) => reader), ...writers, ['backup', 'copy.db']]) {
      const { exitCode, stdout, stderr } = await cli(args, { cwd })
      expect([args, exitCode, stdout]).toEqual([args, 2, ''])
      expect(stderr).toContain('error CLI_FILE_UNNAMED')
    }
  })

  it('says that the file is not there', async () => {
    const cwd = testFolder()
    for (const args of [...readers.map(([reader]) => reader), ...writers, ['backup', 'copy.db']]) {
      if (newFileMakers.has(args[1] ?? '')) continue
      const { exitCode, stdout, stderr } = await cli([...args, '--file', 'no.db'], { cwd })
      expect([args, exitCode, stdout]).toEqual([args, 3, ''])
      expect(stderr).toContain(`There is no file "${join(cwd, 'no.db')}".`)
    }
  })

  it('leaves an empty file as it is', async () => {
    const cwd = testFolder()
    const path = join(cwd, 'empty.db')
    writeFileSync(path, '')
    for (const args of [...readers.map(([reader]) => reader), ...writers, ['backup', 'copy.db']]) {
      if (newFileMakers.has(args[1] ?? '')) continue
      const { exitCode, stdout, stderr } = await cli([...args, '--file', path], { cwd })
      expect([args, exitCode, stdout]).toEqual([args, 4, ''])
      expect(stderr).toContain(`error FILE_FOREIGN: ${path} is no Millrace file: it is empty.`)
    }
    expect(readdirSync(cwd)).toEqual(['empty.db'])
    expect(statSync(path).size).toBe(0)
  })

  it('refuses a file that is no Millrace file, or a damaged one', async () => {
    const cwd = testFolder()
    writeFileSync(join(cwd, 'foreign.db'), 'not a database, but long enough to look like one'.repeat(20))
    const { path } = await testFile(fill)
    truncateSync(path, 20_000)
    for (const args of [...readers.map(([reader]) => reader), ...writers, ['backup', 'copy.db']]) {
      for (const file of ['foreign.db', path]) {
        const { exitCode, stdout, stderr } = await cli([...args, '--json', '--file', file], { cwd })
        expect([args, file, exitCode, stdout]).toEqual([args, file, 4, ''])
        const { error } = JSON.parse(stderr) as { error: { code: string; problem: string; remedy: string } }
        expect(error.code).toMatch(/^FILE_(FOREIGN|DAMAGED)$/)
        expect(error.remedy).not.toBe('')
      }
    }
  })

  it('reads beside a process that writes, and names the process where it would write itself', async () => {
    const { cwd, path } = await testFile(fill)
    await using engine = await embedded({ path }).open()
    await engine.topics.ensure('orders')
    for (const [args, expected] of readers) {
      const { exitCode, stderr } = await cli([...args, '--json', '--file', path], { cwd })
      expect([args, exitCode, stderr.includes('"error"')]).toEqual([args, expected, expected !== 0])
    }
    for (const args of writers) {
      const { exitCode, stdout, stderr } = await cli([...args, '--file', path], { cwd })
      expect([args, exitCode, stdout]).toEqual([args, 5, ''])
      expect(stderr).toBe(
        `error FILE_LOCKED: Process ${process.pid} has ${path} open for writing.\n` +
          'Stop that process, then run this command again; commands that only read work beside it.\n',
      )
    }
  })

  it('answers --json with JSON where it reads', async () => {
    const { cwd, path } = shared()
    for (const [args, expected] of readers) {
      const { exitCode, stdout, stderr } = await cli([...args, '--json', '--file', path], { cwd })
      expect([args, exitCode]).toEqual([args, expected])
      const text = expected === 0 ? stdout : stderr
      // Streams are lines of JSON, everything else is one document. A dry run of publish has no data.
      const isStream = args[0] === 'tail' || args[0] === 'publish' || args[1] === 'read'
      const documents = isStream ? jsonLines(text) : [JSON.parse(text)]
      expect(documents.length).toBe({ tail: 3, publish: 0, streams: isStream ? 0 : 1 }[args[0] ?? ''] ?? 1)
    }
  })

  it('explains itself with an example', async () => {
    const { cwd } = shared()
    const session = new Session({ ...processless(), cwd })
    const names = createProgram(session).commands.flatMap((command) =>
      command.commands.length === 0 ? [[command.name()]] : command.commands.map((sub) => [command.name(), sub.name()]),
    )
    expect(names.length).toBeGreaterThan(25)
    for (const name of names) {
      if (name[0] === '__complete') continue
      const { exitCode, stdout, stderr } = await cli([...name, '--help'], { cwd })
      expect([name, exitCode, stderr]).toEqual([name, 0, ''])
      expect(stdout).toContain(`Usage: millrace ${name.join(' ')}`)
      expect(stdout).toContain('$ millrace')
      expect(stdout).toContain('--file <path>')
    }
  })
})

function processless() {
  const stdout = new Capture()
  return {
    stdin: stdout,
    stdout,
    stderr: stdout,
    env: {},
    clock: { nowMs: () => 0, monotonicMs: () => 0, setTimer: () => ({ cancel: () => undefined }) },
    random: { nextFloat: () => 0, nextUint32: () => 0, fillBytes: () => undefined },
    signal: new AbortController().signal,
  }
}

describe('a command line that cannot be understood', () => {
  it.each<[string[], string, string]>([
    [['topic'], "Unknown command 'topic' (Did you mean topics?)", 'millrace --help'],
    [['topics', 'lss'], "Unknown command 'lss' (Did you mean ls?)", 'millrace topics --help'],
    [['topics', 'ls', '--jsn'], "Unknown option '--jsn' (Did you mean --json?)", 'millrace topics ls --help'],
    [['topics', 'ls', 'x'], 'Too many arguments', 'millrace topics ls --help'],
    [['views', 'get'], "Missing required argument 'view'.", 'millrace views get --help'],
    [['completion', 'tcsh'], "Command-argument value 'tcsh' is invalid", 'millrace completion --help'],
    [['tail', 'x', '--file'], "Option '--file <path>' argument missing.", 'millrace tail --help'],
    [['tail', 'x', '--file='], '--file is empty: give a path.', 'millrace --help'],
    [['help', 'nothing'], 'There is no such command.', 'millrace --help'],
    [['topics', 'help', 'lss'], 'There is no such command.', 'millrace topics --help'],
    [['backup', ''], 'The path of the copy is empty.', 'millrace backup --help'],
  ])('%j', async (args, problem, help) => {
    const { exitCode, stdout, stderr } = await cli(args, { cwd: testFolder() })
    expect([exitCode, stdout]).toEqual([2, ''])
    expect(stderr).toContain(`error CLI_USAGE: ${problem}`)
    expect(stderr).toContain(`See "${help}".`)
    const json = await cli(['--json', ...args], { cwd: testFolder() })
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: 'CLI_USAGE' } })
  })

  it('shows the help of a command that needs another, on stderr', async () => {
    const { exitCode, stdout, stderr } = await cli(['groups'], { cwd: testFolder() })
    expect([exitCode, stdout]).toEqual([2, ''])
    expect(stderr).toContain('Usage: millrace groups [options] [command]')
  })

  it('says nothing but JSON where JSON is asked for', async () => {
    for (const args of [['--json'], ['groups', '--json']]) {
      const { exitCode, stdout, stderr } = await cli(args, { cwd: testFolder() })
      expect([exitCode, stdout]).toEqual([2, ''])
      expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'CLI_USAGE', problem: 'A command is missing.' } })
    }
  })

  it('takes no folder for a file, and no file for a folder', async () => {
    const { cwd, path } = await testFile(fill)
    mkdirSync(join(cwd, 'folder'))
    const input = await cli(['publish', 'orders', '--type', 'T', '--input', 'folder', '--file', path], { cwd })
    expect([input.exitCode, input.stderr]).toEqual([2, expect.stringContaining('--input names a folder: ')])
    const copy = await cli(['backup', join(path, 'copy.db'), '--file', path], { cwd })
    expect([copy.exitCode, copy.stderr]).toEqual([3, expect.stringContaining(`There is no folder "${path}".`)])
  })

  it('tells its version', async () => {
    expect(await cli(['--version'], { cwd: testFolder() })).toEqual({
      exitCode: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/),
      stderr: '',
    })
  })
})

describe('output', () => {
  const shared = sharedFile(fill)
  const sequence = '\u001b['
  const colored = async (isTTY: boolean, env: Record<string, string>, ...more: string[]): Promise<boolean> => {
    const { cwd, path } = shared()
    const stdout = new Capture(isTTY, 200)
    await cli(['tail', 'orders', '--file', path, ...more], { cwd, env, stdout })
    expect(stdout.text).toContain('OrderPlaced')
    return stdout.text.includes(sequence)
  }

  it('has colours for terminals only, and obeys those who refuse or force them', async () => {
    expect(await colored(true, {})).toBe(true)
    expect(await colored(false, {})).toBe(false)
    expect(await colored(true, { NO_COLOR: '1' })).toBe(false)
    expect(await colored(true, { NO_COLOR: '' })).toBe(true)
    expect(await colored(true, { TERM: 'dumb' })).toBe(false)
    expect(await colored(false, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(true)
    expect(await colored(true, { FORCE_COLOR: '0' })).toBe(false)
    expect(await colored(true, { FORCE_COLOR: '1' }, '--no-color')).toBe(false)
    expect(await colored(true, {}, '--json')).toBe(false)
  })

  it('cuts tables to the width of the terminal, and never elsewhere', async () => {
    const { cwd, path } = shared()
    const stdout = new Capture(true, 30)
    await cli(['topics', 'ls', '--no-color', '--file', path], { cwd, stdout })
    for (const line of stdout.text.trimEnd().split('\n')) expect(line.length).toBe(30)
    const sizeless = new Capture(true, 0)
    await cli(['topics', 'ls', '--no-color', '--file', path], { cwd, stdout: sizeless })
    const wide = await cli(['topics', 'ls', '--file', path], { cwd })
    expect(sizeless.text).toBe(wide.stdout)
    expect(wide.stdout.split('\n')[0]?.length).toBeGreaterThan(30)
  })

  it('shows a stack only when it is asked for', async () => {
    const cwd = testFolder()
    const fail = async (env: Record<string, string>, ...more: string[]): Promise<string> =>
      (await cli(['topics', 'ls', '--file', 'no.db', ...more], { cwd, env })).stderr
    expect(await fail({})).not.toContain('    at ')
    expect(await fail({ MILLRACE_DEBUG: '0' })).not.toContain('    at ')
    expect(await fail({}, '--debug')).toContain('    at ')
    expect(await fail({ MILLRACE_DEBUG: '1' })).toContain('    at ')
    expect(JSON.parse(await fail({}, '--debug', '--json'))).toMatchObject({ error: { stack: expect.any(String) } })
  })

  it('ends quietly when its reader has seen enough', async () => {
    const { cwd, path } = shared()
    const stdout = Object.assign(
      new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error('closed'), { code: 'EPIPE' })) }),
      { text: '' },
    )
    expect(await cli(['tail', 'orders', '--follow', '--file', path], { cwd, stdout })).toMatchObject({
      exitCode: 0,
      stderr: '',
    })
    const full = Object.assign(
      new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error('full'), { code: 'ENOSPC' })) }),
      { text: '' },
    )
    expect(await cli(['tail', 'orders', '--follow', '--file', path], { cwd, stdout: full })).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('error CLI_OUTPUT_FAILED: The output could not be written: full.'),
    })
  })

  it('waits for a slow reader', async () => {
    const { cwd, path } = await testFile(async (engine) => {
      await engine.topics.create('orders', { partitions: 1 })
      await publishOrders(engine, 50)
    })
    let unreadMost = 0
    let lineCount = 0
    class SlowReader extends Writable {
      readonly text = ''
      override write(chunk: string): boolean {
        unreadMost = Math.max(unreadMost, this.writableLength)
        return super.write(chunk)
      }
    }
    const stdout = new SlowReader({
      highWaterMark: 1,
      write: (_chunk, _encoding, done) => {
        lineCount++
        setImmediate(done)
      },
    })
    expect((await cli(['tail', 'orders', '--from', 'earliest', '--file', path], { cwd, stdout })).exitCode).toBe(0)
    expect([lineCount, unreadMost]).toEqual([50, 0])
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('exits by %s with %d', async (signal, code) => {
    const { cwd, path } = shared()
    const stop = new AbortController()
    const stdout = new Capture()
    const running = cli(['tail', 'orders', '--follow', '--file', path], { cwd, stdout, signal: stop.signal })
    while (!stdout.text.includes('orders/0/2')) await new Promise((resolve) => setImmediate(resolve))
    stop.abort(new InterruptedError(signal))
    expect(await running).toMatchObject({ exitCode: code, stderr: '' })
  })
})

describe('main', () => {
  it('listens to signals of the process only while it runs', async () => {
    const before = [process.listenerCount('SIGINT'), process.listenerCount('SIGTERM')]
    const { cwd, path } = await testFile(fill)
    const script = `
      import { main } from ${JSON.stringify(join(import.meta.dirname, 'main.ts'))}
      process.exitCode = await main(['topics', 'ls', '--json', '--file', ${JSON.stringify(path)}])
      process.stderr.write(String(process.listenerCount('SIGINT') + process.listenerCount('SIGTERM')))`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { cwd })
    let stderr = ''
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    const exitCode = await new Promise((resolve) => child.on('close', resolve))
    expect([exitCode, stderr]).toEqual([0, '0'])
    expect([process.listenerCount('SIGINT'), process.listenerCount('SIGTERM')]).toEqual(before)
    expect(typeof main).toBe('function')
  })
})
