import { MillraceError } from '../kernel/index.ts'

/** A command line that cannot be understood. */
export class UsageError extends MillraceError<'CLI_USAGE', { readonly command: string }> {
  /** `command` is the command as it was typed, without its arguments. */
  constructor(problem: string, command: string) {
    super({
      code: 'CLI_USAGE',
      problem,
      remedy: `See "${command} --help".`,
      details: { command },
    })
  }
}

/** A line or document that was given as input and cannot be used. */
export class InputInvalidError extends MillraceError<
  'CLI_INPUT_INVALID',
  { readonly place: string; readonly reason: string; readonly line: number | null; readonly publishedCount: number }
> {
  /** `place` is `line 7` or `the data`; `line` counts from 1; `publishedCount` is what was published before. */
  constructor(place: string, reason: string, line: number | null, outcome: string, publishedCount: number) {
    super({
      code: 'CLI_INPUT_INVALID',
      problem: `Input cannot be used: ${place} ${reason}.`,
      remedy: `${outcome} Correct the input, then publish what is missing.`,
      details: { place, reason, line, publishedCount },
    })
  }
}

/** No Millrace file was named. */
export class FileUnnamedError extends MillraceError<'CLI_FILE_UNNAMED', object> {
  constructor() {
    super({
      code: 'CLI_FILE_UNNAMED',
      problem: 'Which Millrace file is meant was not said.',
      remedy:
        'Give --file <path>, set MILLRACE_FILE, or put { "millrace": { "file": "<path>" } } into the package.json of the project.',
      details: {},
    })
  }
}

/** A package.json whose entry for Millrace cannot be used. */
export class ConfigInvalidError extends MillraceError<
  'CLI_CONFIG_INVALID',
  { readonly path: string; readonly reason: string }
> {
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(
      {
        code: 'CLI_CONFIG_INVALID',
        problem: `${path} ${reason}.`,
        remedy: 'Correct it, or name the file with --file.',
        details: { path, reason },
      },
      options,
    )
  }
}

/** Something that was named on the command line and is not there. */
export class NotFoundError extends MillraceError<'CLI_NOT_FOUND', { readonly kind: string; readonly name: string }> {
  constructor(kind: string, name: string, remedy: string) {
    super({
      code: 'CLI_NOT_FOUND',
      problem: `There is no ${kind} ${JSON.stringify(name)}.`,
      remedy,
      details: { kind, name },
    })
  }
}

/** A change that cannot be taken back and that nobody confirmed. */
export class UnconfirmedError extends MillraceError<'CLI_UNCONFIRMED', { readonly question: string }> {
  /** `look` shows what it is about without changing anything. */
  constructor(question: string, wasAsked: boolean, look: string) {
    super({
      code: 'CLI_UNCONFIRMED',
      problem: `Nothing was changed: ${wasAsked ? 'the answer was not yes' : 'nobody is here to confirm it'}.`,
      remedy: `Look at it with ${look}; give --yes to go ahead without a question.`,
      details: { question },
    })
  }
}

/** The progress of a copy of a view goes with its state, and is not moved by itself. */
export class ViewGroupError extends MillraceError<
  'CLI_VIEW_GROUP',
  { readonly group: string; readonly view: string; readonly copy: string }
> {
  constructor(group: string, view: string, copy: string) {
    super({
      code: 'CLI_VIEW_GROUP',
      problem: `Group ${group} is how far copy ${copy} of view ${view} is: moved by itself, the view would count events twice, or never.`,
      remedy: `Build the view anew: millrace views rebuild ${view}.`,
      details: { group, view, copy },
    })
  }
}

/** A file that would be written over. */
export class TargetExistsError extends MillraceError<'CLI_TARGET_EXISTS', { readonly path: string }> {
  constructor(path: string) {
    super({
      code: 'CLI_TARGET_EXISTS',
      problem: `${path} exists already.`,
      remedy: 'Give a path where nothing is yet; existing files are never written over.',
      details: { path },
    })
  }
}

/** A module that could not be loaded, or that exports no app. */
export class AppUnusableError extends MillraceError<
  'CLI_APP_UNUSABLE',
  { readonly path: string; readonly reason: string }
> {
  constructor(path: string, reason: string, remedy: string, options?: ErrorOptions) {
    super(
      { code: 'CLI_APP_UNUSABLE', problem: `${path} cannot be run: ${reason}.`, remedy, details: { path, reason } },
      options,
    )
  }
}

/** What the command had to say could not be written to stdout. */
export class OutputFailedError extends MillraceError<'CLI_OUTPUT_FAILED', { readonly reason: string }> {
  constructor(cause: Error) {
    super(
      {
        code: 'CLI_OUTPUT_FAILED',
        problem: `The output could not be written: ${cause.message}.`,
        remedy:
          'Make room where it goes, or send it elsewhere; a command that changes things may have done so already.',
        details: { reason: cause.message },
      },
      { cause },
    )
  }
}

/** The command was stopped by a signal before it was done. */
export class InterruptedError extends MillraceError<'CLI_INTERRUPTED', { readonly signal: 'SIGINT' | 'SIGTERM' }> {
  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super({
      code: 'CLI_INTERRUPTED',
      problem: `The command was stopped by ${signal}.`,
      remedy: 'Run it again to finish what it began.',
      details: { signal },
    })
  }
}
