import type { Command } from 'commander'
import type { App } from '../../app/index.ts'
import { type Decider, history, type StreamPoint } from '../../domain/index.ts'
import { StreamUnknownError } from '../../engine/index.ts'
import { loadApp } from '../dev/app-module.ts'
import { NotFoundError, UsageError } from '../errors.ts'
import { withEngine } from '../ground.ts'
import { wholeNumber } from '../option-values.ts'
import { pointInTime } from '../positions.ts'
import type { Invocation, Session } from '../session.ts'
import { shown, shownTime } from '../text.ts'
import { changesJson, reasonJson, showChanges, showReasons } from './state-display.ts'

interface StateOptions {
  readonly decider?: string
  readonly atVersion?: number
  readonly atPosition?: number
  readonly atTime?: number
  readonly since?: number
  readonly why?: boolean
}

/** `millrace streams state`: what a stream is, or was, in the eyes of its decider. */
export function streamStateCommand(streams: Command, session: Session): void {
  streams
    .command('state')
    .summary('Show the state of a stream, now or at any time.')
    .description(
      'Show the state that the events of a stream make, by the decider of an app: now, or at a version, position or time; what changed since a version; and why: which command each event goes back to.',
    )
    .argument('<app>', "module that exports the app, as its default or as 'app'; TypeScript or JavaScript")
    .argument('<stream>', 'name of the stream')
    .option('--decider <name>', '<service>.<decider>, if the app has several')
    .option('--at-version <number>', 'as it was at this version', wholeNumber(0))
    .option('--at-position <number>', 'as it was at this position of the event store', wholeNumber(0))
    .option('--at-time <time>', 'as it was at this time: 2026-01-31, RFC 3339 or milliseconds since 1970', pointInTime)
    .option('--since <version>', 'show what changed since this version too', wholeNumber(0))
    .option('--why', 'show the events and what they go back to, too')
    .action(session.action(showState))
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace streams state bank.ts account-7 --file bank.db\n  $ millrace streams state bank.ts account-7 --at-time 2026-03-01T00:00:00Z --since 3 --why --json',
    )
}

async function showState(invocation: Invocation<StateOptions>): Promise<void> {
  const { args, options, environment, output } = invocation
  const [module = '', stream = ''] = args
  const at = pointOf(options)
  const app = await loadApp(module, environment.cwd)
  const { name, decider } = deciderOf(app, options.decider)
  const told = await withEngine(invocation, 'read', async (engine) => {
    if ((await engine.events.describeStream(stream)) === undefined) throw new StreamUnknownError(stream)
    const past = history(engine)
    const state = await past.state(decider, stream, at)
    const since =
      options.since === undefined
        ? undefined
        : (await past.difference(decider, stream, { version: options.since }, { version: state.version })).changes
    const why = options.why === true ? await past.why(stream, { version: state.version }) : undefined
    return { state, since, why }
  })
  const { state, position, timeMs, version } = told.state
  const time = timeMs === undefined ? null : shownTime(timeMs)
  if (output.isJson) {
    return output.document({
      stream,
      decider: name,
      version,
      position: position ?? null,
      time,
      state,
      ...(told.since !== undefined && { changes: changesJson(told.since) }),
      ...(told.why !== undefined && { why: told.why.map(reasonJson) }),
    })
  }
  await output.fields([
    ['stream', shown(stream)],
    ['decider', shown(name)],
    ['version', String(version)],
    ['position', position === undefined ? '-' : String(position)],
    ['time', time ?? '-'],
    ['state', shown(JSON.stringify(state))],
  ])
  await showChanges(output, told.since ?? [])
  await showReasons(output, told.why ?? [], ({ version }) => String(version))
}

function pointOf({ atVersion, atPosition, atTime }: StateOptions): StreamPoint | undefined {
  const points: StreamPoint[] = [
    ...(atVersion === undefined ? [] : [{ version: atVersion }]),
    ...(atPosition === undefined ? [] : [{ position: atPosition }]),
    ...(atTime === undefined ? [] : [{ time: atTime }]),
  ]
  if (points.length <= 1) return points[0]
  throw new UsageError('Give one of --at-version, --at-position and --at-time.', 'millrace streams state')
}

function deciderOf(app: App, wanted: string | undefined): { readonly name: string; readonly decider: Decider } {
  const found = app.services.flatMap((service) =>
    service.deciders.flatMap((decider) =>
      decider.kind === 'decider' ? [{ name: `${service.name}.${decider.name}`, decider }] : [],
    ),
  )
  const names = found.map(({ name }) => name).join(', ') || 'none'
  const one =
    wanted === undefined ? (found.length === 1 ? found[0] : undefined) : found.find(({ name }) => name === wanted)
  if (one !== undefined) return one
  if (wanted !== undefined) throw new NotFoundError('decider', wanted, `App "${app.name}" has: ${names}.`)
  throw new UsageError(`Name the decider with --decider; app "${app.name}" has: ${names}.`, 'millrace streams state')
}
