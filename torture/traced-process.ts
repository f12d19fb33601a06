import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { atExit } from './at-exit.ts'

/** Why system calls cannot be watched here; undefined: they can. */
export function straceProblem(): string | undefined {
  const { status } = spawnSync('strace', ['-o', '/dev/null', 'true'], { stdio: 'ignore' })
  return status === 0 ? undefined : 'strace is not installed, or may not trace here'
}

/** How a process is watched. */
export interface Tracing {
  /** Only calls that touch one of these files or folders. */
  readonly paths: readonly string[]
  readonly calls: readonly string[]
  /** File that takes the log. */
  readonly logPath: string
  /** As after strace's `--inject=`. */
  readonly inject?: string
  /** With all data that is written: as hexadecimal digits, or as text with escapes. */
  readonly data?: 'hexadecimal' | 'text'
}

/** No write of the engine's is longer: SQLite writes pages of 8 KiB. A longer one is noticed by whoever reads the log. */
const dataBytesMax = 64 * 1024
/** Without data: enough for a line of the journal. */
const textBytesMax = 256

/** A Node process under strace. */
export class TracedProcess implements AsyncDisposable {
  readonly #strace: ChildProcess
  readonly exited: Promise<unknown>
  output = ''
  complaint = ''

  constructor(args: readonly string[], { paths, calls, logPath, inject, data }: Tracing) {
    const options = ['-f', '-qq', '-o', logPath, '-e', `trace=${calls.join(',')}`]
    options.push('-s', String(data === undefined ? textBytesMax : dataBytesMax))
    if (data === 'hexadecimal') options.push('-xx')
    if (inject !== undefined) options.push('-e', `inject=${inject}`)
    options.push(...paths.flatMap((path) => ['-P', path]))
    this.#strace = spawn('strace', [...options, process.execPath, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
    const forget = atExit(() => this.#killAll())
    this.exited = once(this.#strace, 'exit').finally(forget)
    this.#strace.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text
    })
    this.#strace.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.complaint += text
    })
  }

  /** Waits until it says something, or ends. */
  async spoke(): Promise<void> {
    const { stdout } = this.#strace
    if (stdout !== null && this.output === '') await Promise.race([once(stdout, 'data'), this.exited])
  }

  get isRunning(): boolean {
    return this.#strace.exitCode === null && this.#strace.signalCode === null
  }

  /** Kills what is traced, not the tracer: that one still writes down what it saw. */
  async kill(): Promise<void> {
    this.#killTraced()
    await this.exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isRunning) return
    this.#killAll()
    await this.exited
  }

  /** First what is traced: without its tracer it would run on. */
  #killAll(): void {
    this.#killTraced()
    this.#strace.kill('SIGKILL')
  }

  #killTraced(): void {
    for (const child of this.#children()) {
      try {
        process.kill(child, 'SIGKILL')
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  #children(): number[] {
    const { pid } = this.#strace
    if (pid === undefined || !this.isRunning) return []
    try {
      return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number)
    } catch {
      return []
    }
  }
}
