import type { Engine, PublishWrite, TopicConfig, TopicDescription } from '../engine/index.ts'
import { TopicUnknownError } from '../engine/index.ts'

const outboxSuffix = '.outbox'
const relayGroupSuffix = '.relay'

/** Topic of the store in which messages wait that shall go to a topic of another engine. */
export function outboxOf(topic: string): string {
  return `${topic}${outboxSuffix}`
}

/** The topic that an outbox is for; `undefined`: the name is no outbox's. */
export function topicOfOutbox(outbox: string): string | undefined {
  return outbox.endsWith(outboxSuffix) ? outbox.slice(0, -outboxSuffix.length) : undefined
}

/** Group by which relays share the partitions of an outbox. */
export function relayGroupOf(outbox: string): string {
  return `${outbox}${relayGroupSuffix}`
}

export function isRelayGroup(group: string): boolean {
  return group.endsWith(`${outboxSuffix}${relayGroupSuffix}`)
}

/**
 * Makes sure that a topic has its outbox: in the store the one that holds records, with the same partitions, so that each
 * record stands in the partition for which it is meant; and beside the topic one of the same name, by which relays share the
 * work and in whose marks they keep how far they are.
 *
 * @throws TopicUnknownError `TOPIC_UNKNOWN`
 */
export async function ensureOutbox(topics: Engine, store: Engine, topic: string): Promise<TopicDescription> {
  const description = await topics.topics.describe(topic)
  if (description === undefined) throw new TopicUnknownError(topic)
  const { config, partitions } = description
  const outbox = outboxOf(topic)
  const { recordBytesMax } = config
  await ensureTopic(topics, outbox, { partitions: partitions.length, cleanup: 'compact' })
  await ensureTopic(store, outbox, { partitions: partitions.length, recordBytesMax })
  return description
}

async function ensureTopic(engine: Engine, topic: string, config: TopicConfig): Promise<void> {
  const present = await engine.topics.ensure(topic, config)
  const isSmaller =
    present.config.partitions < (config.partitions ?? 0) ||
    (config.recordBytesMax !== undefined && present.config.recordBytesMax !== config.recordBytesMax)
  if (isSmaller) await engine.topics.alter(topic, config)
}

/** The same writes, into the outboxes. */
export function intoOutboxes(writes: readonly PublishWrite[]): readonly PublishWrite[] {
  return writes.map((write) => ({ ...write, topic: outboxOf(write.topic) }))
}
