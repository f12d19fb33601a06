import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { installCommand } from './child-process.test-support.ts'
import { cli, publishOrders, sharedFile, testFile, testFolder } from './cli.test-support.ts'

const shared = sharedFile(async (engine) => {
  await engine.topics.create('orders', { partitions: 1 })
  await engine.topics.create('order-audit', { partitions: 1 })
  await engine.commit({ state: [{ kind: 'set', namespace: 'view:shop.daily:v1', key: 'k', value: 1 }] })
  await publishOrders(engine, 1)
})

describe('millrace __complete', () => {
  const complete = async (...words: string[]): Promise<string[]> => {
    const { cwd, path } = shared()
    const { exitCode, stdout, stderr } = await cli(['__complete', '--', ...words], {
      cwd,
      env: { MILLRACE_FILE: path },
    })
    expect([exitCode, stderr]).toEqual([0, ''])
    return stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t')[0] ?? '')
  }

  it.each<[string[], string[]]>([
    [['to'], ['topics', ':none']],
    [
      ['topics', 'd'],
      ['describe', 'delete', ':none'],
    ],
    [
      ['topics', 'describe', 'order'],
      ['order-audit', 'orders', ':none'],
    ],
    [
      ['tail', 'orders', 'order-'],
      ['order-audit', ':none'],
    ],
    [
      ['tail', '--fol'],
      ['--follow', ':none'],
    ],
    [
      ['tail', '-n'],
      ['-n', ':none'],
    ],
    [['--fil'], ['--file', ':none']],
    [
      ['topics', 'ls', '--js'],
      ['--json', ':none'],
    ],
    [
      ['topics', 'create', 'x', '--cleanup', 'compact'],
      ['compact', 'compact-and-delete', ':none'],
    ],
    [
      ['topics', 'create', 'x', '--cleanup=d'],
      ['--cleanup=delete', ':none'],
    ],
    [
      ['tail', 'orders', '--from', ''],
      ['earliest', 'latest', '@-1h', '@-1d', ':none'],
    ],
    [
      ['views', 'get', ''],
      ['daily', ':none'],
    ],
    [['views', 'get', 'daily', ''], [':none']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish', ':none'],
    ],
    [['--file', ''], [':path']],
    [['publish', 'orders', '--input', 'a'], [':path']],
    [['backup', ''], [':path']],
    [['dev', ''], [':path']],
    [['nothing', 'like', 'this'], [':none']],
    [['views', 'range', 'daily', '--from', 'x'], [':none']],
  ])('%j', async (words, expected) => {
    expect(await complete(...words)).toEqual(expected)
  })

  it('offers every command with what it does', async () => {
    const { cwd } = shared()
    const { stdout } = await cli(['__complete', '--', ''], { cwd })
    expect(stdout).toContain('tail\tShow records of topics')
    expect(stdout).not.toContain('__complete')
  })

  it('offers no names rather than failing', async () => {
    const cwd = testFolder()
    writeFileSync(join(cwd, 'foreign.db'), 'x'.repeat(5000))
    for (const file of ['missing.db', 'foreign.db']) {
      const { exitCode, stdout, stderr } = await cli(['__complete', '--', '--file', file, 'tail', ''], { cwd })
      expect([exitCode, stdout, stderr]).toEqual([0, ':none\n', ''])
    }
  })

  it('looks into the file that the words name', async () => {
    const { path } = await testFile((engine) => engine.topics.create('other'))
    const { cwd } = shared()
    const { stdout } = await cli(['__complete', '--', 'tail', '--file', path, ''], {
      cwd,
      env: { MILLRACE_FILE: shared().path },
    })
    expect(stdout).toBe('other\t\n:none\n')
  })
})

describe('millrace completion bash', { timeout: 60_000 }, () => {
  /** What bash would offer for a line with the cursor at its end; `words` is the line as Readline parts it. */
  function offered(line: string, words: readonly string[]): string[] {
    const { path } = shared()
    const folder = testFolder()
    mkdirSync(join(folder, 'bin'))
    symlinkSync(installCommand(folder), join(folder, 'bin', 'millrace'))
    symlinkSync(process.execPath, join(folder, 'bin', 'node'))
    const script = `
      source <(millrace completion bash) || exit 9
      COMP_LINE=${JSON.stringify(line)} COMP_POINT=${line.length}
      COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}) COMP_CWORD=${words.length - 1}
      _millrace
      printf '%s\\n' "\${COMPREPLY[@]}"`
    const env = { PATH: `${join(folder, 'bin')}:${process.env['PATH']}`, MILLRACE_FILE: path }
    const { status, stdout, stderr } = spawnSync('bash', ['--norc', '--noprofile', '-c', script], {
      encoding: 'utf8',
      env,
      cwd: folder,
    })
    expect([status, stderr]).toEqual([0, ''])
    return stdout.split('\n').filter((one) => one !== '')
  }

  it('completes commands, names and options', () => {
    expect(offered('millrace topics de', ['millrace', 'topics', 'de'])).toEqual(['describe', 'delete'])
    expect(offered('millrace tail ', ['millrace', 'tail', ''])).toEqual(['order-audit', 'orders'])
    expect(
      offered('millrace topics create x --cleanup=d', ['millrace', 'topics', 'create', 'x', '--cleanup', '=', 'd']),
    ).toEqual(['delete'])
    expect(offered('millrace backup ', ['millrace', 'backup', ''])).toEqual([])
  })
})

describe('millrace completion', () => {
  it.each(['zsh', 'fish'])('prints a script for %s that calls the command', async (shell) => {
    const { exitCode, stdout } = await cli(['completion', shell], { cwd: testFolder() })
    expect(exitCode).toBe(0)
    expect(stdout).toContain('__complete --')
  })
})
