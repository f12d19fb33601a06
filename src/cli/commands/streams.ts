import { type Command, Option } from 'commander'
import type { EventStore, ReadAllOptions, StoredEvent } from '../../engine/index.ts'
import { StreamUnknownError } from '../../engine/index.ts'
import { UsageError } from '../errors.ts'
import { withEngine } from '../ground.ts'
import { several, wholeNumber } from '../option-values.ts'
import type { Output } from '../output.ts'
import { type EventPlace, eventPlaceHelp, momentMs, parseEventPlace } from '../positions.ts'
import type { Invocation, Session } from '../session.ts'
import { shown, shownTime } from '../text.ts'
import { dataText, messageJson } from './record-display.ts'
import { streamRetagCommand } from './stream-retag.ts'
import { streamStateCommand } from './stream-state.ts'

interface ListOptions {
  readonly prefix?: string
  readonly after?: string
  readonly limit: number
}

interface ReadOptions {
  readonly all?: boolean
  readonly from?: EventPlace
  readonly until?: EventPlace
  readonly backward?: boolean
  readonly limit?: number
  readonly type?: readonly string[]
  readonly tag?: readonly string[]
}

/** `millrace streams`: the event store. */
export function streamsCommand(program: Command, session: Session): void {
  const streams = program.command('streams').description('The event store: list streams, read their events.')
  streams
    .command('ls')
    .description('List streams in name order.')
    .option('--prefix <text>', 'only names that begin so')
    .option('--after <name>', 'go on after this stream')
    .option('--limit <count>', 'at most this many', wholeNumber(1), 100)
    .action(session.action(list))
    .addHelpText('after', '\nExample:\n  $ millrace streams ls --prefix order- --file shop.db')
  streams
    .command('read')
    .description('Show the events of a stream, or with --all of the whole store.')
    .argument('[stream]', 'name of the stream')
    .option('--all', 'the whole event store, in the order of positions')
    .addOption(new Option('--from <place>', `where to begin: ${eventPlaceHelp}`).argParser(parseEventPlace))
    .addOption(new Option('--until <place>', 'where to end; this place is not shown').argParser(parseEventPlace))
    .option('--backward', 'newest first')
    .option('--limit <count>', 'at most this many', wholeNumber(1))
    .option('--type <type>', 'only events of this type; may be repeated', several)
    .option('--tag <tag>', 'only events with this tag; repeated: with all of them', several)
    .action(session.action(read))
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace streams read order-7 --type OrderPaid --from @-1h --file shop.db\n  $ millrace streams read --all --tag customer:17 --backward --limit 20 --json',
    )
  streams
    .command('describe')
    .description('Show the version of a stream and what was removed from it.')
    .argument('<stream>', 'name of the stream')
    .action(session.action(describe))
    .addHelpText('after', '\nExample:\n  $ millrace streams describe order-7 --file shop.db')
  streamStateCommand(streams, session)
  streamRetagCommand(streams, session)
}

async function list(invocation: Invocation<ListOptions>): Promise<void> {
  const { options, output } = invocation
  const { prefix, after, limit } = options
  const found = await withEngine(invocation, 'read', ({ events }) =>
    // One more than is shown tells whether there are more.
    events.listStreams({
      limit: limit + 1,
      ...(prefix !== undefined && { prefix }),
      ...(after !== undefined && { after }),
    }),
  )
  const page = found.slice(0, limit)
  if (output.isJson) return output.document(page)
  await output.table(
    [
      { title: 'STREAM' },
      { title: 'VERSION', align: 'right' },
      { title: 'TRUNCATED BEFORE', align: 'right' },
      { title: 'STATE' },
    ],
    page.map((one) => [
      shown(one.stream),
      String(one.version),
      one.truncatedBefore > 1 ? String(one.truncatedBefore) : '-',
      one.tombstoned ? 'deleted for good' : 'open',
    ]),
  )
  if (found.length > limit)
    output.note(`There are more: --after ${JSON.stringify(page.at(-1)?.stream)} shows the next.`)
}

async function describe(invocation: Invocation<object>): Promise<void> {
  const { output, args } = invocation
  const name = args[0] as string
  const stream = await withEngine(invocation, 'read', ({ events }) => events.describeStream(name))
  if (stream === undefined) throw new StreamUnknownError(name)
  if (output.isJson) return output.document(stream)
  await output.fields([
    ['stream', shown(stream.stream)],
    ['version', String(stream.version)],
    ['truncated before', stream.truncatedBefore > 1 ? `version ${stream.truncatedBefore}` : 'nothing'],
    ['last deleted', stream.deletedAt > 0 ? `by version ${stream.deletedAt}` : 'never'],
    ['state', stream.tombstoned ? 'deleted for good' : 'open'],
  ])
}

async function read(invocation: Invocation<ReadOptions>): Promise<void> {
  const { options, output, args } = invocation
  const { all } = options
  const refuse = (problem: string): never => {
    throw new UsageError(problem, 'millrace streams read')
  }
  if ((args.length === 0) === (all !== true)) refuse('Name one stream, or give --all.')
  await withEngine(invocation, 'read', async ({ events }) => {
    if (all !== true && (await events.describeStream(args[0] as string)) === undefined) {
      throw new StreamUnknownError(args[0] as string)
    }
    for await (const event of eventsOf(events, invocation)) await showEvent(output, event, all === true)
  })
}

async function* eventsOf(
  events: EventStore,
  { options, args, environment }: Invocation<ReadOptions>,
): AsyncGenerator<StoredEvent> {
  const { all, from, until, backward, limit, type, tag } = options
  const nowMs = environment.clock.nowMs()
  const item = { ...(type !== undefined && { types: type }), ...(tag !== undefined && { tags: tag }) }
  const common: Omit<ReadAllOptions, 'fromPosition'> = {
    direction: backward === true ? 'backward' : 'forward',
    query: { items: [item] },
    signal: environment.signal,
    ...(from !== undefined && !('number' in from) && { fromTimeMs: momentMs(from, nowMs) }),
    ...(limit !== undefined && { limit }),
  }
  const first = from !== undefined && 'number' in from ? from.number : undefined
  const found =
    all === true
      ? events.readAll({ ...common, ...(first !== undefined && { fromPosition: first }) })
      : events.readStream(args[0] as string, { ...common, ...(first !== undefined && { fromVersion: first }) })
  for await (const event of found) {
    if (until !== undefined && isAtEnd(event, until, options, nowMs)) return
    yield event
  }
}

/** Whether an event stands at the place where reading ends, or behind it in the direction of reading. */
function isAtEnd(event: StoredEvent, until: EventPlace, { all, backward }: ReadOptions, nowMs: number): boolean {
  const [here, end] =
    'number' in until
      ? [all === true ? event.position : event.version, until.number]
      : [event.timestampMs, momentMs(until, nowMs)]
  return backward === true ? here <= end : here >= end
}

async function showEvent(output: Output, event: StoredEvent, withStream: boolean): Promise<void> {
  const { stream, version, position, timestampMs, tags, message } = event
  if (output.isJson) {
    const timestamp = shownTime(timestampMs)
    return output.jsonLine({ stream, version, position, timestamp, tags, message: messageJson(message) })
  }
  const place = withStream ? `${position} ${shown(stream)}/${version}` : String(version)
  const tagText = tags.length === 0 ? '' : ` ${output.styled('cyan', `[${tags.map(shown).join(' ')}]`)}`
  const time = output.styled('dim', shownTime(timestampMs))
  await output.line(`${time} ${place} ${output.styled('bold', shown(message.type))}${tagText} ${dataText(message)}`)
}
