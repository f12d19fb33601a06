import type { Command } from 'commander'
import type { App } from '../../app/index.ts'
import { retag } from '../../domain/index.ts'
import type { AnyEventDefinition } from '../../message/index.ts'
import { loadApp } from '../dev/app-module.ts'
import { exitCodes } from '../exit-codes.ts'
import { withEngine } from '../ground.ts'
import { ProgressBar } from '../progress-bar.ts'
import type { Invocation, Session } from '../session.ts'
import { counted, shown } from '../text.ts'

interface RetagOptions {
  readonly dryRun?: boolean
}

/** `millrace streams retag`: the tags that definitions give today, for the events that stand there. */
export function streamRetagCommand(streams: Command, session: Session): void {
  streams
    .command('retag')
    .summary('Give stored events the tags that their definitions give today.')
    .description(
      'Give the events of an app that stand in the event store the tags that their definitions give such events today, so that boundaries find them. No tag is taken away. Stop the app first: a decision that is made meanwhile may not see them.',
    )
    .argument('<app>', "module that exports the app, as its default or as 'app'; TypeScript or JavaScript")
    .option('--dry-run', 'count what lacks tags, and change nothing')
    .action(session.action(run))
    .addHelpText('after', '\nExample:\n  $ millrace streams retag courses.ts --dry-run --file courses.db')
}

async function run(invocation: Invocation<RetagOptions>): Promise<void> {
  const { args, options, environment, output } = invocation
  const { dryRun = false } = options
  const definitions = definitionsOf(await loadApp(args[0] as string, environment.cwd))
  const { types, unreadable, unreadableCount } = await withEngine(
    invocation,
    dryRun ? 'read' : 'write',
    async (engine) => {
      using bar = new ProgressBar(output, environment.clock, 'reading')
      return await retag(engine, definitions, {
        dryRun,
        signal: environment.signal,
        onProgress: (position, last) => bar.update(position, last),
      })
    },
  )
  if (unreadableCount > 0) invocation.exitWith(exitCodes.failed)
  const problems = unreadable.map(({ error, ...event }) => ({
    ...event,
    problem: error instanceof Error ? error.message : String(error),
  }))
  if (output.isJson) return output.document({ types, unreadable: problems, unreadableCount })
  await output.table(
    [
      { title: 'TYPE' },
      { title: 'EVENTS', align: 'right' },
      { title: dryRun ? 'LACK TAGS' : 'CHANGED', align: 'right' },
      { title: 'TAGS', align: 'right' },
    ],
    types.map(({ type, events, changed, tagsAdded }) => [
      shown(type),
      String(events),
      String(changed),
      String(tagsAdded),
    ]),
  )
  for (const { position, stream, version, type, problem } of problems)
    output.note(`${shown(type)} at position ${position}, ${shown(stream)}/${version}: ${shown(problem)}`)
  if (unreadableCount > 0) output.note(`Left as before, as nobody can read it: ${counted(unreadableCount, 'event')}.`)
}

/** What the deciders and boundaries of an app append. */
function definitionsOf({ services }: App): readonly AnyEventDefinition[] {
  return services.flatMap(({ deciders }) => deciders.flatMap(({ events }) => [...events]))
}
