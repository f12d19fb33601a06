import { CommanderError } from 'commander'
import { type CliEnvironment, processEnvironment } from './environment.ts'
import { factsOf, reportError } from './error-report.ts'
import { InterruptedError, OutputFailedError, UsageError } from './errors.ts'
import { exitCodeOf, exitCodes } from './exit-codes.ts'
import { Output } from './output.ts'
import { commandAt, createProgram, namePath } from './program.ts'
import { Session } from './session.ts'

/**
 * Runs the command line and answers with its exit code; `docs/cli.md` lists both.
 *
 * @param args What was typed behind the name of the program.
 * @param environment Default: the surroundings of this process; Ctrl-C is then taken care of while it runs.
 *
 * @example
 * ```ts
 * process.exitCode = await main(['topics', 'ls', '--file', 'shop.db'])
 * ```
 */
export async function main(args: readonly string[], environment?: CliEnvironment): Promise<number> {
  if (environment !== undefined) return runIn(environment, args)
  using own = processEnvironment()
  return await runIn(own, args)
}

async function runIn(environment: CliEnvironment, args: readonly string[]): Promise<number> {
  const closed = new AbortController()
  const { stdout, stderr } = environment
  // `millrace … | head`: the reader has seen enough, which is no error.
  const stopAtClosedPipe = (error: NodeJS.ErrnoException): void => closed.abort(error)
  const ignore = (): void => undefined
  stdout.on('error', stopAtClosedPipe)
  stderr.on('error', ignore)
  try {
    const signal = AbortSignal.any([environment.signal, closed.signal])
    const exitCode = await run(args, { ...environment, signal })
    if (closed.signal.aborted)
      return afterFailedOutput(closed.signal.reason as NodeJS.ErrnoException, environment, args)
    return environment.signal.aborted ? interruptionCode(environment.signal) : exitCode
  } finally {
    // A late EPIPE must still find somebody who ignores it.
    stdout.on('error', ignore)
    stdout.off('error', stopAtClosedPipe)
    // Input that nobody reads any more must not keep the process.
    environment.stdin.unref?.()
  }
}

async function run(args: readonly string[], environment: CliEnvironment): Promise<number> {
  const session = new Session(environment)
  const wanted = wantedBeforeParsing(args)
  const program = createProgram(session, wanted.json)
  try {
    await program.parseAsync(args, { from: 'user' })
    return session.exitCode
  } catch (error) {
    if (environment.signal.aborted) return exitCodes.failed
    const output = new Output(environment, wanted)
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return exitCodes.ok
      const command = commandAt(program, args)
      if (error.code === 'commander.help') {
        // It has shown the help of a command that needs a subcommand; but who wants JSON gets nothing else.
        const reason = args.includes('help') ? 'There is no such command.' : 'A command is missing.'
        if (wanted.json || args.includes('help')) reportError(output, new UsageError(reason, namePath(command)), false)
        return exitCodes.usage
      }
      const text = error.message.replace(/^error: /, '').replaceAll('\n', ' ')
      reportError(output, new UsageError(sentence(text), namePath(command)), false)
      return exitCodes.usage
    }
    const isDebug = wanted.debug || !['', '0', undefined].includes(environment.env['MILLRACE_DEBUG'])
    reportError(output, error, isDebug)
    return exitCodeOf(factsOf(error).code)
  }
}

/** Options that matter even where the command line could not be parsed. */
function wantedBeforeParsing(args: readonly string[]): { json: boolean; color: boolean; debug: boolean } {
  const end = args.indexOf('--')
  const options = end < 0 ? args : args.slice(0, end)
  return {
    json: options.includes('--json'),
    color: !options.includes('--no-color'),
    debug: options.includes('--debug'),
  }
}

function sentence(text: string): string {
  const upper = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?)]$/.test(upper) ? upper : `${upper}.`
}

function afterFailedOutput(
  reason: NodeJS.ErrnoException,
  environment: CliEnvironment,
  args: readonly string[],
): number {
  if (reason.code === 'EPIPE') return exitCodes.ok
  const wanted = wantedBeforeParsing(args)
  reportError(new Output(environment, wanted), new OutputFailedError(reason), wanted.debug)
  return exitCodes.failed
}

function interruptionCode({ reason }: AbortSignal): number {
  const isTermination = reason instanceof InterruptedError && reason.details.signal === 'SIGTERM'
  return isTermination ? exitCodes.terminated : exitCodes.interrupted
}
