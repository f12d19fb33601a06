import { createReadStream } from 'node:fs'
import { access, constants, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { Engine, TopicPosition } from '../../engine/index.ts'
import { InvariantError } from '../../kernel/index.ts'
import type { CliEnvironment } from '../environment.ts'
import { InputInvalidError, NotFoundError, UsageError } from '../errors.ts'
import { withEngine } from '../ground.ts'
import { type InputLine, inputLines, type LineTooLong, lineBytesMax } from '../input-lines.ts'
import { nameAndValue, wholeNumber } from '../option-values.ts'
import type { Invocation, Session } from '../session.ts'
import { counted } from '../text.ts'
import { existingTopic } from './named-things.ts'
import { type Item, itemCheck, type MakeItem, makeItems, type PublishOptions, publishWrite } from './publish-items.ts'

/** Lines that are published together, all or none. */
const batchLinesMax = 1_000
/** Bytes of lines that are published together; a single line may be longer. */
const batchBytesMax = 4 * 1024 * 1024
/** When input pauses for this long, what came so far is published, in milliseconds. */
const pauseMs = 100

const description = `Publish messages to a topic.

Data come as JSON: as an argument (one message), from --input, or from stdin (one message a line). \
Without --envelope they are the data of a new message of --type; with it, whole CloudEvents as "tail --json" shows \
them under "message". --raw publishes bytes as they are.

Lines are published 1,000 at a time, all or none; a bad line ends the command and says what was published before.`

/** `millrace publish`. */
export function publishCommand(program: Command, session: Session): void {
  program
    .command('publish')
    .summary('Publish messages to a topic.')
    .description(description)
    .argument('<topic>', 'name of the topic')
    .argument('[data]', "data of one message as JSON, or '-' for stdin")
    .option('--input <path>', 'read lines from this file')
    .option('--type <type>', 'type of the messages')
    .option('--data-version <number>', 'version of the definition of the type', wholeNumber(1))
    .option('--source <uri>', 'source of the messages (default: urn:millrace:cli)')
    .option('--subject <text>', 'subject of the messages')
    .option('--key <key>', 'partition key of all messages')
    .option('--key-field <path>', 'partition key from a field of the data, such as customer.id')
    .option('--header <name=value>', 'an attribute, with --raw a header; may be repeated', nameAndValue)
    .option('--partition <number>', 'publish to this partition (default: by key)', wholeNumber(0))
    .option('--envelope', 'each line is a CloudEvent in JSON')
    .option('--raw', 'values are bytes, not JSON messages')
    .option('--separator <text>', 'with --raw: what parts key and value in a line')
    .option('--tombstone', 'with --raw and --key: a record without a value')
    .option('--dry-run', 'check all of the input, publish nothing')
    .action(session.action(publish))
    .addHelpText(
      'after',
      `
Examples:
  $ millrace publish orders '{"orderId":"7","total":"9.95"}' --type OrderPlaced --key-field orderId
  $ millrace publish orders --type OrderPlaced --input orders.jsonl --dry-run
  $ millrace tail orders --from earliest --json | jq -c .message | millrace publish copies --envelope --file other.db
  $ millrace publish prices --raw --key apple --tombstone`,
    )
}

async function publish(invocation: Invocation<PublishOptions>): Promise<void> {
  const { options, output, args } = invocation
  checkOptions(invocation)
  const make = makeItems(invocation)
  const topicName = args[0] as string
  const isDryRun = options.dryRun === true
  let count = 0
  let nextLine = 1
  try {
    await withEngine(invocation, isDryRun ? 'read' : 'write', async (engine) => {
      const check = itemCheck(await existingTopic(engine, topicName))
      if (options.partition !== undefined) await engine.topics.locate(topicName, options.partition, 'earliest')
      for await (const lines of batchesOf(invocation)) {
        const items = itemsOf(lines, (line) => checked(make(line), check), count, isDryRun)
        if (!isDryRun) await showPositions(invocation, items, await commit(engine, invocation, topicName, items))
        count += items.length
        nextLine = (lines.at(-1)?.number ?? 0) + 1
      }
    })
  } catch (error) {
    if (count > 0 && !isDryRun && !(error instanceof InputInvalidError)) {
      output.note(
        `Lines 1 to ${nextLine - 1} are published (${counted(count, 'message')}); from line ${nextLine} on nothing is.`,
      )
    }
    throw error
  }
  if (isDryRun) output.note(`${counted(count, 'message')} could be published to ${topicName}. Nothing was.`)
  else output.note(`Published ${counted(count, 'message')} to ${topicName}.`)
}

function checked(
  made: Item | string | undefined,
  check: (item: Item) => string | undefined,
): Item | string | undefined {
  return typeof made === 'object' ? (check(made) ?? made) : made
}

/** Finds combinations that make no sense. */
function checkOptions({ options, args, environment }: Invocation<PublishOptions>): void {
  const refuse = (problem: string): never => {
    throw new UsageError(problem, 'millrace publish')
  }
  const { raw, envelope, tombstone, key, keyField, separator, type, input } = options
  const data = args[1]
  if (raw === true && envelope === true) refuse('--raw and --envelope exclude each other.')
  if (raw !== true && (separator !== undefined || tombstone === true))
    refuse('--separator and --tombstone go with --raw.')
  if (raw === true && (type ?? keyField ?? options.subject ?? options.source) !== undefined) {
    refuse('--type, --source, --subject and --key-field are for messages, not for --raw.')
  }
  if (envelope === true && (type ?? options.source ?? options.subject ?? options.header) !== undefined) {
    refuse('With --envelope each line brings its own type, source, subject and attributes.')
  }
  if (raw !== true && envelope !== true && type === undefined) refuse('--type is missing: the type of the messages.')
  if (key !== undefined && (keyField !== undefined || separator !== undefined)) {
    refuse('The key comes from --key, from --key-field or from --separator: give one of them.')
  }
  if (tombstone === true && (key === undefined || data !== undefined || input !== undefined)) {
    refuse('--tombstone takes --key, and no data.')
  }
  if (data !== undefined && input !== undefined)
    refuse('Data come from the argument or from --input: give one of them.')
  if (tombstone !== true && data === undefined && input === undefined && environment.stdin.isTTY === true) {
    refuse("No data was given: as an argument, by --input, or on stdin ('-' reads from the terminal).")
  }
}

type Line = InputLine | LineTooLong

/** The input in pieces that are published together. The argument, or a tombstone, is the only line of the only piece. */
async function* batchesOf(invocation: Invocation<PublishOptions>): AsyncGenerator<readonly Line[]> {
  const { options, args, environment } = invocation
  const data = options.tombstone === true ? '' : args[1]
  if (data !== undefined && data !== '-') {
    yield [{ number: 0, bytes: Buffer.from(data, 'utf8') }]
    return
  }
  const lines = inputLines(await inputOf(invocation))[Symbol.asyncIterator]()
  let gathered: Line[] = []
  let bytes = 0
  let next = lines.next()
  for (;;) {
    const outcome = await firstOf(next, gathered.length > 0, environment)
    if (outcome !== 'pause' && outcome.done !== true) {
      gathered.push(outcome.value)
      bytes += 'bytes' in outcome.value ? outcome.value.bytes.length : 0
      next = lines.next()
      if (gathered.length < batchLinesMax && bytes < batchBytesMax) continue
    }
    if (gathered.length > 0) yield gathered
    if (outcome !== 'pause' && outcome.done === true) return
    gathered = []
    bytes = 0
  }
}

async function inputOf({
  options,
  environment,
}: Invocation<PublishOptions>): Promise<AsyncIterable<Uint8Array | string>> {
  if (options.input === undefined) return environment.stdin
  const path = resolve(environment.cwd, options.input)
  await access(path, constants.R_OK).catch(() => {
    throw new NotFoundError('readable input file', path, 'Correct its path, or its permissions.')
  })
  if ((await stat(path)).isDirectory()) throw new UsageError(`--input names a folder: ${path}.`, 'millrace publish')
  return createReadStream(path)
}

/** The next line, or `'pause'` when it takes a while and something waits to be published. An abort throws its reason. */
function firstOf(
  line: Promise<IteratorResult<Line>>,
  mayPause: boolean,
  { clock, signal }: CliEnvironment,
): Promise<IteratorResult<Line> | 'pause'> {
  return new Promise((settle, fail) => {
    const finish = (then: () => void): void => {
      timer?.cancel()
      signal.removeEventListener('abort', abort)
      then()
    }
    const abort = (): void => finish(() => fail(signal.reason as Error))
    const timer = mayPause ? clock.setTimer(() => finish(() => settle('pause')), pauseMs) : undefined
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    line.then(
      (result) => finish(() => settle(result)),
      (error: Error) => finish(() => fail(error)),
    )
  })
}

function itemsOf(lines: readonly Line[], make: MakeItem, count: number, isDryRun: boolean): readonly Item[] {
  const first = lines[0]?.number ?? 1
  const items: Item[] = []
  for (const line of lines) {
    const made = 'tooLong' in line ? `is longer than ${lineBytesMax} bytes` : make(line)
    if (typeof made === 'string') throw badLine(line.number, made, first, count, isDryRun)
    if (made !== undefined) items.push(made)
  }
  return items
}

/** `first` is the first line of those that would have been published together with the bad one. */
function badLine(number: number, reason: string, first: number, count: number, isDryRun: boolean): InputInvalidError {
  if (number === 0) return new InputInvalidError('the data', reason, null, 'Nothing was published.', 0)
  const outcome =
    count === 0 || isDryRun
      ? 'Nothing was published.'
      : `Lines 1 to ${first - 1} are published (${counted(count, 'message')}); from line ${first} on nothing is.`
  return new InputInvalidError(`line ${number}`, reason, number, outcome, isDryRun ? 0 : count)
}

async function commit(
  engine: Engine,
  { options }: Invocation<PublishOptions>,
  topic: string,
  items: readonly Item[],
): Promise<readonly TopicPosition[]> {
  if (items.length === 0) return []
  const outcome = await engine.commit({ publish: [publishWrite(topic, items, options)] })
  if (outcome.ok) return outcome.published
  throw new InvariantError('a commit that only publishes meets no conflict')
}

async function showPositions(
  { output }: Invocation<PublishOptions>,
  items: readonly Item[],
  positions: readonly TopicPosition[],
): Promise<void> {
  const lines = positions.map(({ topic, partition, offset }, index) => {
    const id = items[index]?.id
    return output.isJson
      ? JSON.stringify({ topic, partition, offset, ...(id !== undefined && { id }) })
      : `${topic}/${partition}/${offset}${id === undefined ? '' : `  ${id}`}`
  })
  if (lines.length > 0) await output.write(`${lines.join('\n')}\n`)
}
