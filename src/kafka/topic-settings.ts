import type { CleanupPolicy, TopicCompression, TopicConfig } from '../engine/index.ts'

/** A batch of ours is closed at this size; one more record may still come into it. */
const batchBytesUsual = 512 * 1024
/** A batch's header, and what frames a record that is alone in it. */
const frameBytes = 128
/** Above it a topic takes a batch of the usual size and a record of its largest size together. */
const roomyBatchBytes = 2 * (batchBytesUsual + frameBytes)

/**
 * Kafka bounds batches (`max.message.bytes`), Millrace records: the bound of a batch that a record of `recordBytesMax`
 * always fits into, together with those that came before it.
 */
export function batchBytesFor(recordBytesMax: number): number {
  return recordBytesMax <= batchBytesUsual
    ? 2 * recordBytesMax + frameBytes
    : recordBytesMax + batchBytesUsual + frameBytes
}

/** The other way round. */
export function recordBytesFor(maxMessageBytes: number): number {
  const bytes =
    maxMessageBytes <= roomyBatchBytes - frameBytes
      ? Math.floor((maxMessageBytes - frameBytes) / 2)
      : maxMessageBytes - batchBytesUsual - frameBytes
  return Math.max(1, bytes)
}

/** Where a batch is closed, so that one more record of the largest size still fits. */
export function batchBytesMaxFor(maxMessageBytes: number): number {
  return Math.max(1, Math.min(batchBytesUsual, Math.floor((maxMessageBytes - frameBytes) / 2)))
}

const policies: Readonly<Record<CleanupPolicy, string>> = {
  delete: 'delete',
  compact: 'compact',
  'compact-and-delete': 'compact,delete',
}

/** Settings that {@link settingsOf} makes of a topic's config, and what Millrace relies on: nobody else may give them. */
export const ownSettings: ReadonlySet<string> = new Set([
  'cleanup.policy',
  'retention.ms',
  'retention.bytes',
  'delete.retention.ms',
  'min.compaction.lag.ms',
  'compression.type',
  'max.message.bytes',
  'message.timestamp.type',
  'message.timestamp.after.max.ms',
])

/** Why something cannot be settings of topics; `undefined`: it can. */
export function topicSettingsProblem(settings: unknown): string | undefined {
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) return 'is no object'
  for (const [name, value] of Object.entries(settings)) {
    if (ownSettings.has(name)) return `holds ${name}, which Millrace sets by the config of the topic`
    if (typeof value !== 'string') return `holds ${name} as ${typeof value}: give it as text, as Kafka does`
  }
  return undefined
}

/** Settings of Kafka for those fields that are given. The number of partitions is none of them. */
export function settingsOf(config: TopicConfig): ReadonlyMap<string, string> {
  const settings = new Map<string, string>()
  const { cleanup, retentionMs, retentionBytes, tombstoneRetentionMs, compactionLagMs, compression } = config
  if (cleanup !== undefined) settings.set('cleanup.policy', policies[cleanup])
  if (retentionMs !== undefined) settings.set('retention.ms', String(retentionMs ?? -1))
  if (retentionBytes !== undefined) settings.set('retention.bytes', String(retentionBytes ?? -1))
  if (tombstoneRetentionMs !== undefined) settings.set('delete.retention.ms', String(tombstoneRetentionMs))
  if (compactionLagMs !== undefined) settings.set('min.compaction.lag.ms', String(compactionLagMs))
  // What we send comes compressed already; brokers keep it as it is.
  if (compression !== undefined) settings.set('compression.type', compression === 'none' ? 'producer' : compression)
  if (config.recordBytesMax !== undefined) {
    settings.set('max.message.bytes', String(batchBytesFor(config.recordBytesMax)))
  }
  return settings
}

/** Millrace's view of a topic's settings, also of one that others made. */
export function configOf(partitions: number, settings: ReadonlyMap<string, string | null>): Required<TopicConfig> {
  const number = (name: string, fallback: number): number => {
    const value = Number(settings.get(name) ?? Number.NaN)
    return Number.isFinite(value) ? Math.min(value, Number.MAX_SAFE_INTEGER) : fallback
  }
  const bound = (name: string): number | null => {
    const value = number(name, -1)
    return value < 0 ? null : value
  }
  const policy = settings.get('cleanup.policy') ?? 'delete'
  const compacts = policy.includes('compact')
  return {
    partitions,
    cleanup: compacts ? (policy.includes('delete') ? 'compact-and-delete' : 'compact') : 'delete',
    retentionMs: bound('retention.ms'),
    retentionBytes: bound('retention.bytes'),
    tombstoneRetentionMs: number('delete.retention.ms', 86_400_000),
    compactionLagMs: number('min.compaction.lag.ms', 0),
    compression: compressionOf(settings.get('compression.type')),
    recordBytesMax: recordBytesFor(maxMessageBytesOf(settings)),
  }
}

export function maxMessageBytesOf(settings: ReadonlyMap<string, string | null>): number {
  const value = Number(settings.get('max.message.bytes') ?? Number.NaN)
  return Number.isFinite(value) ? value : 1_048_588
}

/** Brokers compress snappy and lz4 topics by themselves. */
function compressionOf(type: string | null | undefined): TopicCompression {
  return type === 'gzip' || type === 'zstd' ? type : 'none'
}
