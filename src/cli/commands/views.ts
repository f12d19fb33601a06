import type { Command } from 'commander'
import type { Engine, StateEntry, StateRange } from '../../engine/index.ts'
import { NotFoundError } from '../errors.ts'
import { withEngine } from '../ground.ts'
import { wholeNumber } from '../option-values.ts'
import type { Invocation, Session } from '../session.ts'
import { shown, shownJson } from '../text.ts'
import { viewCopyCommands } from './view-copies.ts'
import { type FoundView, findView, viewsOf } from './view-names.ts'
import { viewRetireCommand } from './view-retire.ts'
import { viewStateCommand } from './view-state.ts'

interface RangeOptions {
  readonly prefix?: string
  readonly from?: string
  readonly to?: string
  readonly after?: string
  readonly reverse?: boolean
  readonly limit: number
  readonly all?: boolean
}

/** Keys that are read at once. */
const pageSize = 1_000

const names =
  "name of the view; with its app ('shop.daily-revenue') or version ('daily-revenue@2') where there are several"

/** `millrace views`: list views and read them. */
export function viewsCommand(program: Command, session: Session): void {
  const views = program
    .command('views')
    .description('Views: list them, read their keys; swap, roll back and compare their copies; retire them.')
  views
    .command('ls')
    .description('List the copies of views, with their role: live (serves reads), previous, next (being built).')
    .action(session.action(list))
    .addHelpText('after', '\nExample:\n  $ millrace views ls --file shop.db')
  viewCopyCommands(views, session)
  viewRetireCommand(views, session)
  viewStateCommand(views, session)
  views
    .command('get')
    .description('Print the state of one key as JSON.')
    .argument('<view>', names)
    .argument('<key>', 'the key')
    .action(session.action(get))
    .addHelpText('after', '\nExample:\n  $ millrace views get daily-revenue 2010-12-01 --file shop.db')
  views
    .command('range')
    .description('Show keys with their state, in the order of their UTF-8 bytes.')
    .argument('<view>', names)
    .option('--prefix <text>', 'only keys that begin so')
    .option('--from <key>', 'first key')
    .option('--to <key>', 'first key that is not shown')
    .option('--after <key>', 'go on after this key')
    .option('--reverse', 'last key first')
    .option('--limit <count>', 'at most this many', wholeNumber(1), 100)
    .option('--all', 'no limit; with --json one line for each key')
    .action(session.action(range))
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace views range daily-revenue --prefix 2010-12\n  $ millrace views range order-summary --all --json > orders.jsonl',
    )
}

async function list(invocation: Invocation<object>): Promise<void> {
  const { output } = invocation
  const views = await withEngine(invocation, 'read', async (engine) => {
    const found = await viewsOf(engine)
    return Promise.all(
      found.map(async ({ namespace, owner, role = null, ...view }) => {
        return { ...view, role, keyCount: await engine.state.count(namespace, owner) }
      }),
    )
  })
  if (output.isJson) return output.document(views)
  await output.table(
    [{ title: 'VIEW' }, { title: 'APP' }, { title: 'COPY' }, { title: 'ROLE' }, { title: 'KEYS', align: 'right' }],
    views.map(({ app, name, copy, role, keyCount }) => [shown(name), shown(app), copy, role ?? '-', String(keyCount)]),
  )
}

async function get(invocation: Invocation<object>): Promise<void> {
  const { output, args } = invocation
  const [name, key] = args as [string, string]
  const entry = await withEngine(invocation, 'read', async (engine) => {
    const { namespace, owner } = await findView(engine, name)
    return engine.state.get(namespace, key, owner)
  })
  if (entry === undefined) {
    throw new NotFoundError(`key in view ${name}`, key, `List the keys with "millrace views range ${name}".`)
  }
  await (output.isJson ? output.document(entry) : output.document(entry.value))
}

async function range(invocation: Invocation<RangeOptions>): Promise<void> {
  const { options, output, args, environment } = invocation
  const { limit, all, ...bounds } = options
  const wanted = boundsOf(bounds)
  await withEngine(invocation, 'read', async (engine) => {
    const view = await findView(engine, args[0] as string)
    if (all === true) {
      for await (const entry of everyEntry(engine, view, wanted, environment.signal)) {
        if (output.isJson) await output.jsonLine(entry)
        else await output.line(`${shown(entry.key)}  ${shownJson(entry.value)}`)
      }
      return
    }
    const found: StateEntry[] = []
    for await (const entry of everyEntry(engine, view, wanted, environment.signal)) {
      // One more than is shown tells whether there are more.
      if (found.push(entry) > limit) break
    }
    const page = found.slice(0, limit)
    if (output.isJson) return output.document(page)
    await output.table(
      [{ title: 'KEY' }, { title: 'REVISION', align: 'right' }, { title: 'STATE' }],
      page.map(({ key, revision, value }) => [shown(key), String(revision), shownJson(value)]),
    )
    if (found.length > limit)
      output.note(`There are more: --after ${JSON.stringify(page.at(-1)?.key)} shows the next, --all everything.`)
  })
}

function boundsOf({ prefix, from, to, after, reverse }: Omit<RangeOptions, 'limit' | 'all'>): StateRange {
  return {
    ...(prefix !== undefined && { prefix }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(after !== undefined && { after }),
    ...(reverse !== undefined && { reverse }),
  }
}

async function* everyEntry(
  engine: Engine,
  { namespace, owner }: FoundView,
  bounds: StateRange,
  signal: AbortSignal,
): AsyncGenerator<StateEntry> {
  let { after } = bounds
  for (;;) {
    signal.throwIfAborted()
    const range = { ...bounds, limit: pageSize, ...(after !== undefined && { after }) }
    const page = await engine.state.range(namespace, range, owner)
    yield* page
    if (page.length < pageSize) return
    after = page.at(-1)?.key
  }
}
