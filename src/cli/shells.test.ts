import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { publishOrders, testFile, testFolder } from './cli.test-support.ts'
import { type Shell, shells } from './completion/scripts.ts'
import { canType, shellEnvironment, TypedShell } from './typed-shell.test-support.ts'

/** A stream whose name no shell takes as it stands. */
const oddStream = `a $HOME 'b' "c": \\d`

/** A folder with a file in it, and the surroundings of a shell there. */
async function place(): Promise<{ folder: string; environment: Readonly<Record<string, string>> }> {
  const folder = testFolder()
  const { path } = await testFile(async (engine) => {
    await engine.topics.create('orders', { partitions: 1 })
    await engine.topics.create('order-audit', { partitions: 1 })
    const [event] = await publishOrders(engine, 1)
    if (event !== undefined) await engine.commit({ append: [{ stream: oddStream, events: [{ message: event }] }] })
  }, folder)
  mkdirSync(join(folder, 'my files'))
  writeFileSync(join(folder, 'my files', 'some data.jsonl'), '')
  writeFileSync(join(folder, 'input.jsonl'), '')
  return { folder, environment: shellEnvironment(folder, path) }
}

/** What is typed, and the words that the shell then has behind `millrace`. Everywhere one completion is possible. */
const single: readonly (readonly [typed: string, words: readonly string[]])[] = [
  ['topics desc', ['topics', 'describe']],
  ['topics describe order-', ['topics', 'describe', 'order-audit']],
  ['tail --fol', ['tail', '--follow']],
  ['topics create x --cleanup=d', ['topics', 'create', 'x', '--cleanup=delete']],
  ['topics create x --compression zs', ['topics', 'create', 'x', '--compression', 'zstd']],
  ['publish orders --input inp', ['publish', 'orders', '--input', 'input.jsonl']],
  ['publish orders --input=inp', ['publish', 'orders', '--input=input.jsonl']],
  ['publish orders --input my\\ files/so', ['publish', 'orders', '--input', 'my files/some data.jsonl']],
  ['--file "test.db" tail order-', ['--file', 'test.db', 'tail', 'order-audit']],
  ['streams read a', ['streams', 'read', oddStream]],
  ['nothing like thi', ['nothing', 'like', 'thi']],
]

/** Whether a shell is missing where it may be: CI installs all of them, so there it must not. */
const cannotType = (shell: Shell): boolean => !canType(shell) && process.env['CI'] === undefined

describe.for(shells)('completion at a terminal in %s', { timeout: 120_000 }, (shell) => {
  // Skipped because the shell is not installed here; CI installs it.
  it.skipIf(cannotType(shell))('completes commands, options, names, values and paths', async () => {
    const { folder, environment } = await place()
    const typed = await TypedShell.start(shell, folder, environment)
    const found: [string, readonly string[]][] = []
    for (const [line] of single) found.push([line, await typed.completed(`millrace ${line}`)])
    expect(found).toEqual(single.map(([line, words]) => [line, ['millrace', ...words]]))
  })
})

describe.for(['bash', 'zsh'] as const)('%s', { timeout: 120_000 }, (shell) => {
  // Skipped because the shell is not installed here; CI installs it.
  it.skipIf(cannotType(shell))('offers all that fits', async () => {
    const { folder, environment } = await place()
    const typed = await TypedShell.start(shell, folder, environment)
    expect((await typed.completed('millrace topics de')).toSorted()).toEqual([
      'delete',
      'describe',
      'millrace',
      'topics',
    ])
    expect((await typed.completed('millrace tail or')).toSorted()).toEqual([
      'millrace',
      'order-audit',
      'orders',
      'tail',
    ])
  })
})

describe('fish', { timeout: 120_000 }, () => {
  // Skipped because the shell is not installed here; CI installs it.
  it.skipIf(cannotType('fish'))('offers all that fits, with what it does', async () => {
    const { folder, environment } = await place()
    // It shows several in a list to choose from; `complete -C` prints that list.
    const offered = (line: string): string[] => {
      const script = `millrace completion fish | source; complete -C '${line}'`
      const { status, stdout, stderr } = spawnSync('fish', ['--no-config', '-c', script], {
        encoding: 'utf8',
        env: environment,
        cwd: folder,
      })
      expect([status, stderr]).toEqual([0, ''])
      return stdout.trimEnd().split('\n').toSorted()
    }
    expect(offered('millrace topics de')).toEqual([
      'delete\tDelete a topic, its records and the progress of all groups on it',
      'describe\tShow the settings of a topic, its partitions and the groups that read it',
    ])
    expect(offered('millrace tail or')).toEqual(['order-audit', 'orders'])
  })
})
