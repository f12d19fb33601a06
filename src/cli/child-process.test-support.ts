import { type ChildProcess, spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { onTestFinished } from 'vitest'

const root = join(import.meta.dirname, '..', '..')

/** URL of a module of the sources, for modules that tests write. */
export function sourceUrl(path: string): string {
  return pathToFileURL(join(root, 'src', path)).href
}

/** The door of the command line in a folder of its own, where it finds the sources instead of a build. */
export function installCommand(folder: string): string {
  const bin = join(folder, 'package', 'bin')
  const dist = join(folder, 'package', 'dist', 'cli')
  mkdirSync(bin, { recursive: true })
  mkdirSync(dist, { recursive: true })
  copyFileSync(join(root, 'bin', 'millrace.mjs'), join(bin, 'millrace.mjs'))
  writeFileSync(join(folder, 'package', 'package.json'), '{ "type": "module" }')
  writeFileSync(join(dist, 'main.js'), `export { main } from ${JSON.stringify(sourceUrl('cli/main.ts'))}\n`)
  return join(bin, 'millrace.mjs')
}

/** A process of the command line, with what it has written so far. */
export class CommandProcess {
  readonly child: ChildProcess
  stdout = ''
  stderr = ''
  #isOver = false
  readonly #closed: Promise<number | null>

  constructor(command: string, args: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}) {
    const { FORCE_COLOR: _forced, ...inherited } = process.env
    this.child = spawn(process.execPath, [command, ...args], { cwd, env: { ...inherited, NO_COLOR: '1', ...env } })
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString('utf8')
    })
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString('utf8')
    })
    this.#closed = new Promise((resolve) => {
      this.child.on('close', (exitCode) => {
        this.#isOver = true
        resolve(exitCode)
      })
    })
    onTestFinished(() => {
      this.child.kill('SIGKILL')
    })
  }

  /** Resolves with the exit code. */
  exitCode(): Promise<number | null> {
    return this.#closed
  }

  /** Waits until this was written to either stream; a process that ends before makes it fail with what it said. */
  async says(text: string): Promise<void> {
    while (!this.stdout.includes(text) && !this.stderr.includes(text)) {
      if (this.#isOver) throw new Error(`It ended without saying ${text}:\n${this.stdout}\n${this.stderr}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}
