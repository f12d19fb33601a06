import { tableCopies } from '../../app/index.ts'
import { ViewBuildMissingError, ViewPreviousMissingError } from '../../domain/index.ts'
import type { TableCopies, TableViewStatus } from '../../tables/index.ts'
import { type ConfirmationOptions, confirm } from '../confirmation.ts'
import { loadApp } from '../dev/app-module.ts'
import { NotFoundError, UsageError } from '../errors.ts'
import { withEngine } from '../ground.ts'
import type { Invocation } from '../session.ts'
import { counted, sentenceCase, shown } from '../text.ts'
import { copyRow, showCopies, sideOf, stateOf, statusOf, sumOf } from './view-copy-display.ts'

export interface TableOptions {
  readonly app?: string
}

export interface DiffOptions extends TableOptions {
  readonly to: 'next' | 'previous'
  readonly limit: number
  readonly table?: string
  readonly columns?: readonly string[]
  readonly key?: readonly string[]
}

export interface SwapOptions extends ConfirmationOptions, TableOptions {
  readonly acceptDeadLetters?: boolean
  readonly acceptBehind?: boolean
}

export interface RollBackOptions extends ConfirmationOptions, TableOptions {
  readonly acceptBehind?: boolean
}

/** The versions of a view in tables of the user's own, which its app reaches. Beside an app that runs: the engine is only read. */
async function withTables<Result>(
  invocation: Invocation<TableOptions>,
  work: (copies: TableCopies) => Promise<Result>,
): Promise<Result> {
  const { args, options, environment } = invocation
  const { app: module = '' } = options
  const name = args[0] as string
  const app = await loadApp(module, environment.cwd)
  return withEngine(invocation, 'read', async (engine) => {
    const copies = tableCopies(app, name, { engine, clock: environment.clock })
    if (copies === undefined) {
      throw new NotFoundError('view in tables', name, `App ${app.name} has to declare it, by tableView() in a service.`)
    }
    return work(copies)
  })
}

export async function tableStatus(invocation: Invocation<TableOptions>): Promise<void> {
  const { output, environment } = invocation
  const found = await withTables(invocation, (copies) => statusOf(copies, environment))
  if (output.isJson) return output.document(found)
  const { live, previous, next } = found
  const byHand = { paused: false, problem: null, eventsPerSecond: null, swap: 'manual' } as const
  await showCopies(output, [
    copyRow('live', live, 'serves reads'),
    ...(previous === null ? [] : [copyRow('previous', previous, 'kept for rollback')]),
    ...(next === null ? [] : [copyRow('next', next, stateOf({ ...next, ...byHand }, 0))]),
  ])
}

export async function tableDiff(invocation: Invocation<DiffOptions>): Promise<void> {
  const { output, options } = invocation
  const { to, limit, table, columns, key } = options
  const found = await withTables(invocation, (copies) =>
    copies.difference({
      to,
      limit,
      ...(table !== undefined && { table }),
      ...(columns !== undefined && { columns }),
      ...(key !== undefined && { key }),
    }),
  )
  if (output.isJson) return output.document(found)
  const { copies, first } = found
  if (first.length > 0) {
    await output.table(
      [{ title: copies.live.toUpperCase() }, { title: copies.other.toUpperCase() }],
      first.map(({ live, other }) => [sideOf(live), sideOf(other)]),
    )
  }
  output.note(sumOf(found, 'rows'))
  for (const [copy, names] of [
    [copies.live, found.onlyLiveColumns],
    [copies.other, found.onlyOtherColumns],
  ] as const) {
    if (names.length > 0) output.note(`Not compared, since only ${copy} has them: ${names.map(shown).join(', ')}.`)
  }
}

export async function tableSwap(invocation: Invocation<SwapOptions>): Promise<void> {
  if (invocation.options.acceptBehind === true) {
    const why =
      '--accept-behind is for inline views: closing books removes nothing that a view in your own tables follows.'
    throw new UsageError(why, 'millrace views swap')
  }
  const deadLetters = invocation.options.acceptDeadLetters === true ? 'accept' : 'refuse'
  const what = (copy: string, live: string): string =>
    `let readers see the tables of ${copy} in place of those of ${live}`
  await change(invocation, 'next', what, 'swapped', (copies) => copies.swap({ deadLetters }))
}

export async function tableRollBack(invocation: Invocation<RollBackOptions>): Promise<void> {
  const behind = invocation.options.acceptBehind === true ? 'accept' : 'refuse'
  const what = (copy: string, live: string): string =>
    `let readers see the tables of ${copy} again, in place of those of ${live}`
  await change(invocation, 'previous', what, 'rolled back', (copies) => copies.rollBack({ behind }))
}

async function change(
  invocation: Invocation<ConfirmationOptions & TableOptions>,
  which: 'next' | 'previous',
  what: (copy: string, live: string) => string,
  done: string,
  run: (copies: TableCopies) => Promise<void>,
): Promise<void> {
  const { args, options, output } = invocation
  const view = args[0] as string
  const { sentence, status } = await withTables(invocation, async (copies) => {
    const { live, ...others } = await copies.status()
    const copy = others[which]
    if (copy === null && which === 'previous') throw new ViewPreviousMissingError(view)
    if (copy === null) {
      const { previous } = others
      const back =
        previous === null
          ? ''
          : `, or have readers see ${previous.copy} again by "millrace views rollback ${shown(view)}"`
      throw new ViewBuildMissingError(view, `Raise the version of the view and start the app${back}.`)
    }
    const behind = copy.eventsBehind === 0 ? '' : `; it is ${counted(copy.eventsBehind, 'event')} behind`
    const sentence = `${what(copy.copy, live.copy)}${behind}`
    if (options.dryRun !== true) {
      await confirm(invocation, `${sentenceCase(sentence)}?`)
      await run(copies)
    }
    return { sentence, status: (await copies.status()) satisfies TableViewStatus }
  })
  if (output.isJson) return output.document(status)
  output.note(
    options.dryRun === true
      ? `Would ${sentence}. Nothing was changed.`
      : `View ${shown(view)} is ${done}; ${status.live.copy} serves reads.`,
  )
}
