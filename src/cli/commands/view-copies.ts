import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import { ViewBuildMissingError, ViewCopies, ViewPreviousMissingError, type ViewStatus } from '../../domain/index.ts'
import type { Engine } from '../../engine/index.ts'
import { type ConfirmationOptions, confirm } from '../confirmation.ts'
import { UsageError } from '../errors.ts'
import { withEngine } from '../ground.ts'
import { wholeNumber } from '../option-values.ts'
import type { Invocation, Session } from '../session.ts'
import { counted, sentenceCase, shown } from '../text.ts'
import {
  type DiffOptions,
  type RollBackOptions,
  type SwapOptions,
  type TableOptions,
  tableDiff,
  tableRollBack,
  tableStatus,
  tableSwap,
} from './table-copies.ts'
import { copyRow, showCopies, sideOf, stateOf, statusOf, sumOf, withProblem } from './view-copy-display.ts'
import { findView } from './view-names.ts'

interface RebuildOptions extends ConfirmationOptions {
  readonly pace?: number
  readonly manual?: boolean
}

const names = "name of the view; with its app ('shop.daily-revenue') where several have one"

/** The commands of `millrace views` that are about copies: what is being built, and which copy serves reads. */
export function viewCopyCommands(views: Command, session: Session): void {
  const command = (name: string, description: string, example = ''): Command =>
    views
      .command(name)
      .description(description)
      .argument('<view>', names)
      .addHelpText('after', `\nExample:\n  $ millrace views ${name} daily-revenue${example} --file shop.db`)
  /** Commands that also know the versions of views in tables of the user's own, which only their app can reach. */
  const tableCommand = (name: string, description: string, example = ''): Command =>
    command(name, description, example).option(
      '--app <module>',
      'module that exports the app, for a view in your own tables',
    )
  tableCommand('status', 'Show the copies of a view: how far they are, and which one serves reads.').action(
    session.action((invocation: Invocation<TableOptions>) =>
      invocation.options.app === undefined ? status(invocation) : tableStatus(invocation),
    ),
  )
  tableCommand('diff', 'Compare the copy that serves reads with the one that is being built, row by row.', ' --limit 5')
    .option('--to <copy>', "'next', which is being built, or 'previous'", nextOrPrevious, 'next')
    .option('--limit <count>', 'show at most so many keys that differ', wholeNumber(0), 20)
    .option('--table <name>', 'of a view in your own tables: which one, as readers name it, where there are several')
    .option('--columns <names>', 'of a view in your own tables: compare only these columns, as in day,total', nameList)
    .option(
      '--key <names>',
      'of a view in your own tables: columns that tell rows apart (default: the primary key)',
      nameList,
    )
    .action(
      session.action((invocation: Invocation<DiffOptions>) =>
        invocation.options.app === undefined ? diff(invocation) : tableDiff(invocation),
      ),
    )
  command('rebuild', 'Have the version that is live built anew beside itself, when the app starts.', ' --pace 50000')
    .option('--pace <events>', 'at most so many events a second', wholeNumber(1))
    .option('--manual', 'swap it in by hand')
    .action(session.action(rebuild))
  tableCommand('swap', 'Let the copy that was built serve reads. The one that did so is kept.', ' --yes')
    .option('--accept-dead-letters', 'also if it could not take all events')
    .option('--accept-behind', 'also if it lacks what was removed when books were closed')
    .option('--dry-run', 'only show what would be done')
    .option('-y, --yes', 'do not ask')
    .action(
      session.action((invocation: Invocation<SwapOptions>) =>
        invocation.options.app === undefined ? swap(invocation) : tableSwap(invocation),
      ),
    )
  tableCommand('rollback', 'Let the previous copy serve reads again.', ' --yes')
    .option('--accept-behind', 'also if it lacks events')
    .option('--dry-run', 'only show what would be done')
    .option('-y, --yes', 'do not ask')
    .action(
      session.action((invocation: Invocation<RollBackOptions>) =>
        invocation.options.app === undefined ? rollBack(invocation) : tableRollBack(invocation),
      ),
    )
  command('drop', 'Give up the copy that is being built, or the previous one.', ' previous --yes')
    .argument('<copy>', "'next', which is being built, or 'previous'", nextOrPrevious)
    .option('--dry-run', 'only show what would be done')
    .option('-y, --yes', 'do not ask')
    .action(session.action(drop))
  command('pause', 'Stop building until resume.').action(
    session.action((invocation) => change(invocation, 'paused', (copies) => copies.pause())),
  )
  command('resume', 'Go on building.').action(
    session.action((invocation) => change(invocation, 'resumed', (copies) => copies.resume())),
  )
  command('pace', 'Limit how fast a copy is built.', ' 20000')
    .argument('<events>', "events a second; 'unlimited': as fast as it can", pace)
    .action(
      session.action((invocation) =>
        change(invocation, 'paced', (copies) =>
          copies.setPace(invocation.args[1] === 'unlimited' ? null : Number(invocation.args[1])),
        ),
      ),
    )
  command('canary', 'Let a share of the keys be read from the copy that is being built.', ' 0.05')
    .argument('<share>', '0 to 1; 0 ends it', share)
    .action(
      session.action((invocation) =>
        change(invocation, 'read in part', (copies) => copies.setCanary(Number(invocation.args[1]), { timeout: 0 })),
      ),
    )
}

function nextOrPrevious(text: string): 'next' | 'previous' {
  if (text !== 'next' && text !== 'previous') throw new InvalidArgumentError("Give 'next' or 'previous'.")
  return text
}

/** Checked where it is given, read where it is used: arguments are texts. */
function pace(text: string): string {
  if (text !== 'unlimited') wholeNumber(1)(text)
  return text
}

function nameList(text: string): readonly string[] {
  return text.split(',')
}

function share(text: string): string {
  if (!(text !== '' && Number(text) >= 0 && Number(text) <= 1)) throw new InvalidArgumentError('Give 0 to 1.')
  return text
}

/** The copies of the view that a name means, wherever it stands. */
async function copiesOf(engine: Engine, given: string, { environment }: Invocation<object>): Promise<ViewCopies> {
  const { app, name } = await findView(engine, given)
  return new ViewCopies({ engine, app, view: name, clock: environment.clock })
}

async function status(invocation: Invocation<object>): Promise<void> {
  const { output, args, environment } = invocation
  const found = await withEngine(invocation, 'read', async (engine) => {
    const copies = await copiesOf(engine, args[0] as string, invocation)
    return statusOf(copies, environment)
  })
  const { live, previous, next, canary } = found
  if (output.isJson) return output.document({ live, previous, next, canary: canary.share })
  await showCopies(output, [
    copyRow('live', live, withProblem('serves reads', live)),
    ...(previous === null ? [] : [copyRow('previous', previous, withProblem('kept for rollback', previous))]),
    ...(next === null ? [] : [copyRow('next', next, stateOf(next, canary.share))]),
  ])
}

async function diff(invocation: Invocation<DiffOptions>): Promise<void> {
  const { output, args, options, environment } = invocation
  const { to, limit } = options
  const ofTables = (['table', 'columns', 'key'] as const).find((option) => options[option] !== undefined)
  if (ofTables !== undefined) {
    const why = `--${ofTables} is for views in your own tables: name the module that exports their app, by --app.`
    throw new UsageError(why, 'millrace views diff')
  }
  const found = await withEngine(invocation, 'read', async (engine) => {
    const copies = await copiesOf(engine, args[0] as string, invocation)
    return copies.difference({ to, limit, signal: environment.signal })
  })
  if (output.isJson) return output.document(found)
  const { copies, first } = found
  if (first.length > 0) {
    await output.table(
      [{ title: 'KEY' }, { title: copies.live.toUpperCase() }, { title: copies.other.toUpperCase() }],
      first.map(({ key, live, other }) => [shown(key), sideOf(live), sideOf(other)]),
    )
  }
  output.note(sumOf(found, 'keys'))
}

async function rebuild(invocation: Invocation<RebuildOptions>): Promise<void> {
  const { manual, pace: eventsPerSecond = null } = invocation.options
  await change(invocation, 'built anew when the app starts', async (copies) => {
    const { live } = (await copies.read()).register
    await copies.begin(live, { swap: manual === true ? 'manual' : 'when-caught-up', eventsPerSecond })
  })
}

async function swap(invocation: Invocation<SwapOptions>): Promise<void> {
  const what = (copy: string, live: string): string => `let ${copy} of the view serve reads in place of ${live}`
  await changeAsked(invocation, 'next', what, 'swapped', (copies) =>
    copies.swap({
      deadLetters: invocation.options.acceptDeadLetters === true ? 'accept' : 'refuse',
      behind: invocation.options.acceptBehind === true ? 'accept' : 'refuse',
      timeout: 0,
    }),
  )
}

async function rollBack(invocation: Invocation<RollBackOptions>): Promise<void> {
  const what = (copy: string, live: string): string => `let ${copy} of the view serve reads again, in place of ${live}`
  const behind = invocation.options.acceptBehind === true ? 'accept' : 'refuse'
  await changeAsked(invocation, 'previous', what, 'rolled back', (copies) => copies.rollBack({ behind, timeout: 0 }))
}

async function drop(invocation: Invocation<ConfirmationOptions>): Promise<void> {
  const which = invocation.args[1] as 'next' | 'previous'
  const what = (copy: string): string => `give up ${copy} of the view with all that is kept of it`
  await changeAsked(invocation, which, what, 'rid of a copy', (copies) => copies.drop(which))
}

/** Changes something about a copy that is there, once somebody has said yes. */
async function changeAsked(
  invocation: Invocation<ConfirmationOptions>,
  which: 'next' | 'previous',
  what: (copy: string, live: string) => string,
  done: string,
  run: (copies: ViewCopies) => Promise<void>,
): Promise<void> {
  const { args, options } = invocation
  const given = args[0] as string
  const isDryRun = options.dryRun === true
  const { sentence, status } = await withEngine(invocation, isDryRun ? 'read' : 'write', async (engine) => {
    const { name } = await findView(engine, given)
    const copies = await copiesOf(engine, given, invocation)
    const { live, ...others } = await copies.status()
    const copy = others[which]
    if (copy === null) throw which === 'next' ? new ViewBuildMissingError(name) : new ViewPreviousMissingError(name)
    const behind = copy.eventsBehind === 0 ? '' : `; it is ${counted(copy.eventsBehind, 'event')} behind`
    const sentence = `${what(copy.copy, live.copy)}${behind}`
    if (!isDryRun) {
      await confirm(invocation, `${sentenceCase(sentence)}?`)
      await run(copies)
    }
    return { sentence, status: await copies.status() }
  })
  const note = isDryRun ? `Would ${sentence}. Nothing was changed.` : changedNote(given, done, status)
  await show(invocation, status, note)
}

async function change(
  invocation: Invocation<object>,
  done: string,
  run: (copies: ViewCopies) => Promise<void>,
): Promise<void> {
  const given = invocation.args[0] as string
  const status = await withEngine(invocation, 'write', async (engine) => {
    const copies = await copiesOf(engine, given, invocation)
    await run(copies)
    return copies.status()
  })
  await show(invocation, status, changedNote(given, done, status))
}

function changedNote(view: string, done: string, { live }: ViewStatus): string {
  return `View ${shown(view)} is ${done}; ${live.copy} serves reads.`
}

async function show({ output }: Invocation<object>, status: ViewStatus, note: string): Promise<void> {
  const { live, previous, next, canary } = status
  if (output.isJson) await output.document({ live, previous, next, canary: canary.share })
  else output.note(note)
}
