import type { Command } from 'commander'
import { type ConfirmationOptions, confirm } from '../confirmation.ts'
import { UsageError } from '../errors.ts'
import { doneByApp, withEngine } from '../ground.ts'
import { wholeNumber } from '../option-values.ts'
import { ProgressBar } from '../progress-bar.ts'
import type { GlobalOptions, Invocation, Session } from '../session.ts'
import { clipped, counted, sentenceCase, shown, shownTime } from '../text.ts'
import { showLetter } from './dead-letter-display.ts'
import {
  countLetters,
  type FoundLetter,
  findLetter,
  firstLetters,
  pagesOf,
  type Selection,
  type Shelf,
  shelvesOf,
} from './dead-letter-shelves.ts'

interface FilterOptions {
  readonly app?: string
  readonly handler?: string
}

interface ListOptions extends FilterOptions {
  readonly after?: string
  readonly limit: number
}

interface ChangeOptions extends FilterOptions, ConfirmationOptions {
  readonly all?: boolean
}

/** `millrace dead-letters`: list, show, redrive and discard. */
export function deadLettersCommand(program: Command, session: Session): void {
  const deadLetters = program
    .command('dead-letters')
    .description('Messages that handlers gave up: list, show, redrive, discard.')
  withFilter(deadLetters.command('ls'))
    .description('List dead letters by handler and offset.')
    .option('--after <id>', 'go on after this one')
    .option('--limit <count>', 'at most this many', wholeNumber(1), 100)
    .action(session.action(list))
    .addHelpText('after', '\nExample:\n  $ millrace dead-letters ls --handler shop.payment.OrderPlaced --file shop.db')
  deadLetters
    .command('show')
    .description('Show a dead letter with its message, error and stack.')
    .argument('<id>', 'id of the dead letter, as ls lists it')
    .option('--app <name>', 'the app that it belongs to')
    .action(session.action(show))
    .addHelpText(
      'after',
      '\nExample:\n  $ millrace dead-letters show shop.payment.OrderPlaced/orders/0/0000000000000041',
    )
  withSelection(deadLetters.command('redrive'))
    .description(
      'Hand dead letters to the handler that gave them up, and only to it: when the app starts the next time, or now if it runs on servers.',
    )
    .action(session.action((invocation: Invocation<ChangeOptions>) => change(invocation, 'redrive')))
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace dead-letters redrive --handler shop.payment.OrderPlaced --dry-run\n  $ millrace dead-letters redrive --all --yes',
    )
  withSelection(deadLetters.command('discard'))
    .description('Forget dead letters for good. Messages that wait behind one are handled when the app starts.')
    .action(session.action((invocation: Invocation<ChangeOptions>) => change(invocation, 'discard')))
    .addHelpText(
      'after',
      '\nExample:\n  $ millrace dead-letters discard shop.payment.OrderPlaced/orders/0/0000000000000041 --yes',
    )
}

function withFilter(command: Command): Command {
  return command
    .option('--app <name>', 'only those of this app')
    .option('--handler <group>', 'only those of this handler, by the name of its consumer group')
}

function withSelection(command: Command): Command {
  return withFilter(command)
    .argument('[ids...]', 'ids of dead letters')
    .option('--all', 'all of them')
    .option('--dry-run', 'only say how many there are')
    .option('-y, --yes', 'do not ask')
}

async function list(invocation: Invocation<ListOptions>): Promise<void> {
  const { options, output } = invocation
  const { app, handler, after, limit } = options
  const { letters, total } = await withEngine(invocation, 'read', async (engine) => {
    const shelves = await shelvesOf(engine, app)
    const counts = await Promise.all(shelves.map((shelf) => shelf.deadLetters.count()))
    // One more than is shown tells whether there are more.
    const found = await firstLetters(shelves, { handler, after }, limit + 1)
    return { letters: found, total: counts.reduce((sum, count) => sum + count, 0) }
  })
  const page = letters.slice(0, limit)
  if (output.isJson) return output.document(page.map(({ app: owner, letter }) => ({ app: owner, ...letter })))
  if (page.length === 0) return output.note('There are none.')
  await output.table(
    [
      { title: 'ID' },
      { title: 'FAILED LAST' },
      { title: 'ATTEMPTS', align: 'right' },
      { title: 'ASKED FOR' },
      { title: 'ERROR' },
    ],
    page.map(({ letter }) => [
      shown(letter.id),
      shownTime(letter.lastFailureMs),
      String(letter.attempts),
      letter.requested ?? '-',
      shown(clipped(`${letter.error.code ?? letter.error.name}: ${letter.error.message}`, 200)),
    ]),
  )
  if (letters.length > limit) {
    output.note(`There are more, ${total} in all: --after ${JSON.stringify(page.at(-1)?.letter.id)} shows the next.`)
  }
}

async function show(invocation: Invocation<FilterOptions>): Promise<void> {
  const { options, output, args } = invocation
  const found = await withEngine(invocation, 'read', async (engine) =>
    findLetter(await shelvesOf(engine, options.app), args[0] as string),
  )
  if (output.isJson) return output.document({ app: found.app, ...found.letter })
  await showLetter(output, found)
}

async function change(invocation: Invocation<ChangeOptions>, action: 'redrive' | 'discard'): Promise<void> {
  const { options, output, args } = invocation
  const selection = selectionOf(invocation, action)
  const isDryRun = options.dryRun === true
  await withEngine(invocation, isDryRun ? 'read' : 'write', async (engine) => {
    const shelves = await shelvesOf(engine, options.app)
    const chosen: FoundLetter[] = []
    if (args.length > 0) for (const id of new Set(args)) chosen.push(await findLetter(shelves, id))
    const count =
      args.length > 0 ? chosen.length : await countLetters(shelves, selection, invocation.environment.signal)
    const what = `${action} ${counted(count, 'dead letter')}`
    if (!isDryRun && count > 0) {
      // Naming one is saying that it is meant; what takes away for good, or concerns many, is asked for.
      if (action === 'discard' || args.length === 0) await confirm(invocation, `${sentenceCase(what)}?`)
      await changeAll(invocation, shelves, args.length > 0 ? chosen : selection, action, count)
    }
    if (output.isJson) await output.document({ action, count, done: !isDryRun })
    else output.note(summaryOf(action, count, isDryRun, options))
  })
}

function selectionOf({ options, args }: Invocation<ChangeOptions>, action: string): Selection {
  const { all, handler } = options
  const ways = [args.length > 0, all === true, handler !== undefined].filter(Boolean).length
  if (ways !== 1)
    throw new UsageError(
      'Say which ones: by ids, by --handler or by --all; only one of these.',
      `millrace dead-letters ${action}`,
    )
  return { handler }
}

/** Changes page by page; the commits of a page share one sync. */
async function changeAll(
  { output, environment }: Invocation<object>,
  shelves: readonly Shelf[],
  which: Selection | readonly FoundLetter[],
  action: 'redrive' | 'discard',
  count: number,
): Promise<void> {
  const { clock, signal } = environment
  using bar = new ProgressBar(output, clock, action === 'redrive' ? 'redriving' : 'discarding')
  let done = 0
  for (const shelf of shelves) {
    const pages = 'map' in which ? [which.filter(({ app }) => app === shelf.app)] : pagesOf(shelf, which)
    for await (const page of pages) {
      signal.throwIfAborted()
      await Promise.all(page.map(({ letter }) => shelf.deadLetters[action](letter.id)))
      done += page.length
      bar.update(done, count)
    }
  }
}

function summaryOf(
  action: 'redrive' | 'discard',
  count: number,
  isDryRun: boolean,
  options: Pick<GlobalOptions, 'deployment'>,
): string {
  if (count === 0) return 'There are none.'
  const what = counted(count, 'dead letter')
  if (isDryRun) return `Would ${action} ${what}. Nothing was changed.`
  if (action === 'redrive') return `Asked for ${what} to be handled again; ${doneByApp(options)}.`
  const by = options.deployment === undefined ? 'when the app starts' : 'by an app that runs'
  return `Discarded ${what}; what waits behind one is handled ${by}.`
}
