import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import type { Json } from '../../kernel/index.ts'
import { type SagaInput, type SagaInstance, type SagaStatus, sagaStatuses } from '../../saga/index.ts'
import { type ConfirmationOptions, confirm } from '../confirmation.ts'
import { NotFoundError } from '../errors.ts'
import { doneByApp, withEngine } from '../ground.ts'
import { duration, several, wholeNumber } from '../option-values.ts'
import { pointInTime } from '../positions.ts'
import type { Invocation, Session } from '../session.ts'
import { clipped, shown, shownTime } from '../text.ts'
import { sagaDiagram } from './diagrams.ts'
import { showDiagram, showInstance, showPast } from './saga-display.ts'
import { desksOf, findInstance, type SagaFilter } from './saga-names.ts'

interface ListOptions extends SagaFilter {
  readonly status?: readonly SagaStatus[]
  readonly prefix?: string
  readonly older?: number
  readonly younger?: number
  readonly after?: string
  readonly limit: number
}

interface ShowOptions extends SagaFilter {
  readonly mermaid?: boolean
  readonly past?: boolean
  readonly atTime?: number
}

interface SkipOptions extends SagaFilter, ConfirmationOptions {
  readonly output?: Json
}

interface CompensateOptions extends SagaFilter, ConfirmationOptions {
  readonly reason: string
}

/** `millrace sagas`: list, show, retry, skip and compensate instances, and draw a saga. */
export function sagasCommand(program: Command, session: Session): void {
  const sagas = program.command('sagas').description('Sagas: list, show, retry, skip, compensate instances; draw.')
  withFilter(sagas.command('ls'))
    .description('List instances by saga and key.')
    .option(
      '--status <status>',
      `only those that are so: ${sagaStatuses.join(', ')}; several times: one of these`,
      status,
    )
    .option('--prefix <text>', 'only those whose key begins so')
    .option('--older <duration>', 'only those that started longer ago', duration)
    .option('--younger <duration>', 'only those that started since', duration)
    .option('--after <key>', 'go on after this key')
    .option('--limit <count>', 'at most this many', wholeNumber(1), 100)
    .action(session.action(list))
    .addHelpText(
      'after',
      '\nExample:\n  $ millrace sagas ls --status parked --status compensating --older 1h --file shop.db',
    )
  withFilter(sagas.command('show'))
    .description('Show an instance with all that its body has asked for.')
    .argument('<key>', 'key of the instance')
    .option('--mermaid', 'as a Mermaid diagram')
    .option('--at-time <time>', 'as it was at this time: 2026-01-31, RFC 3339 or milliseconds since 1970', pointInTime)
    .option('--past', 'what happened to it and why, too')
    .action(session.action(show))
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace sagas show o1 --saga checkout --file shop.db\n  $ millrace sagas show o1 --at-time 2026-03-01T12:00:00Z --past --json',
    )
  withFilter(sagas.command('retry'))
    .description('Let a parked instance go on, and try at once what waits for its next attempt, when the app starts.')
    .argument('<key>', 'key of the instance')
    .action(session.action(retry))
    .addHelpText('after', '\nExample:\n  $ millrace sagas retry o1 --file shop.db')
  withFilter(sagas.command('skip'))
    .description('Take a step as done, or as undone when the instance is being compensated.')
    .argument('<key>', 'key of the instance')
    .argument('<step>', 'the step, as show names it')
    .option('--output <json>', 'what the step is taken to have answered', json)
    .option('-y, --yes', 'do not ask')
    .action(session.action(skip))
    .addHelpText('after', `\nExample:\n  $ millrace sagas skip o1 charge --output '{"receipt":"by hand"}' --yes`)
  withFilter(sagas.command('compensate'))
    .description('Undo what an instance has done, also one that has completed.')
    .argument('<key>', 'key of the instance')
    .option('--reason <text>', 'why', 'it was asked for on the command line')
    .option('-y, --yes', 'do not ask')
    .action(session.action(compensate))
    .addHelpText('after', '\nExample:\n  $ millrace sagas compensate o1 --reason "wrong address" --yes')
  sagas
    .command('diagram')
    .description('Draw a saga as a Mermaid flowchart: what its body may ask for.')
    .argument('<app>', "module that exports the app, as its default or as 'app'; TypeScript or JavaScript")
    .argument('<saga>', 'name of the saga')
    .action(session.action(sagaDiagram))
    .addHelpText('after', '\nExample:\n  $ millrace sagas diagram app.ts checkout')
}

function withFilter(command: Command): Command {
  return command.option('--app <name>', 'only those of this app').option('--saga <name>', 'only those of this saga')
}

function status(text: string, earlier: readonly string[] | undefined): readonly string[] {
  if (!sagaStatuses.includes(text as SagaStatus))
    throw new InvalidArgumentError(`Give one of ${sagaStatuses.join(', ')}.`)
  return several(text, earlier)
}

function json(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    throw new InvalidArgumentError('Give JSON; a text in quotes, such as \'"done"\'.')
  }
}

async function list(invocation: Invocation<ListOptions>): Promise<void> {
  const { options, output, environment } = invocation
  const { prefix, older, younger, after, limit } = options
  const nowMs = environment.clock.nowMs()
  const found = await withEngine(invocation, 'read', async (engine) => {
    const instances: { readonly app: string; readonly instance: SagaInstance }[] = []
    for (const desk of await desksOf(engine, options)) {
      // One more than is shown tells whether there are more.
      const page = await desk.list({
        limit: limit + 1 - instances.length,
        ...(options.status !== undefined && { status: options.status }),
        ...(prefix !== undefined && { prefix }),
        ...(after !== undefined && { after }),
        ...(older !== undefined && { startedToMs: nowMs - older }),
        ...(younger !== undefined && { startedFromMs: nowMs - younger }),
      })
      instances.push(...page.map((instance) => ({ app: desk.app, instance })))
      if (instances.length > limit) break
    }
    return instances
  })
  const page = found.slice(0, limit)
  if (output.isJson) return output.document(page.map(({ app, instance }) => ({ app, ...instance })))
  if (page.length === 0) return output.note('There are none.')
  await output.table(
    [
      { title: 'SAGA' },
      { title: 'KEY' },
      { title: 'STATUS' },
      { title: 'STARTED' },
      { title: 'LAST' },
      { title: 'PROBLEM' },
    ],
    page.map(({ app, instance }) => [
      shown(`${app}.${instance.saga}`),
      shown(instance.key),
      instance.status,
      shownTime(instance.startedMs),
      shown(lastOf(instance)),
      shown(clipped(problemOf(instance), 200)),
    ]),
  )
  if (found.length > limit)
    output.note(`There are more: --saga and --after ${JSON.stringify(page.at(-1)?.instance.key)} show the next.`)
}

function lastOf({ activities }: SagaInstance): string {
  const last = activities.at(-1)
  return last === undefined ? '-' : `${last.id} ${last.state}`
}

function problemOf({ parked, failure, activities }: SagaInstance): string {
  return (
    parked?.problem ??
    activities.find(({ error, dueMs }) => error !== null && dueMs !== null)?.error?.message ??
    failure?.message ??
    '-'
  )
}

async function show(invocation: Invocation<ShowOptions>): Promise<void> {
  const { options, output, args } = invocation
  const key = args[0] as string
  const { desk, instance, happenings } = await withEngine(invocation, 'read', async (engine) => {
    const found = await findInstance(engine, key, options)
    const past = await found.desk.past(key)
    if (past === undefined || options.atTime === undefined) return { ...found, happenings: past?.happenings ?? [] }
    const { atTime: time } = options
    const then = past.at({ time })
    if (then === undefined) {
      const hint = `It was started at ${shownTime(found.instance.startedMs)}.`
      throw new NotFoundError('instance of a saga at that time under key', key, hint)
    }
    return { desk: found.desk, instance: then, happenings: past.happenings.filter(({ timeMs }) => timeMs <= time) }
  })
  if (options.mermaid === true) return showDiagram(output, instance)
  const isPastWanted = options.past === true
  if (output.isJson) return output.document({ app: desk.app, ...instance, ...(isPastWanted && { happenings }) })
  await showInstance(output, desk.app, instance)
  if (isPastWanted) await showPast(output, happenings)
}

function retry(invocation: Invocation<SagaFilter>): Promise<void> {
  return tell(invocation, { kind: 'retry' }, 'retry')
}

/** What these commands would change is seen in the instance. */
const showing = 'millrace sagas show'

async function skip(invocation: Invocation<SkipOptions>): Promise<void> {
  const { args, options } = invocation
  const step = args[1] as string
  await confirm(invocation, `Take ${shown(step)} of ${shown(args[0] as string)} as done?`, showing)
  await tell(invocation, { kind: 'skip', step, output: options.output ?? null }, `skip ${step} of`)
}

async function compensate(invocation: Invocation<CompensateOptions>): Promise<void> {
  await confirm(invocation, `Undo what ${shown(invocation.args[0] as string)} has done?`, showing)
  await tell(invocation, { kind: 'compensate', reason: invocation.options.reason }, 'compensate')
}

/** What an instance is told stands in the topic of its saga: the app takes it in when it starts. */
async function tell(invocation: Invocation<SagaFilter>, input: SagaInput, what: string): Promise<void> {
  const { options, output, args } = invocation
  const key = args[0] as string
  const { app, saga } = await withEngine(invocation, 'write', async (engine) => {
    const { desk } = await findInstance(engine, key, options)
    await desk.tell(key, input)
    return desk
  })
  if (output.isJson) await output.document({ app, saga, key, ...input })
  else output.note(`Asked to ${what} ${shown(key)} of saga ${app}.${saga}; ${doneByApp(options)}.`)
}
