import type { WriteBatch } from '../engine/index.ts'
import { channels } from '../telemetry/index.ts'
import type { PartitionReader } from './partition-reader.ts'

/** What became durable in one commit, for telemetry. */
export interface DurableFacts {
  readonly messageCount: number
  readonly publishedCount: number
  readonly stateCount: number
  /** From the call of commit to durable, in milliseconds. */
  readonly durationMs: number
  /** Partitions on which it made progress. */
  readonly readers: readonly PartitionReader[]
}

/** Facts of a commit that concerns one message. */
export function factsOfLone(batch: WriteBatch, readers: readonly PartitionReader[], durationMs: number): DurableFacts {
  const publishedCount = (batch.publish ?? []).reduce((sum, { messages }) => sum + (messages?.length ?? 0), 0)
  const stateCount = batch.state?.length ?? 0
  return { messageCount: 1, publishedCount, stateCount, durationMs, readers }
}

/** Tells the channels `committed`, `published` and `lag`. */
export function reportDurable(app: string, handler: string, facts: DurableFacts): void {
  const { messageCount, publishedCount, stateCount, durationMs, readers } = facts
  if (channels.committed.hasSubscribers) {
    channels.committed.publish({ handler, messageCount, publishedCount, stateCount, durationMs })
  }
  if (channels.published.hasSubscribers && publishedCount > 0) {
    channels.published.publish({ app, handler, messageCount: publishedCount, durationMs })
  }
  if (!channels.lag.hasSubscribers) return
  for (const { topic, partition, latest, committed } of readers) {
    channels.lag.publish({ handler, topic, partition, lagMessages: Math.max(0, latest - committed.next) })
  }
}
