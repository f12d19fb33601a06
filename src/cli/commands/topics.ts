import { Argument, type Command, Option } from 'commander'
import {
  type CleanupPolicy,
  type TopicCompression,
  type TopicConfig,
  type TopicDescription,
  topicSettingText,
} from '../../engine/index.ts'
import { durationText } from '../../kernel/index.ts'
import { type ConfirmationOptions, confirm } from '../confirmation.ts'
import { UsageError } from '../errors.ts'
import { withEngine } from '../ground.ts'
import { byteCount, byteCountOrUnlimited, duration, durationOrForever, wholeNumber } from '../option-values.ts'
import type { Output } from '../output.ts'
import type { Invocation, Session } from '../session.ts'
import { counted, shownBytes } from '../text.ts'
import { groupsOfTopic } from './group-tables.ts'
import { existingTopic } from './named-things.ts'

/** Settings of a topic as options; those not given are absent. */
interface ConfigOptions {
  readonly partitions?: number
  readonly cleanup?: CleanupPolicy
  readonly retention?: number | 'forever'
  readonly retentionBytes?: number | 'unlimited'
  readonly tombstoneRetention?: number
  readonly compactionLag?: number
  readonly compression?: TopicCompression
  readonly recordBytesMax?: number
}

/** `millrace topics`: list, describe, create, alter and delete. */
export function topicsCommand(program: Command, session: Session): void {
  const topics = program.command('topics').description('Topics: list, describe, create, alter, delete.')
  topics
    .command('ls')
    .description('List all topics.')
    .action(session.action(list))
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace topics ls --file shop.db\n  $ millrace topics ls --json | jq -r ".[].name"',
    )
  topics
    .command('describe')
    .description('Show the settings of a topic, its partitions and the groups that read it.')
    .addArgument(new Argument('<topic>', 'name of the topic'))
    .action(session.action(describe))
    .addHelpText('after', '\nExample:\n  $ millrace topics describe orders --file shop.db')
  withConfigOptions(topics.command('create'))
    .description('Create a topic; also the file, if it is not there.')
    .argument('<name>', 'name of the new topic')
    .option('--if-not-exists', 'leave a topic that exists as it is')
    .action(session.action(create))
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace topics create orders --partitions 8 --retention 7d\n  $ millrace topics create prices --cleanup compact',
    )
  withConfigOptions(topics.command('alter'))
    .description('Change settings of a topic. Partitions can only grow; keys then move to other partitions.')
    .argument('<topic>', 'name of the topic')
    .action(session.action(alter))
    .addHelpText('after', '\nExample:\n  $ millrace topics alter orders --retention 30d --compression zstd')
  topics
    .command('delete')
    .description('Delete a topic, its records and the progress of all groups on it.')
    .argument('<topic>', 'name of the topic')
    .option('--dry-run', 'only say what would be deleted')
    .option('-y, --yes', 'do not ask')
    .action(session.action(remove))
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace topics delete orders --dry-run\n  $ millrace topics delete orders --yes',
    )
}

function withConfigOptions(command: Command): Command {
  return command
    .option('--partitions <count>', 'number of partitions, 1 to 1000 (new topics: 4)', wholeNumber(1))
    .addOption(
      new Option('--cleanup <policy>', 'what happens to old records (new topics: delete)').choices([
        'delete',
        'compact',
        'compact-and-delete',
      ]),
    )
    .option('--retention <duration>', "delete records older than this, such as 7d, or 'forever'", durationOrForever)
    .option('--retention-bytes <bytes>', "bound of a partition, such as 1GiB, or 'unlimited'", byteCountOrUnlimited)
    .option('--tombstone-retention <duration>', 'how long compaction keeps tombstones (new topics: 1d)', duration)
    .option('--compaction-lag <duration>', 'records younger than this are not compacted', duration)
    .addOption(
      new Option('--compression <kind>', 'how batches are compressed (new topics: none)').choices([
        'none',
        'gzip',
        'zstd',
      ]),
    )
    .option('--record-bytes-max <bytes>', 'largest record, 1KiB to 64MiB (new topics: 1MiB)', byteCount)
}

function configOf(options: ConfigOptions): TopicConfig {
  const { partitions, cleanup, retention, retentionBytes, compression, recordBytesMax } = options
  const { tombstoneRetention, compactionLag } = options
  return {
    ...(partitions !== undefined && { partitions }),
    ...(cleanup !== undefined && { cleanup }),
    ...(retention !== undefined && { retentionMs: retention === 'forever' ? null : retention }),
    ...(retentionBytes !== undefined && { retentionBytes: retentionBytes === 'unlimited' ? null : retentionBytes }),
    ...(tombstoneRetention !== undefined && { tombstoneRetentionMs: tombstoneRetention }),
    ...(compactionLag !== undefined && { compactionLagMs: compactionLag }),
    ...(compression !== undefined && { compression }),
    ...(recordBytesMax !== undefined && { recordBytesMax }),
  }
}

async function list(invocation: Invocation<object>): Promise<void> {
  const { output } = invocation
  const topics = await withEngine(invocation, 'read', (engine) => engine.topics.list())
  if (output.isJson) return output.document(topics)
  await output.table(
    [
      { title: 'TOPIC' },
      { title: 'PARTITIONS', align: 'right' },
      { title: 'RECORDS', align: 'right' },
      { title: 'BYTES', align: 'right' },
      { title: 'CLEANUP' },
      { title: 'RETENTION' },
    ],
    topics.map((topic) => [
      topic.name,
      String(topic.partitions.length),
      String(recordCountOf(topic)),
      shownBytes(bytesOf(topic)),
      topic.config.cleanup,
      retentionText(topic),
    ]),
  )
}

async function describe(invocation: Invocation<object>): Promise<void> {
  const { output, args } = invocation
  const { topic, groups } = await withEngine(invocation, 'read', async (engine) => ({
    topic: await existingTopic(engine, args[0] as string),
    groups: await groupsOfTopic(engine, args[0] as string),
  }))
  if (output.isJson) return output.document({ ...topic, groups })
  await describeTopic(output, topic)
  if (groups.length === 0) return
  await output.line('')
  await output.table(
    [{ title: 'GROUP' }, { title: 'LAG', align: 'right' }],
    groups.map(({ group, lagMessages }) => [group, String(lagMessages)]),
  )
}

async function describeTopic(output: Output, topic: TopicDescription): Promise<void> {
  const { config } = topic
  await output.fields([
    ['topic', topic.name],
    ['cleanup', config.cleanup],
    ['retention', retentionText(topic)],
    ['tombstone retention', durationText(config.tombstoneRetentionMs)],
    ['compaction lag', durationText(config.compactionLagMs)],
    ['compression', config.compression],
    ['largest record', shownBytes(config.recordBytesMax)],
  ])
  await output.line('')
  await output.table(
    [
      { title: 'PARTITION', align: 'right' },
      { title: 'EARLIEST', align: 'right' },
      { title: 'LATEST', align: 'right' },
      { title: 'RECORDS', align: 'right' },
      { title: 'BYTES', align: 'right' },
    ],
    topic.partitions.map(({ partition, earliest, latest, bytes }) => [
      String(partition),
      String(earliest),
      String(latest),
      String(latest - earliest),
      shownBytes(bytes),
    ]),
  )
}

async function create(invocation: Invocation<ConfigOptions & { readonly ifNotExists?: boolean }>): Promise<void> {
  const { options, output, args } = invocation
  const name = args[0] as string
  const config = configOf(options)
  const { topic, isNew } = await withEngine(invocation, 'create', async (engine) => {
    const before = options.ifNotExists === true ? await engine.topics.describe(name) : undefined
    return { topic: before ?? (await engine.topics.create(name, config)), isNew: before === undefined }
  })
  if (output.isJson) return output.document(topic)
  const partitions = counted(topic.partitions.length, 'partition')
  output.note(isNew ? `Created topic ${name} with ${partitions}.` : `Topic ${name} exists already, with ${partitions}.`)
}

async function alter(invocation: Invocation<ConfigOptions>): Promise<void> {
  const { options, output, args } = invocation
  const name = args[0] as string
  const changes = configOf(options)
  if (Object.keys(changes).length === 0)
    throw new UsageError('No setting to change was given.', 'millrace topics alter')
  const { before, after } = await withEngine(invocation, 'write', async (engine) => ({
    before: await existingTopic(engine, name),
    after: await engine.topics.alter(name, changes),
  }))
  if (output.isJson) return output.document(after)
  const changed = (Object.keys(changes) as (keyof TopicConfig)[]).filter(
    (setting) => before.config[setting] !== after.config[setting],
  )
  for (const setting of changed)
    output.note(
      `${setting}: ${topicSettingText(setting, before.config[setting])} → ${topicSettingText(setting, after.config[setting])}`,
    )
  if (changed.length === 0) output.note(`Topic ${name} had these settings already.`)
}

async function remove(invocation: Invocation<ConfirmationOptions>): Promise<void> {
  const { options, output, args } = invocation
  const name = args[0] as string
  const isDryRun = options.dryRun === true
  const result = await withEngine(invocation, isDryRun ? 'read' : 'write', async (engine) => {
    const topic = await existingTopic(engine, name)
    const groups = await groupsOfTopic(engine, name)
    const what = `topic ${name} with ${counted(recordCountOf(topic), 'record')} and the progress of ${counted(groups.length, 'group')}`
    if (isDryRun) output.note(`Would delete ${what}.`)
    else {
      await confirm(invocation, `Delete ${what}?`)
      await engine.topics.delete(name)
      output.note(`Deleted ${what}.`)
    }
    return {
      topic: name,
      recordCount: recordCountOf(topic),
      groups: groups.map(({ group }) => group),
      deleted: !isDryRun,
    }
  })
  if (output.isJson) await output.document(result)
}

/** Offsets in use; after compaction fewer records may stand there. */
function recordCountOf({ partitions }: TopicDescription): number {
  return partitions.reduce((sum, { earliest, latest }) => sum + latest - earliest, 0)
}

function bytesOf({ partitions }: TopicDescription): number {
  return partitions.reduce((sum, { bytes }) => sum + bytes, 0)
}

function retentionText({ config: { retentionMs, retentionBytes } }: TopicDescription): string {
  const time = retentionMs === null ? 'forever' : durationText(retentionMs)
  return retentionBytes === null ? time : `${time}, ${shownBytes(retentionBytes)} a partition`
}
