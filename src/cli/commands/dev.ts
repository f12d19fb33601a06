import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import type { App, RunningApp } from '../../app/index.ts'
import { embedded } from '../../embedded/index.ts'
import type { EngineSource } from '../../engine/index.ts'
import { Activity } from '../dev/activity.ts'
import { loadApp } from '../dev/app-module.ts'
import { loadEngine } from '../dev/engine-module.ts'
import { LiveSummary } from '../dev/live-summary.ts'
import { UsageError } from '../errors.ts'
import { namedFile, shownPath } from '../ground.ts'
import type { Invocation, Session } from '../session.ts'
import { shown } from '../text.ts'

interface DevOptions {
  readonly data?: string
  readonly once?: boolean
}

/** Where the files of apps go that no option names. */
const folderDefault = '.data'

/** `millrace dev`: runs an app and shows what it does. */
export function devCommand(program: Command, session: Session): void {
  program
    .command('dev')
    .summary('Run an app and show what it does.')
    .description(
      'Run an app and show what it does: rates, lag of each handler, dead letters, failures.\n\nCtrl-C lets handlers finish and stops; a second Ctrl-C stops at once, and nothing is lost.',
    )
    .argument('<app>', "module that exports the app, as its default or as 'app'; TypeScript or JavaScript")
    .option(
      '--data <folder>',
      `folder for the file of the app (default: ${folderDefault}, unless --file or MILLRACE_FILE is given)`,
    )
    .option('--once', 'stop when everything is handled')
    .action(session.action(dev))
    .addHelpText(
      'after',
      `
Examples:
  $ millrace dev app.ts
  $ millrace dev app.ts --file shop.db --json
  $ millrace dev app.ts --deployment production.ts
  $ millrace dev app.ts --once            (handles what waits, for scripts)`,
    )
}

async function dev(invocation: Invocation<DevOptions>): Promise<void> {
  const { options, output, environment, args } = invocation
  const { clock, random, signal, cwd } = environment
  if (options.data !== undefined && options.file !== undefined) {
    throw new UsageError('--data and --file exclude each other.', 'millrace dev')
  }
  if (options.deployment !== undefined && (options.data ?? options.file) !== undefined) {
    throw new UsageError('--deployment says where everything is kept: leave --data and --file out.', 'millrace dev')
  }
  const app = await loadApp(args[0] as string, cwd)
  signal.throwIfAborted()
  const { source, place } = await groundOf(app, invocation)
  await using engine = await source.open({ clock, random })
  let summary: LiveSummary | undefined
  using activity = new Activity(clock, (text) => {
    summary?.clear()
    output.note(output.styledNote('yellow', shown(text)))
  })
  output.note(
    `App ${app.name} runs on ${place}. ${options.once === true ? 'It stops when everything is handled.' : 'Ctrl-C stops it.'}`,
  )
  const running = await app.start({ engine, clock, random })
  summary = new LiveSummary(running, activity, clock, output)
  try {
    await whileShown(summary, signal, () => workOf(running, signal, options.once === true))
    if (signal.aborted) output.note('Stopping: handlers may finish. Ctrl-C again stops at once.')
  } finally {
    await running.stop()
  }
  output.note(`App ${app.name} stopped.`)
}

async function groundOf(
  app: App,
  invocation: Invocation<DevOptions>,
): Promise<{ readonly source: EngineSource; readonly place: string }> {
  const { options, environment } = invocation
  if (options.deployment !== undefined) {
    const source = await loadEngine(options.deployment, environment.cwd)
    return { source, place: shown(source.name) }
  }
  const path = fileOf(app, invocation)
  return { source: embedded({ path }), place: shownPath(path, environment.cwd) }
}

function fileOf(app: App, { options, environment }: Invocation<DevOptions>): string {
  const { cwd } = environment
  const inFolder = (folder: string): string => resolve(cwd, join(folder, `${app.name}.db`))
  if (options.data !== undefined) return inFolder(options.data)
  return namedFile(options, environment) ?? inFolder(folderDefault)
}

/** Resolves when the app shall stop; rejects when it failed. */
async function workOf(running: RunningApp, signal: AbortSignal, isOnce: boolean): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  const idle = isOnce ? [running.idle({ signal }).catch((error: unknown) => ifRunning(error, signal))] : []
  await Promise.race([stopped, running.failed, ...idle])
}

function ifRunning(error: unknown, signal: AbortSignal): void {
  if (!signal.aborted) throw error
}

async function whileShown(summary: LiveSummary, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  const end = new AbortController()
  const showing = summary.show(AbortSignal.any([end.signal, signal]))
  try {
    await work()
  } finally {
    end.abort()
    // A failed app has no figures any more; its own error is the one to tell.
    await showing.catch(() => undefined)
  }
}
