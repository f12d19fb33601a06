import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { installFailure, provideTools } from './debian-packages.ts'
import { withFolderLock } from './folder-lock.ts'
import { javaCommand, javaMajor, provideKafka } from './kafka/kafka-programs.ts'
import { logTail } from './log-tail.ts'
import { partialFolderFor } from './partial-folder.ts'
import { findPostgresPrograms } from './postgres/postgres-programs.ts'
import { runCommand, tryCommand } from './run-command.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-installation-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const silent = (): void => undefined

/** A program that does what the lines say, first on the PATH. */
function pretend(program: string, lines: string): void {
  writeFileSync(join(folder, program), `#!/bin/sh\n${lines}\n`, { mode: 0o755 })
  vi.stubEnv('PATH', `${folder}:${process.env['PATH'] ?? ''}`)
}

describe('the version of Java', () => {
  it.each([
    ['openjdk version "17.0.15" 2025-04-15', 17],
    ['openjdk version "21" 2023-09-19', 21],
    ['java version "1.8.0_402"', 8],
    ['Unable to locate a Java Runtime', undefined],
  ])('of %j is %s', (text, major) => {
    expect(javaMajor(text)).toBe(major)
  })

  it('is asked of the one in JAVA_HOME, if there is one', () => {
    expect(javaCommand({ JAVA_HOME: join(folder, 'none') })).toBe('java')
    mkdirSync(join(folder, 'bin'))
    writeFileSync(join(folder, 'bin', 'java'), '')
    expect(javaCommand({ JAVA_HOME: folder })).toBe(join(folder, 'bin', 'java'))
    expect(javaCommand({})).toBe('java')
  })
})

describe('the installation of Kafka', () => {
  it('refuses a Java that is too old', async () => {
    pretend('java', 'echo \'java version "1.8.0_402"\' >&2')
    for (const program of ['mvn', 'openssl']) pretend(program, 'exit 1')
    vi.stubEnv('JAVA_HOME', undefined)
    const refusal = { code: 'SERVER_TOOL_UNFIT', message: expect.stringContaining('is Java 8') as string }
    await expect(provideKafka(folder, silent)).rejects.toMatchObject(refusal)
  })

  it('tells why Maven failed, and starts anew the next time', async () => {
    pretend('java', 'echo \'openjdk version "17.0.1"\' >&2')
    pretend('openssl', 'exit 1')
    pretend('mvn', 'echo "[ERROR] Could not transfer artifact x: Unknown host"; exit 1')
    vi.stubEnv('JAVA_HOME', undefined)
    const failure = {
      code: 'SERVER_INSTALL_FAILED',
      message: expect.stringContaining('could not be reached') as string,
      details: { output: expect.stringContaining('Unknown host') as string },
    }
    await expect(provideKafka(folder, silent)).rejects.toMatchObject(failure)
    pretend('mvn', 'mkdir lib && touch lib/kafka.jar')
    await provideKafka(folder, silent)
    // It is there now: Maven, which would fail, is not asked again.
    pretend('mvn', 'exit 1')
    await provideKafka(folder, silent)
  })
})

describe('the packages of Debian', () => {
  it('are left alone if the program is there', async () => {
    pretend('apt-get', 'exit 1')
    await provideTools([{ program: 'sh', debianPackage: 'dash' }], silent)
  })

  it('are installed by root, and their failure is explained', async () => {
    const tools = [{ program: 'no-such-program', debianPackage: 'no-such-package' }]
    pretend('apt-get', 'echo "E: Unable to locate package no-such-package"; exit 100')
    vi.spyOn(process, 'getuid').mockReturnValue(0)
    const failure = { code: 'SERVER_INSTALL_FAILED', message: expect.stringContaining('lacks a package') as string }
    await expect(provideTools(tools, silent)).rejects.toMatchObject(failure)
    vi.spyOn(process, 'getuid').mockReturnValue(1000)
    const missing = {
      code: 'SERVER_TOOL_MISSING',
      message: expect.stringContaining('`apt-get install no-such-package` as root') as string,
    }
    await expect(provideTools(tools, silent)).rejects.toMatchObject(missing)
  })

  it.each([
    ['write /x: No space left on device', 'disk is full'],
    ['PKIX path building failed', 'certificate'],
    ['Temporary failure resolving', 'could not be reached'],
    ['Checksum validation failed', 'digest'],
    ['something else', 'ended with an error'],
  ])('when they say %j: %s', (output, words) => {
    expect(installFailure('it', output)).toMatchObject({ problem: expect.stringContaining(words) as string })
  })
})

describe('the programs of PostgreSQL', () => {
  it('are the newest of Debian’s', async () => {
    for (const version of ['9', '15', '17']) mkdirSync(join(folder, version, 'bin'), { recursive: true })
    for (const version of ['9', '15']) writeFileSync(join(folder, version, 'bin', 'initdb'), '')
    // 17 is a client only.
    expect(await findPostgresPrograms(folder)).toBe(join(folder, '15', 'bin'))
  })

  it('are those of the PATH where Debian’s are not', async () => {
    pretend('initdb', 'exit 0')
    expect(await findPostgresPrograms(join(folder, 'none'))).toBe(folder)
  })
})

describe('a program', () => {
  it('that is missing, fails, or takes too long is told apart', async () => {
    expect(await tryCommand('no-such-program', [])).toEqual({ exitCode: undefined, output: '' })
    expect(await tryCommand('sh', ['-c', 'echo out; echo err >&2; exit 3'])).toMatchObject({ exitCode: 3 })
    const { exitCode, output } = await tryCommand('sleep', ['600'], { timeoutMs: 20 })
    expect([exitCode, output]).toEqual([1, expect.stringContaining('ended by SIGKILL')])
    await expect(runCommand('no-such-program', ['x'])).rejects.toThrow('is not on this machine')
    await expect(runCommand('sh', ['-c', 'echo why; exit 3'])).rejects.toMatchObject({ details: { output: 'why\n' } })
  })
})

describe('the lock of a folder', () => {
  it('lets in one after the other', async () => {
    const said: string[] = []
    let inside = 0
    const work = async (): Promise<number> => {
      inside += 1
      const seen = inside
      // Long enough for the others to get in, were they let.
      await tryCommand('sleep', ['0.02'])
      inside -= 1
      return seen
    }
    const seen = await Promise.all([1, 2, 3].map(() => withFolderLock(folder, (line) => said.push(line), work)))
    expect(seen).toEqual([1, 1, 1])
  })

  it('is given back after an error', async () => {
    const fail = (): Promise<never> => Promise.reject(new RangeError('x'))
    await expect(withFolderLock(folder, silent, fail)).rejects.toThrow(RangeError)
    expect(await withFolderLock(folder, silent, () => Promise.resolve(7))).toBe(7)
  })

  it('needs a folder', async () => {
    const never = (): Promise<never> => Promise.reject(new RangeError('It was let in.'))
    await expect(withFolderLock(join(folder, 'none'), silent, never)).rejects.toMatchObject({
      code: 'SERVER_COMMAND_FAILED',
    })
  })
})

describe('the end of a log', () => {
  it('is its last lines, however long it is', () => {
    const path = join(folder, 'x.log')
    writeFileSync(path, `${'x'.repeat(99)}\n`.repeat(1000))
    writeFileSync(path, 'the last\n\n', { flag: 'a' })
    const lines = logTail(path).split('\n')
    expect([lines.length, lines.at(-1)]).toEqual([25, 'the last'])
    expect(statSync(path).size).toBeGreaterThan(90_000)
    expect(logTail(join(folder, 'none.log'))).toBe('')
  })
})

describe('a folder that is not whole yet', () => {
  it('is a new one each time, and what earlier attempts left is gone', () => {
    const path = join(folder, 'tls')
    const first = partialFolderFor(path)
    writeFileSync(join(first, 'x'), '')
    mkdirSync(join(folder, 'tls-of-others'))
    const second = partialFolderFor(path)
    expect(readdirSync(second)).toEqual([])
    expect(readdirSync(folder).sort()).toEqual([basename(second), 'tls-of-others'].sort())
    expect(first).not.toBe(second)
  })
})
