import { type Command, Option } from 'commander'
import { viewGroup } from '../../domain/index.ts'
import { type Engine, GroupUnknownError, PartitionUnknownError, TopicUnknownError } from '../../engine/index.ts'
import { forgetAttempts } from '../../runtime/index.ts'
import { type ConfirmationOptions, confirm } from '../confirmation.ts'
import { NotFoundError, ViewGroupError } from '../errors.ts'
import { withEngine } from '../ground.ts'
import { wholeNumber } from '../option-values.ts'
import type { Column, Output } from '../output.ts'
import { offsetOf, type Position, parsePosition, positionHelp, startOf } from '../positions.ts'
import type { Invocation, Session } from '../session.ts'
import { counted, shown, shownAge } from '../text.ts'
import { groupDescriptions, lagOf } from './group-tables.ts'
import { existingGroup, existingTopic } from './named-things.ts'
import { viewsOf } from './view-names.ts'

interface ResetOptions extends ConfirmationOptions {
  readonly to: Position
  readonly topic?: string
  readonly partition?: number
}

/** One partition of a group that is to be moved. */
interface Move {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly to: number
}

/** `millrace groups`: list, describe, reset and delete. */
export function groupsCommand(program: Command, session: Session): void {
  const groups = program
    .command('groups')
    .description('Consumer groups, one for each handler and view: list, describe, reset, delete.')
  groups
    .command('ls')
    .description('List all groups with their lag.')
    .action(session.action(list))
    .addHelpText('after', '\nExample:\n  $ millrace groups ls --file shop.db')
  groups
    .command('describe')
    .description('Show how far a group is on each partition.')
    .argument('<group>', 'name of the group')
    .action(session.action(describe))
    .addHelpText('after', '\nExample:\n  $ millrace groups describe shop.payment.OrderPlaced --file shop.db')
  groups
    .command('reset')
    .description(
      'Move the progress of a group. Back: its handler gets messages again and repeats their effects. Forward: it never gets them.',
    )
    .argument('<group>', 'name of the group')
    .addOption(new Option('--to <position>', positionHelp).argParser(parsePosition).makeOptionMandatory())
    .option('--topic <topic>', 'only on this topic (default: all topics of the group)')
    .option('--partition <number>', 'only on this partition', wholeNumber(0))
    .option('--dry-run', 'only show what would move')
    .option('-y, --yes', 'do not ask')
    .action(session.action(reset))
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace groups reset shop.payment.OrderPlaced --to @-1h --dry-run\n  $ millrace groups reset shop.payment.OrderPlaced --to latest --topic orders --yes',
    )
  groups
    .command('delete')
    .description('Forget the progress of a group; an app that uses it starts it anew.')
    .argument('<group>', 'name of the group')
    .option('--dry-run', 'only show what would be forgotten')
    .option('-y, --yes', 'do not ask')
    .action(session.action(remove))
    .addHelpText('after', '\nExample:\n  $ millrace groups delete shop.audit.OrderPlaced --yes')
}

/** `millrace lag`: how far groups are behind. */
export function lagCommand(program: Command, session: Session): void {
  program
    .command('lag')
    .description('Show how far groups are behind on each partition where something waits.')
    .argument('[groups...]', 'names of groups (default: all)')
    .option('--all', 'also partitions where nothing waits')
    .action(session.action(lag))
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace lag --file shop.db\n  $ millrace lag shop.payment.OrderPlaced --all --json',
    )
}

const lagColumns: readonly Column[] = [
  { title: 'TOPIC' },
  { title: 'PARTITION', align: 'right' },
  { title: 'NEXT', align: 'right' },
  { title: 'LATEST', align: 'right' },
  { title: 'LAG', align: 'right' },
  { title: 'BEHIND', align: 'right' },
]

async function list(invocation: Invocation<object>): Promise<void> {
  const { output } = invocation
  const groups = await withEngine(invocation, 'read', (engine) => groupDescriptions(engine, undefined))
  const lags = groups.map(lagOf)
  if (output.isJson) return output.document(lags)
  await output.table(
    [{ title: 'GROUP' }, { title: 'LAG', align: 'right' }, { title: 'BEHIND', align: 'right' }, { title: 'TOPICS' }],
    lags.map((one) => [shown(one.group), String(one.lagMessages), shownAge(one.lagSeconds), one.topics.join(', ')]),
  )
}

async function describe(invocation: Invocation<object>): Promise<void> {
  const { output, args } = invocation
  const group = await withEngine(invocation, 'read', (engine) => existingGroup(engine, args[0] as string))
  const whole = lagOf(group)
  if (output.isJson) return output.document(whole)
  await output.fields([
    ['group', shown(whole.group)],
    ['lag', `${counted(whole.lagMessages, 'message')}, ${shownAge(whole.lagSeconds)}`],
  ])
  await output.line('')
  await output.table(
    lagColumns,
    whole.partitions.map((one) => [
      one.topic,
      String(one.partition),
      String(one.next),
      String(one.latest),
      String(one.lagMessages),
      shownAge(one.lagSeconds),
    ]),
  )
}

async function lag(invocation: Invocation<{ readonly all?: boolean }>): Promise<void> {
  const { output, args, options } = invocation
  const lags = await withEngine(invocation, 'read', async (engine) => {
    for (const name of args) await existingGroup(engine, name)
    return (await groupDescriptions(engine, args.length === 0 ? undefined : args)).map(lagOf)
  })
  if (output.isJson) return output.document(lags)
  const rows = lags.flatMap(({ group, partitions }) =>
    partitions
      .filter(({ lagMessages }) => options.all === true || lagMessages > 0)
      .map((one) => [
        shown(group),
        one.topic,
        String(one.partition),
        String(one.next),
        String(one.latest),
        String(one.lagMessages),
        shownAge(one.lagSeconds),
      ]),
  )
  if (rows.length === 0) output.note(lags.length === 0 ? 'There are no groups.' : 'Nothing waits.')
  else await output.table([{ title: 'GROUP' }, ...lagColumns], rows)
}

async function reset(invocation: Invocation<ResetOptions>): Promise<void> {
  const { options, output, args } = invocation
  const group = args[0] as string
  const isDryRun = options.dryRun === true
  await withEngine(invocation, isDryRun ? 'read' : 'write', async (engine) => {
    await refuseViewGroup(engine, group)
    const moves = await movesOf(engine, group, invocation)
    if (!output.isJson) await showMoves(output, moves)
    const again = moves.reduce((sum, { from, to }) => sum + Math.max(0, from - to), 0)
    const passed = moves.reduce((sum, { from, to }) => sum + Math.max(0, to - from), 0)
    const what = `${counted(again, 'record')} again and pass over ${passed}`
    if (isDryRun) output.note(`Group ${shown(group)} would handle ${what}. Nothing was changed.`)
    else {
      await confirm(invocation, `Let group ${shown(group)} handle ${what}?`)
      for (const { topic, partition, to } of moves) await engine.groups.reset(group, topic, { offset: to }, partition)
      await beginAnew(engine, group)
      output.note(`Group ${shown(group)} will handle ${what}.`)
    }
    if (output.isJson) await output.document({ group, moves, done: !isDryRun })
  })
}

async function showMoves(output: Output, moves: readonly Move[]): Promise<void> {
  await output.table(
    [
      { title: 'TOPIC' },
      { title: 'PARTITION', align: 'right' },
      { title: 'FROM', align: 'right' },
      { title: 'TO', align: 'right' },
      { title: 'CHANGE', align: 'right' },
    ],
    moves.map(({ topic, partition, from, to }) => [
      topic,
      String(partition),
      String(from),
      String(to),
      to > from ? `+${to - from}` : String(to - from),
    ]),
  )
}

async function movesOf(
  engine: Engine,
  group: string,
  { options, environment }: Invocation<ResetOptions>,
): Promise<readonly Move[]> {
  const { topic: onlyTopic, partition: onlyPartition } = options
  const { lag } = await existingGroup(engine, group)
  if (onlyTopic !== undefined && (await engine.topics.describe(onlyTopic)) === undefined)
    throw new TopicUnknownError(onlyTopic)
  const known = lag.filter((one) => onlyTopic === undefined || one.topic === onlyTopic)
  const chosen = known.filter((one) => onlyPartition === undefined || one.partition === onlyPartition)
  if (known.length === 0) {
    if (onlyTopic === undefined) throw new GroupUnknownError(group)
    throw new NotFoundError(
      'progress on topic',
      onlyTopic,
      `Group ${group} has none there: see "millrace groups describe".`,
    )
  }
  const first = known[0]
  if (chosen.length === 0 && first !== undefined) {
    const { partitions } = await existingTopic(engine, first.topic)
    throw new PartitionUnknownError(first.topic, onlyPartition ?? 0, partitions.length)
  }
  const start = startOf(options.to, environment.clock.nowMs())
  return Promise.all(
    chosen.map(async ({ topic, partition, next }) => {
      const description = await existingTopic(engine, topic)
      const to = await offsetOf(engine.topics, description, partition, start, chosen.length === 1)
      return { topic, partition, from: next, to }
    }),
  )
}

async function remove(invocation: Invocation<ConfirmationOptions>): Promise<void> {
  const { options, output, args } = invocation
  const group = args[0] as string
  const isDryRun = options.dryRun === true
  await withEngine(invocation, isDryRun ? 'read' : 'write', async (engine) => {
    const { partitions } = lagOf(await existingGroup(engine, group))
    await refuseViewGroup(engine, group)
    const what = `the progress of group ${shown(group)} on ${counted(partitions.length, 'partition')}`
    if (isDryRun) output.note(`Would forget ${what}.`)
    else {
      await confirm(invocation, `Forget ${what}?`)
      await engine.groups.delete(group)
      await beginAnew(engine, group)
      output.note(`Forgot ${what}.`)
    }
    if (output.isJson) await output.document({ group, partitions, deleted: !isDryRun })
  })
}

/** What comes again is tried as if it had never come. */
async function beginAnew(engine: Engine, group: string): Promise<void> {
  if (engine.capabilities.keeps.includes('state')) await forgetAttempts(engine, group)
}

/** @throws ViewGroupError `CLI_VIEW_GROUP` */
async function refuseViewGroup(engine: Engine, group: string): Promise<void> {
  // Views are where state is; their groups have no progress on an engine without.
  if (!engine.capabilities.keeps.includes('state')) return
  const view = (await viewsOf(engine)).find((one) => viewGroup(one.app, one) === group)
  if (view !== undefined) throw new ViewGroupError(group, `${view.app}.${view.name}`, view.copy)
}
