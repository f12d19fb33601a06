import type { Command } from 'commander'
import type { CliEnvironment } from './environment.ts'
import { exitCodes } from './exit-codes.ts'
import { Output } from './output.ts'

/** Options that every command takes. */
export interface GlobalOptions {
  readonly file?: string
  /** Module that exports the engine to work on, in place of a file. */
  readonly deployment?: string
  readonly json?: boolean
  /** `false` for `--no-color`. */
  readonly color: boolean
  readonly debug?: boolean
}

/** One run of one command: what was asked for and what it works with. */
export interface Invocation<Options> {
  readonly options: Options & GlobalOptions
  /** What stands behind the command, optional arguments that are missing left out. */
  readonly args: readonly string[]
  readonly environment: CliEnvironment
  readonly output: Output
  /** Sets the exit code of a command that ends without an error. */
  exitWith(code: number): void
}

/** What a command does. */
export type Run<Options> = (invocation: Invocation<Options>) => Promise<void>

/** One run of the command line: ties what commander parses to the surroundings. */
export class Session {
  readonly environment: CliEnvironment
  exitCode: number = exitCodes.ok

  constructor(environment: CliEnvironment) {
    this.environment = environment
  }

  /** An action for commander that runs a command. */
  action<Options extends object>(run: Run<Options>): (...given: unknown[]) => Promise<void> {
    return async (...given) => {
      const command = given.at(-1) as Command
      const options = command.optsWithGlobals<Options & GlobalOptions>()
      const { environment } = this
      const output = new Output(environment, { json: options.json === true, color: options.color })
      const args = (command.processedArgs as (string | readonly string[] | undefined)[])
        .flat()
        .filter((arg) => arg !== undefined)
      const exitWith = (code: number): void => {
        this.exitCode = code
      }
      environment.signal.throwIfAborted()
      await run({ options, args, environment, output, exitWith })
    }
  }
}
