import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import { type ProcessInstance, type ProcessPast, type ProcessStatus, processStatuses } from '../../saga/index.ts'
import { NotFoundError } from '../errors.ts'
import { withEngine } from '../ground.ts'
import { duration, several, wholeNumber } from '../option-values.ts'
import { pointInTime } from '../positions.ts'
import type { Invocation, Session } from '../session.ts'
import { shown, shownTime } from '../text.ts'
import { choreographyDiagram } from './diagrams.ts'
import { showProcess, showProcessPast } from './process-display.ts'
import { desksOf, type FoundProcess, findProcess, type ProcessFilter } from './process-names.ts'

interface ListOptions extends ProcessFilter {
  readonly status?: readonly ProcessStatus[]
  readonly prefix?: string
  readonly older?: number
  readonly younger?: number
  readonly after?: string
  readonly limit: number
}

interface ShowOptions extends ProcessFilter {
  readonly past?: boolean
  readonly atTime?: number
}

/** `millrace processes`: list and show processes of choreographies, and draw a choreography. */
export function processesCommand(program: Command, session: Session): void {
  const processes = program.command('processes').description('Processes of choreographies: list, show, diagram.')
  withFilter(processes.command('ls'))
    .description('List processes by choreography and key.')
    .option(
      '--status <status>',
      `only those that are so: ${processStatuses.join(', ')}; several times: one of these`,
      status,
    )
    .option('--prefix <text>', 'only those whose key begins so')
    .option('--older <duration>', 'only those that began longer ago', duration)
    .option('--younger <duration>', 'only those that began since', duration)
    .option('--after <key>', 'go on after this key')
    .option('--limit <count>', 'at most this many', wholeNumber(1), 100)
    .action(session.action(list))
    .addHelpText('after', '\nExample:\n  $ millrace processes ls --status open --older 1h --file shop.db')
  withFilter(processes.command('show'))
    .description('Show a process: which events have come, which rules have applied.')
    .argument('<key>', 'key of the process')
    .option('--at-time <time>', 'as it was at this time: 2026-01-31, RFC 3339 or milliseconds since 1970', pointInTime)
    .option('--past', 'what happened to it and why, too')
    .action(session.action(show))
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace processes show o1 --choreography fulfilment --file shop.db\n  $ millrace processes show o1 --at-time 2026-03-01T12:00:00Z --past --json',
    )
  processes
    .command('diagram')
    .description('Draw a choreography as a Mermaid flowchart: which events its rules wait for.')
    .argument('<app>', "module that exports the app, as its default or as 'app'; TypeScript or JavaScript")
    .argument('<choreography>', 'its name, with that of its service in front if others have it: service.name')
    .action(session.action(choreographyDiagram))
    .addHelpText('after', '\nExample:\n  $ millrace processes diagram app.ts fulfilment')
}

function withFilter(command: Command): Command {
  return command
    .option('--app <name>', 'only those of this app')
    .option('--service <name>', 'only those of this service')
    .option('--choreography <name>', 'only those of this choreography')
}

function status(text: string, earlier: readonly string[] | undefined): readonly string[] {
  if (!processStatuses.includes(text as ProcessStatus)) {
    throw new InvalidArgumentError(`Give one of ${processStatuses.join(', ')}.`)
  }
  return several(text, earlier)
}

async function list(invocation: Invocation<ListOptions>): Promise<void> {
  const { options, output, environment } = invocation
  const { prefix, older, younger, after, limit } = options
  const nowMs = environment.clock.nowMs()
  const found = await withEngine(invocation, 'read', async (engine) => {
    const processes: { readonly group: string; readonly process: ProcessInstance }[] = []
    for (const desk of await desksOf(engine, options)) {
      // One more than is shown tells whether there are more.
      const page = await desk.list({
        limit: limit + 1 - processes.length,
        ...(options.status !== undefined && { status: options.status }),
        ...(prefix !== undefined && { prefix }),
        ...(after !== undefined && { after }),
        ...(older !== undefined && { startedToMs: nowMs - older }),
        ...(younger !== undefined && { startedFromMs: nowMs - younger }),
      })
      processes.push(...page.map((process) => ({ group: desk.group, process })))
      if (processes.length > limit) break
    }
    return processes
  })
  const page = found.slice(0, limit)
  if (output.isJson) return output.document(page.map(({ group, process }) => ({ handler: group, ...process })))
  if (page.length === 0) return output.note('There are none.')
  await output.table(
    [
      { title: 'CHOREOGRAPHY' },
      { title: 'KEY' },
      { title: 'STATUS' },
      { title: 'STARTED' },
      { title: 'DUE' },
      { title: 'SEEN' },
      { title: 'OUTCOME' },
    ],
    page.map(({ group, process }) => [
      shown(group),
      shown(process.key),
      process.status,
      shownTime(process.startedMs),
      process.dueMs === null ? '-' : shownTime(process.dueMs),
      shown(Object.keys(process.seen).join(', ')) || '-',
      shown(process.outcome ?? '') || '-',
    ]),
  )
  if (found.length > limit)
    output.note(`There are more: --choreography and --after ${JSON.stringify(page.at(-1)?.process.key)} show the next.`)
}

async function show(invocation: Invocation<ShowOptions>): Promise<void> {
  const { options, output, args } = invocation
  const { desk, process, happenings, since } = await withEngine(invocation, 'read', async (engine) => {
    const found = await findProcess(engine, args[0] as string, options)
    if (options.past !== true && options.atTime === undefined) return { ...found, happenings: [], since: null }
    return { desk: found.desk, ...(await pastOf(found, options.atTime)) }
  })
  const isPastWanted = options.past === true
  if (output.isJson) {
    return output.document({ handler: desk.group, ...process, ...(isPastWanted && { happenings, since }) })
  }
  await showProcess(output, desk.group, process)
  if (isPastWanted) await showProcessPast(output, happenings, since)
}

interface FoundPast extends Pick<ProcessPast, 'happenings' | 'since'> {
  readonly process: ProcessInstance
}

/** A process as it was at a time, by default now, with what had happened to it. */
async function pastOf({ desk, process }: FoundProcess, timeMs: number | undefined): Promise<FoundPast> {
  const past = await desk.past(process.key)
  // It may be forgotten meanwhile.
  if (past === undefined) return { process, happenings: [], since: null }
  const { happenings, since } = past
  if (timeMs === undefined) return { process, happenings, since }
  const then = past.at({ time: timeMs })
  if (then === undefined) {
    const hint = `The first event for it came at ${shownTime(happenings[0]?.timeMs ?? process.startedMs)}.`
    throw new NotFoundError('process of a choreography at that time under key', process.key, hint)
  }
  return {
    process: then,
    happenings: past.difference({ happenings: since?.happenings ?? 0 }, { time: timeMs }).happenings,
    since,
  }
}
