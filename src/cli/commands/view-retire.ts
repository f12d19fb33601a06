import type { Command } from 'commander'
import { finishDrops, retireView } from '../../domain/index.ts'
import type { Engine } from '../../engine/index.ts'
import { type ConfirmationOptions, confirm } from '../confirmation.ts'
import { UsageError } from '../errors.ts'
import { withEngine } from '../ground.ts'
import type { Invocation, Session } from '../session.ts'
import { counted, sentenceCase, shown } from '../text.ts'
import { type FoundView, findView, viewsOf } from './view-names.ts'

/** `millrace views retire`: give up a view that no program declares any more. */
export function viewRetireCommand(views: Command, session: Session): void {
  views
    .command('retire')
    .description('Give up a view that no program declares any more: all its copies, their progress and their state.')
    .argument('<view>', "name of the view; with its app ('shop.daily-revenue') where several have one")
    .option('--dry-run', 'only show what would be done')
    .option('-y, --yes', 'do not ask')
    .action(session.action(retire))
    .addHelpText('after', '\nExample:\n  $ millrace views retire daily-revenue --yes --file shop.db')
}

async function retire(invocation: Invocation<ConfirmationOptions>): Promise<void> {
  const { args, options, output, environment } = invocation
  const given = args[0] as string
  if (given.includes('@'))
    throw new UsageError('All copies of a view are retired together: leave out the version.', 'millrace views')
  const isDryRun = options.dryRun === true
  const found = await withEngine(invocation, isDryRun ? 'read' : 'write', async (engine) => {
    const { app, name } = await findView(engine, given)
    const copies = await copiesOf(engine, app, name)
    const sentence = sentenceOf(app, name, copies)
    if (!isDryRun) {
      await confirm(invocation, `${sentenceCase(sentence)}?`)
      await retireView(engine, { app, view: name, clock: environment.clock })
      // Nobody else has a file open for writing, so nobody reads these copies any more. On servers apps keep them for a minute.
      if (options.deployment === undefined) {
        await finishDrops(engine, app, { nowMs: Number.POSITIVE_INFINITY, signal: environment.signal })
      }
    }
    return { app, name, copies, sentence }
  })
  const { app, name, copies, sentence } = found
  if (output.isJson) {
    const told = copies.map(({ copy, role = null, keyCount }) => ({ copy, role, keyCount }))
    return output.document({ app, view: name, retired: !isDryRun, copies: told })
  }
  output.note(
    isDryRun ? `Would ${sentence}. Nothing was changed.` : `View ${shown(name)} of app ${shown(app)} is retired.`,
  )
}

interface CountedCopy extends FoundView {
  readonly keyCount: number
}

async function copiesOf(engine: Engine, app: string, name: string): Promise<readonly CountedCopy[]> {
  const copies = (await viewsOf(engine)).filter((one) => one.app === app && one.name === name)
  return Promise.all(
    copies.map(async (one) => ({ ...one, keyCount: await engine.state.count(one.namespace, one.owner) })),
  )
}

function sentenceOf(app: string, name: string, copies: readonly CountedCopy[]): string {
  const each = copies.map(
    ({ copy, role, keyCount }) => `${copy}${role === undefined ? '' : ` (${role})`} with ${counted(keyCount, 'key')}`,
  )
  return `retire view ${shown(name)} of app ${shown(app)} for good: ${each.join(', ')}`
}
