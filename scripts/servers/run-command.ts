import { spawn } from 'node:child_process'
import { CommandFailedError } from './errors.ts'

/** How a program that does one thing and ends is run. */
export interface CommandOptions {
  readonly cwd?: string
  /** In addition to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>
  readonly uid?: number
  readonly gid?: number
  /** The program is killed after this time. Default 600,000 ms: a download may be slow. */
  readonly timeoutMs?: number
}

/** What a program left behind. */
export interface CommandResult {
  /** `undefined`: it could not be started, because there is no such program. */
  readonly exitCode: number | undefined
  /** Its last 200,000 characters of both outputs. */
  readonly output: string
}

const outputCharsMax = 200_000

/** Runs a program to its end. A program that is missing or fails is a result, not an error. */
export function tryCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { env, timeoutMs = 600_000, ...rest } = options
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      ...rest,
      env: { ...process.env, LC_ALL: 'C.UTF-8', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    })
    let output = ''
    const keep = (chunk: string): void => {
      output = (output + chunk).slice(-outputCharsMax)
    }
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') resolve({ exitCode: undefined, output })
      else reject(error)
    })
    child.once('close', (code, signal) => {
      const end = signal === null ? '' : `\nIt was ended by ${signal}, at the latest after ${timeoutMs / 1000} s.`
      resolve({ exitCode: code ?? 1, output: output + end })
    })
  })
}

/** Runs a program to its end and answers with what it said. Fails with `SERVER_COMMAND_FAILED`. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { exitCode, output } = await tryCommand(command, args, options)
  if (exitCode === 0) return output
  const outcome = exitCode === undefined ? 'is not on this machine' : `ended with exit code ${exitCode}`
  throw new CommandFailedError([command, ...args.slice(0, 1)].join(' '), outcome, output)
}
