import type { Command } from 'commander'
import { Option } from 'commander'
import type { TopicDescription, Topics } from '../../engine/index.ts'
import { sleep } from '../../kernel/index.ts'
import { messageIn } from '../../record/index.ts'
import { UsageError } from '../errors.ts'
import { withEngine } from '../ground.ts'
import { several, wholeNumber } from '../option-values.ts'
import type { Output } from '../output.ts'
import { offsetOf, type Position, parsePosition, positionHelp, startOf } from '../positions.ts'
import type { Invocation, Session } from '../session.ts'
import { counted } from '../text.ts'
import { existingTopic } from './named-things.ts'
import { PartitionFeed, type PlacedRecord } from './partition-feed.ts'
import { recordJson, recordLine } from './record-display.ts'

interface TailOptions {
  readonly follow?: boolean
  readonly from?: Position
  readonly until?: Position
  readonly partition?: number
  readonly key?: string
  readonly type?: readonly string[]
  readonly last?: number
  readonly limit?: number
}

/** Without --from, this many of the newest records are shown. */
const lastDefault = 10
/** How often a follower looks for new records, in milliseconds. */
const lookMs = 100
/** How often a follower looks for new partitions, in milliseconds. */
const partitionLookMs = 5_000

const description = `Show records of topics, oldest first; by default the last ${lastDefault} of each topic.

Records of several partitions are merged by their time. Reading works beside a running app and moves no group.`

/** `millrace tail`. */
export function tailCommand(program: Command, session: Session): void {
  program
    .command('tail')
    .summary('Show records of topics, and follow what comes.')
    .description(description)
    .argument('<topics...>', 'names of topics')
    .option('-f, --follow', 'go on with what comes, until Ctrl-C')
    .addOption(new Option('--from <position>', `where to begin: ${positionHelp}`).argParser(parsePosition))
    .addOption(new Option('--until <position>', 'where to end; this position is not shown').argParser(parsePosition))
    .option('-n, --last <count>', 'only the newest records of each topic', wholeNumber(0))
    .option('--limit <count>', 'end after this many records', wholeNumber(1))
    .option('--partition <number>', 'only this partition', wholeNumber(0))
    .option('--key <key>', 'only records with this key')
    .option('--type <type>', 'only messages of this type; may be repeated', several)
    .action(session.action(tail))
    .addHelpText(
      'after',
      `
Examples:
  $ millrace tail orders --follow --file shop.db
  $ millrace tail orders --from @-1h --type OrderPlaced --json
  $ millrace tail orders --from earliest --key 536365
  $ millrace tail orders --partition 2 --from 100 --until 200`,
    )
}

async function tail(invocation: Invocation<TailOptions>): Promise<void> {
  const { options, args } = invocation
  const { follow, until, from, last } = options
  if (follow === true && until !== undefined)
    throw new UsageError('--follow and --until exclude each other.', 'millrace tail')
  if (from !== undefined && last !== undefined)
    throw new UsageError('--from and --last exclude each other.', 'millrace tail')
  await withEngine(invocation, 'read', async ({ topics }) => {
    const names = [...new Set(args)]
    const feeds = new Map<string, PartitionFeed>()
    for (const name of names) await addFeeds(topics, await existingTopic({ topics }, name), feeds, invocation)
    const view = new TailView(invocation)
    const isOver = !(await view.showWhatIsThere([...feeds.values()]))
    if (follow !== true && view.isEmpty) invocation.output.note('There are no such records.')
    if (isOver || follow !== true) return
    await followAll(topics, names, feeds, view, invocation)
  })
}

/** Adds the partitions of a topic that are not there yet. */
async function addFeeds(
  topics: Topics,
  topic: TopicDescription,
  feeds: Map<string, PartitionFeed>,
  { options, environment }: Invocation<TailOptions>,
): Promise<void> {
  const { from, until, partition: only } = options
  if (only !== undefined) await topics.locate(topic.name, only, 'earliest')
  const chosen = topic.partitions.filter(({ partition }) => only === undefined || partition === only)
  const nowMs = environment.clock.nowMs()
  const isOnly = topic.partitions.length === 1 || only !== undefined
  for (const { partition, earliest, latest } of chosen) {
    const name = `${topic.name}/${partition}`
    if (feeds.has(name)) continue
    const at = (position: Position): Promise<number> =>
      offsetOf(topics, topic, partition, startOf(position, nowMs), isOnly)
    // What has no filter and shows only the newest needs not read the rest.
    const back = hasFilter(options) ? latest : (options.last ?? lastDefault)
    const end = until === undefined ? latest : await at(until)
    const start = from === undefined ? Math.max(earliest, end - back) : await at(from)
    feeds.set(name, new PartitionFeed(topics, topic.name, partition, start, Math.max(start, end)))
  }
}

function hasFilter({ key, type }: TailOptions): boolean {
  return key !== undefined || type !== undefined
}

/** Goes on with what comes, until the signal aborts or the limit is reached. */
async function followAll(
  topics: Topics,
  names: readonly string[],
  feeds: Map<string, PartitionFeed>,
  view: TailView,
  invocation: Invocation<TailOptions>,
): Promise<void> {
  const { clock, signal } = invocation.environment
  for (const feed of feeds.values()) feed.goOn()
  let lookedAtMs = clock.monotonicMs()
  for (;;) {
    let isQuiet = true
    for (const feed of feeds.values()) {
      for (const record of await feed.news()) {
        isQuiet = false
        if (!(await view.show(record))) return
      }
      if (feed.lostCount > 0) {
        invocation.output.note(
          `${counted(feed.lostCount, 'record')} of ${feed.topic} went by retention before they could be shown.`,
        )
        feed.lostCount = 0
      }
    }
    if (clock.monotonicMs() - lookedAtMs >= partitionLookMs) {
      lookedAtMs = clock.monotonicMs()
      const fromStart = { ...invocation, options: { ...invocation.options, from: 'earliest' as const } }
      for (const name of names) await addFeeds(topics, await existingTopic({ topics }, name), feeds, fromStart)
    }
    if (isQuiet) await sleep(lookMs, clock, signal)
  }
}

/** Filters records, counts them and shows them. */
class TailView {
  /** Whether nothing was shown. */
  isEmpty = true
  readonly #options: TailOptions
  readonly #output: Output
  #left: number

  constructor({ options, output }: Invocation<TailOptions>) {
    this.#options = options
    this.#output = output
    this.#left = options.limit ?? Number.POSITIVE_INFINITY
  }

  /** Shows what the feeds hold up to their ends, merged by time. `false`: the limit is reached. */
  async showWhatIsThere(feeds: readonly PartitionFeed[]): Promise<boolean> {
    const { from, last } = this.#options
    const isTail = from === undefined
    const count = last ?? lastDefault
    const newest = new Map<string, PlacedRecord[]>()
    for (;;) {
      const feed = await earliestOf(feeds)
      if (feed === undefined) break
      const record = feed.take()
      if (!isTail) {
        if (!(await this.show(record))) return false
        continue
      }
      if (!this.#isWanted(record)) continue
      const kept = newest.get(record.topic) ?? []
      newest.set(record.topic, kept)
      // Now and then, because taking from the front moves all the rest.
      if (kept.push(record) >= 2 * count + 1000) kept.splice(0, kept.length - count)
    }
    const kept = [...newest.values()].map((records) => records.slice(Math.max(0, records.length - count)))
    for (const record of mergedByTime(kept)) if (!(await this.show(record))) return false
    return true
  }

  /** `false`: the limit is reached. */
  async show(record: PlacedRecord): Promise<boolean> {
    if (!this.#isWanted(record)) return true
    if (this.#output.isJson) await this.#output.jsonLine(recordJson(record))
    else await this.#output.line(recordLine(record, this.#output))
    this.isEmpty = false
    this.#left--
    return this.#left > 0
  }

  #isWanted({ outcome }: PlacedRecord): boolean {
    const { key, type } = this.#options
    if (key !== undefined && outcome.key !== key) return false
    const message = messageIn(outcome)
    return type === undefined || (message !== undefined && type.includes(message.type))
  }
}

/** Records of several topics in one list: each topic in the order that it has, whatever its clock did; between them, by time. */
function mergedByTime(topics: readonly (readonly PlacedRecord[])[]): readonly PlacedRecord[] {
  const heads = topics.filter((records) => records.length > 0).map((records) => ({ records, next: 0 }))
  const merged: PlacedRecord[] = []
  const timeOf = ({ records, next }: (typeof heads)[number]): number => records[next]?.outcome.timestampMs ?? Infinity
  for (;;) {
    let earliest: (typeof heads)[number] | undefined
    for (const head of heads) {
      if (head.next === head.records.length) continue
      if (earliest === undefined || timeOf(head) < timeOf(earliest)) earliest = head
    }
    const record = earliest?.records[earliest.next]
    if (earliest === undefined || record === undefined) return merged
    earliest.next++
    merged.push(record)
  }
}

/** The feed whose next record is the oldest; `undefined`: all are at their ends. */
async function earliestOf(feeds: readonly PartitionFeed[]): Promise<PartitionFeed | undefined> {
  let earliest: PartitionFeed | undefined
  let earliestMs = Number.POSITIVE_INFINITY
  for (const feed of feeds) {
    // Asked for each record and partition: only what is not there yet is worth waiting for.
    if (!feed.isLoaded) await feed.load()
    const { head } = feed
    if (head === undefined || (earliest !== undefined && head.timestampMs >= earliestMs)) continue
    earliest = feed
    earliestMs = head.timestampMs
  }
  return earliest
}
