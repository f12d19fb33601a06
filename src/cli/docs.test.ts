import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CommandProcess, installCommand, sourceUrl } from './child-process.test-support.ts'
import { Capture, cli, testFolder } from './cli.test-support.ts'
import { exitCodes } from './exit-codes.ts'
import { createProgram } from './program.ts'
import { Session } from './session.ts'

const root = join(import.meta.dirname, '..', '..')
const text = readFileSync(join(root, 'docs', 'cli.md'), 'utf8')

interface Example {
  readonly command: string
  readonly output: string
}

/** The commands of all `console` blocks, with what the page says that they print. */
function examples(): readonly Example[] {
  const blocks = [...text.matchAll(/^```console\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? '')
  return blocks.flatMap((block) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const end = part.indexOf('\n')
        return { command: part.slice(0, end), output: part.slice(end + 1) }
      }),
  )
}

/** Words of a command, as a shell parts them; only quotes are known. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
}

/** What differs from run to run, or by the columns of a table, is taken out. */
function comparable(output: string, cwd: string): string[] {
  return output
    .replaceAll(`${cwd}/`, '…/')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}/g, '<id>')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replace(/\d+(\.\d+)? (B|KiB|MiB)\b/g, '<bytes>')
    .replace(/\b(\d+m )?\d+(\.\d+)?s\b/g, '<age>')
    .replace(/\d+ batches/g, '<count> batches')
    .replace(/\d+ (handled|published)\/s/g, '<rate> $1/s')
    .replace(/\b(6d 23h|7d)\b/g, '<due>')
    .replace(/^ {4}at .*\n/gm, '')
    .split('\n')
    .map((line) => line.replace(/ +/g, ' ').trim())
    .filter((line) => line !== '')
}

/** A folder in which `import 'millrace'` finds the sources. */
function projectFolder(): string {
  const cwd = testFolder()
  const modules = join(cwd, 'node_modules')
  mkdirSync(join(modules, 'millrace'), { recursive: true })
  writeFileSync(
    join(modules, 'millrace', 'package.json'),
    '{ "type": "module", "exports": { ".": "./index.js", "./tables": "./tables.js" } }',
  )
  writeFileSync(join(modules, 'millrace', 'index.js'), `export * from ${JSON.stringify(sourceUrl('index.ts'))}\n`)
  writeFileSync(
    join(modules, 'millrace', 'tables.js'),
    `export * from ${JSON.stringify(sourceUrl('tables/index.ts'))}\n`,
  )
  symlinkSync(join(root, 'node_modules', 'zod'), join(modules, 'zod'))
  writeFileSync(join(cwd, 'package.json'), '{ "type": "module" }')
  return cwd
}

describe('docs/cli.md', { timeout: 120_000 }, () => {
  it('shows what its examples print', async () => {
    const cwd = projectFolder()
    const bin = installCommand(cwd)
    let commandCount = 0
    for (const { command, output } of examples()) {
      const [program, ...args] = wordsOf(command)
      if (program === 'cat') {
        writeFileSync(join(cwd, args[0] ?? ''), output)
        continue
      }
      expect(program).toBe('millrace')
      commandCount++
      let actual: string
      if (args[0] === 'dev') {
        const run = new CommandProcess(bin, args, cwd)
        await run.exitCode()
        // On a slow machine there are lines before the last one.
        const lines = run.stdout.trimEnd().split('\n')
        actual = `${run.stderr}${lines.at(-1)}`
      } else {
        const { stdout, stderr } = await cli(args, { cwd })
        actual = stdout + stderr
      }
      expect([command, ...comparable(actual, cwd)]).toEqual([command, ...comparable(output, cwd)])
    }
    expect(commandCount).toBeGreaterThan(35)
  })

  it('shows every command', () => {
    const stream = new Capture()
    const environment = {
      stdin: stream,
      stdout: stream,
      stderr: stream,
      env: {},
      cwd: '.',
      signal: new AbortController().signal,
    }
    const clock = { nowMs: () => 0, monotonicMs: () => 0, setTimer: () => ({ cancel: () => undefined }) }
    const random = { nextFloat: () => 0, nextUint32: () => 0, fillBytes: () => undefined }
    const program = createProgram(new Session({ ...environment, clock, random }))
    const missing = program.commands
      .filter((command) => command.name() !== '__complete')
      .flatMap((command) =>
        command.commands.length === 0
          ? [command.name()]
          : command.commands.map((sub) => `${command.name()} ${sub.name()}`),
      )
      .filter((name) => !text.includes(`millrace ${name} `))
    expect(missing).toEqual([])
  })

  it('lists every exit code', () => {
    const listed = [...text.matchAll(/^\| (\d+) \|/gm)].map((match) => Number(match[1]))
    expect(listed).toEqual(Object.values(exitCodes))
  })
})
