import { type Clock, type Random, systemClock, systemRandom } from '../kernel/index.ts'
import { InterruptedError } from './errors.ts'
import { exitCodes } from './exit-codes.ts'

/** A stream to write to, which may be a terminal. */
export type OutputStream = NodeJS.WritableStream & {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

/** A stream to read from, which may be a terminal. */
export type InputStream = NodeJS.ReadableStream & { readonly isTTY?: boolean; unref?: () => unknown }

/** What the command line takes from its surroundings, so that a test can give its own. */
export interface CliEnvironment {
  readonly stdin: InputStream
  /** Data goes here, and nothing else. */
  readonly stdout: OutputStream
  /** Notes, questions, progress and errors go here. */
  readonly stderr: OutputStream
  readonly env: Readonly<Record<string, string | undefined>>
  /** Relative paths start here. */
  readonly cwd: string
  readonly clock: Clock
  readonly random: Random
  /** Aborts, with an `InterruptedError` as its reason, when the command shall stop. */
  readonly signal: AbortSignal
}

/** A terminal sends Ctrl-C to all that run in it, and npm and npx then pass it on: what follows so soon is the same one. */
const sameInterruptionMs = 500

/** The surroundings of this process. Ctrl-C aborts the signal; a second Ctrl-C ends the process at once. */
export function processEnvironment(): CliEnvironment & Disposable {
  const interruption = new AbortController()
  let stoppedAtMs = 0
  const stop = (signal: 'SIGINT' | 'SIGTERM'): void => {
    const nowMs = systemClock.monotonicMs()
    if (!interruption.signal.aborted) {
      stoppedAtMs = nowMs
      interruption.abort(new InterruptedError(signal))
    } else if (nowMs - stoppedAtMs >= sameInterruptionMs) {
      process.exit(signal === 'SIGINT' ? exitCodes.interrupted : exitCodes.terminated)
    }
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    clock: systemClock,
    random: systemRandom,
    signal: interruption.signal,
    [Symbol.dispose]: () => {
      process.off('SIGINT', stop)
      process.off('SIGTERM', stop)
    },
  }
}
