import type { Command } from 'commander'
import type { App } from '../../app/index.ts'
import { history, type StorePoint, type View, type ViewEvent } from '../../domain/index.ts'
import { loadApp } from '../dev/app-module.ts'
import { NotFoundError, UsageError } from '../errors.ts'
import { withEngine } from '../ground.ts'
import { wholeNumber } from '../option-values.ts'
import { pointInTime } from '../positions.ts'
import type { Invocation, Session } from '../session.ts'
import { shown, shownJson } from '../text.ts'
import { changesJson, reasonJson, showChanges, showReasons } from './state-display.ts'

interface StateOptions {
  readonly atPosition?: number
  readonly atTime?: number
  readonly since?: number
  readonly why?: boolean
  readonly passOver?: boolean
}

/** `millrace views state`: what a view of an app makes of the events that it follows, now or at any time. */
export function viewStateCommand(views: Command, session: Session): void {
  views
    .command('state')
    .summary('Make one key of a view anew of its events, as it is or was.')
    .description(
      'Make what a view of an app keeps under a key anew of what it follows, its topics or, if it is inline, the event store: now, or at a position or time; what changed since a position; and why: which events count under it, and which command each goes back to.',
    )
    .argument('<app>', "module that exports the app, as its default or as 'app'; TypeScript or JavaScript")
    .argument('<view>', 'name of the view')
    .argument('<key>', 'the key')
    .option('--at-position <number>', 'as it was at this position of the event store', wholeNumber(0))
    .option('--at-time <time>', 'as it was at this time: 2026-01-31, RFC 3339 or milliseconds since 1970', pointInTime)
    .option('--since <position>', 'show what changed since this position too', wholeNumber(0))
    .option('--why', 'show the events and what they go back to, too')
    .option(
      '--pass-over',
      'leave out events that are gone, of streams that were deleted or whose books were closed, or of topics',
    )
    .action(session.action(showState))
    .addHelpText(
      'after',
      '\nExample:\n  $ millrace views state bank.ts balances a --at-time 2026-03-01T00:00:00Z --why --file bank.db',
    )
}

async function showState(invocation: Invocation<StateOptions>): Promise<void> {
  const { args, options, environment, output } = invocation
  const [module = '', name = '', key = ''] = args
  const at = pointOf(options)
  const view = viewOf(await loadApp(module, environment.cwd), name)
  const settings = options.passOver === true ? ({ gone: 'pass-over' } as const) : {}
  const told = await withEngine(invocation, 'read', async (engine) => {
    const past = history(engine)
    const state = await past.view(view, key, at, settings)
    const changes =
      options.since === undefined
        ? undefined
        : (await past.viewDifference(view, key, { position: options.since }, at, settings)).changes
    const why = options.why === true ? await past.whyView(view, key, at, settings) : undefined
    return { state, changes, why }
  })
  const { state, changes, why } = told
  if (output.isJson) {
    return output.document({
      view: name,
      key,
      state: state ?? null,
      ...(changes !== undefined && { changes: changesJson(changes) }),
      ...(why !== undefined && { why: why.map(reasonJson) }),
    })
  }
  await output.fields([
    ['view', shown(name)],
    ['key', shown(key)],
    ['state', state === undefined ? 'nothing' : shownJson(state)],
  ])
  await showChanges(output, changes ?? [])
  await showReasons(output, why ?? [], placeOf)
}

function placeOf(event: ViewEvent): string {
  if ('position' in event) return `${event.position} ${shown(event.stream)}`
  return `${shown(event.topic)}/${event.partition}@${event.offset}`
}

function pointOf({ atPosition, atTime }: StateOptions): StorePoint | undefined {
  if (atPosition !== undefined && atTime !== undefined) {
    throw new UsageError('Give one of --at-position and --at-time.', 'millrace views state')
  }
  return atPosition !== undefined ? { position: atPosition } : atTime !== undefined ? { time: atTime } : undefined
}

function viewOf(app: App, name: string): View {
  const found = app.views.find((view) => view.name === name)
  if (found !== undefined) return found
  const names = app.views.map((view) => view.name)
  throw new NotFoundError('view', name, `App ${app.name} has: ${names.join(', ') || 'none'}.`)
}
