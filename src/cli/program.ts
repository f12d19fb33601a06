import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { backupCommand } from './commands/backup.ts'
import { completionCommand } from './commands/completion.ts'
import { deadLettersCommand } from './commands/dead-letters.ts'
import { devCommand } from './commands/dev.ts'
import { explainCommand } from './commands/explain.ts'
import { groupsCommand, lagCommand } from './commands/groups.ts'
import { processesCommand } from './commands/processes.ts'
import { publishCommand } from './commands/publish.ts'
import { sagasCommand } from './commands/sagas.ts'
import { streamsCommand } from './commands/streams.ts'
import { tailCommand } from './commands/tail.ts'
import { timersCommand } from './commands/timers.ts'
import { topicsCommand } from './commands/topics.ts'
import { verifyCommand } from './commands/verify.ts'
import { viewsCommand } from './commands/views.ts'
import { hasColors } from './output.ts'
import type { Session } from './session.ts'

const everyCommand = [
  devCommand,
  explainCommand,
  topicsCommand,
  publishCommand,
  tailCommand,
  groupsCommand,
  lagCommand,
  deadLettersCommand,
  viewsCommand,
  sagasCommand,
  processesCommand,
  streamsCommand,
  timersCommand,
  verifyCommand,
  backupCommand,
  completionCommand,
]

const after = `
Which file is meant: --file, else the variable MILLRACE_FILE, else "millrace": { "file": "…" } in package.json.
Commands that read work beside a running app; commands that write need the app of a file to be stopped.
With --deployment a command works on the engine that a module exports, such as kafka() or postgres().

Exit codes: 0 done, 1 failed, 2 cannot be understood, 3 not found, 4 damaged, 5 in use by another process,
6 refused or not confirmed, 7 the app does not start on its deployment, 130 stopped by Ctrl-C.

Examples:
  $ millrace dev app.ts
  $ millrace topics ls --file shop.db
  $ millrace tail orders --follow --file shop.db
  $ millrace lag --json --file shop.db
  $ millrace lag --deployment production.ts`

/** The whole command line. With `isJson` stderr is left to errors as JSON: what is no error stays unsaid there. */
export function createProgram(session: Session, isJson = false): Command {
  const { environment } = session
  const { stdout, stderr } = environment
  const program = new Command('millrace')
    .description('Looks into Millrace files and servers, changes what is there, and runs apps.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .option('--file <path>', 'the Millrace file')
    .option(
      '--deployment <module>',
      "in place of a file: module that exports the engine, as its default or as 'engine'",
    )
    .option('--json', 'data as JSON; errors as one JSON object on stderr')
    .option('--no-color', 'no colours, whatever the terminal can')
    .option('--debug', 'errors with their stack; also by MILLRACE_DEBUG=1')
    .helpOption('-h, --help', 'say how it is used')
    .helpCommand('help [command]', 'say how a command is used')
    .addHelpText('after', after)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => (isJson ? undefined : stderr.write(text)),
      // main() tells of errors.
      outputError: () => undefined,
      getOutHelpWidth: () => stdout.columns || 100,
      getErrHelpWidth: () => stderr.columns || 100,
      getOutHasColors: () => hasColors(environment, stdout, true),
      getErrHasColors: () => hasColors(environment, stderr, true),
    })
    .exitOverride()
  for (const add of everyCommand) add(program, session)
  return program
}

/** The command that arguments lead to, as far as they do. */
export function commandAt(program: Command, args: readonly string[]): Command {
  let command = program
  for (const arg of args) {
    if (arg === '--') break
    const next = command.commands.find((one) => one.name() === arg || one.aliases().includes(arg))
    if (next !== undefined) command = next
  }
  return command
}

/** A command as it is typed: `millrace topics ls`. */
export function namePath(command: Command): string {
  return command.parent === null ? command.name() : `${namePath(command.parent)} ${command.name()}`
}

/** Stands two folders up, in the sources as in the package. */
function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { readonly version: string }).version
}
