import { MillraceError } from '../../src/kernel/index.ts'

/** What was typed behind `npm run servers --`, or handed to the functions of this folder, makes no sense. */
export class ServerUsageError extends MillraceError<'SERVER_USAGE'> {
  constructor(problem: string) {
    super({
      code: 'SERVER_USAGE',
      problem,
      remedy: 'Run `npm run servers -- --help` to see what can be asked for.',
      details: {},
    })
  }
}

/** A program that a server needs is not on this machine and cannot be installed by this process. */
export class ToolMissingError extends MillraceError<'SERVER_TOOL_MISSING', { readonly tools: readonly string[] }> {
  constructor(tools: readonly string[], remedy: string) {
    super({
      code: 'SERVER_TOOL_MISSING',
      problem: `This machine lacks ${tools.join(' and ')}.`,
      remedy,
      details: { tools },
    })
  }
}

/** A program is there, but not in a version that will do. */
export class ToolUnfitError extends MillraceError<'SERVER_TOOL_UNFIT', { readonly tool: string }> {
  constructor(tool: string, problem: string, remedy: string) {
    super({ code: 'SERVER_TOOL_UNFIT', problem, remedy, details: { tool } })
  }
}

/** Something could not be downloaded or installed; `output` is what the tool said. */
export class InstallFailedError extends MillraceError<'SERVER_INSTALL_FAILED', { readonly output: string }> {
  constructor(problem: string, remedy: string, output: string) {
    super({ code: 'SERVER_INSTALL_FAILED', problem, remedy, details: { output } })
  }
}

/** A helper program that should just work ended with an error. */
export class CommandFailedError extends MillraceError<'SERVER_COMMAND_FAILED', { readonly output: string }> {
  constructor(command: string, outcome: string, output: string) {
    super({
      code: 'SERVER_COMMAND_FAILED',
      problem: `\`${command}\` ${outcome}${lastLineOf(output)}.`,
      remedy: 'Read what it said below; once that is mended, run the same command again.',
      details: { output },
    })
  }
}

/** For those who are shown the message only. */
function lastLineOf(output: string): string {
  const last = output.trimEnd().split('\n').at(-1) ?? ''
  return last === '' ? '' : `; last it said "${last.replace(/\.$/, '')}"`
}

/** Something else listens where a server has to. */
export class PortTakenError extends MillraceError<'SERVER_PORT_TAKEN', { readonly port: number }> {
  constructor(server: string, port: number) {
    super({
      code: 'SERVER_PORT_TAKEN',
      problem: `${server} needs port ${port} of 127.0.0.1, where another program listens.`,
      remedy: `See who does with \`ss -ltnp 'sport = :${port}'\` and end it, or move all servers with --port-base.`,
      details: { port },
    })
  }
}

/** A server ended, or did not answer in time, after it was started; `logTail` holds its last lines. */
export class ServerStartError extends MillraceError<
  'SERVER_START_FAILED',
  { readonly logPath: string; readonly logTail: string }
> {
  constructor(server: string, outcome: string, logPath: string, logTail: string, options?: ErrorOptions) {
    super(
      {
        code: 'SERVER_START_FAILED',
        problem: `${server} ${outcome}.`,
        remedy:
          `Look for the reason in its log, ${logPath}; its last lines stand below. ` +
          'Where it is busy with the data of earlier runs, begin without them: `npm run servers -- down --delete-data`.',
        details: { logPath, logTail },
      },
      options,
    )
  }
}

/** The server runs already, but not as it is now asked for. */
export class ServerSettingsError extends MillraceError<'SERVER_SETTINGS_DIFFER'> {
  constructor(server: string, running: string, wanted: string) {
    super({
      code: 'SERVER_SETTINGS_DIFFER',
      problem: `${server} runs with ${running}, and now you ask for ${wanted}.`,
      remedy: `Stop it first: \`npm run servers -- down ${server}\`.`,
      details: {},
    })
  }
}

/** The scratch folder, or the data in it, cannot be used. */
export class ServerFolderError extends MillraceError<'SERVER_FOLDER_UNFIT', { readonly folder: string }> {
  constructor(folder: string, problem: string, remedy: string, options?: ErrorOptions) {
    super({ code: 'SERVER_FOLDER_UNFIT', problem, remedy, details: { folder } }, options)
  }
}

/** A call on a node that is not in the state that the call needs. */
export class NodeStateError extends MillraceError<'SERVER_NODE_STATE', { readonly state: string }> {
  constructor(node: string, state: string, wish: string) {
    super({
      code: 'SERVER_NODE_STATE',
      problem: `${node} is ${state}, and could not be made ${wish}.`,
      remedy: 'Look at `node.state()` first, or start the node.',
      details: { state },
    })
  }
}
