import { type TopicConfig, TopicNameInvalidError } from '../engine/index.ts'
import { type OptionProblem, OptionsInvalidError } from '../kernel/index.ts'
import { topicNameProblem } from '../message/index.ts'

const partitionsMax = 1_000
const recordBytesMaxLeast = 1024
const recordBytesMaxMost = 64 * 1024 * 1024

export const topicConfigDefaults: Required<TopicConfig> = Object.freeze({
  partitions: 4,
  cleanup: 'delete',
  retentionMs: null,
  retentionBytes: null,
  tombstoneRetentionMs: 86_400_000,
  compactionLagMs: 0,
  compression: 'none',
  recordBytesMax: 1_048_576,
})

/** @throws TopicNameInvalidError */
export function checkTopicName(name: string): void {
  if (topicNameProblem(name) !== undefined) throw new TopicNameInvalidError(String(name))
}

/**
 * Fills in defaults and checks every setting.
 * @param base What holds where `config` says nothing: the defaults, or the topic's settings when it is altered.
 * @throws OptionsInvalidError naming all problems
 */
export function resolveTopicConfig(
  name: string,
  config: TopicConfig = {},
  base: Required<TopicConfig> = topicConfigDefaults,
): Required<TopicConfig> {
  const problems = topicConfigProblems(config, base)
  if (problems.length > 0) throw new OptionsInvalidError(`topic "${name}"`, problems)
  return { ...base, ...givenIn(config) }
}

/** What is wrong with settings of a topic, all at once. */
export function topicConfigProblems(
  config: TopicConfig,
  base: Required<TopicConfig> = topicConfigDefaults,
): OptionProblem[] {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    return [{ option: 'config', problem: 'is no object' }]
  }
  const given = givenIn(config)
  const resolved = { ...base, ...given }
  const problems: OptionProblem[] = []
  const refuse = (option: string, problem: string): number => problems.push({ option, problem })
  for (const option of Object.keys(given))
    if (!Object.hasOwn(topicConfigDefaults, option)) refuse(option, 'is no setting of a topic')
  integer('partitions', resolved.partitions, 1, partitionsMax, refuse)
  if (resolved.partitions < base.partitions && base !== topicConfigDefaults) {
    refuse('partitions', `would shrink from ${base.partitions} to ${resolved.partitions}; a topic can only grow`)
  }
  if (!['delete', 'compact', 'compact-and-delete'].includes(resolved.cleanup)) {
    refuse('cleanup', "is not 'delete', 'compact' or 'compact-and-delete'")
  }
  if (!['none', 'gzip', 'zstd'].includes(resolved.compression)) refuse('compression', "is not 'none', 'gzip' or 'zstd'")
  if (resolved.retentionMs !== null) integer('retentionMs', resolved.retentionMs, 1, Number.MAX_SAFE_INTEGER, refuse)
  if (resolved.retentionBytes !== null)
    integer('retentionBytes', resolved.retentionBytes, 1, Number.MAX_SAFE_INTEGER, refuse)
  integer('tombstoneRetentionMs', resolved.tombstoneRetentionMs, 0, Number.MAX_SAFE_INTEGER, refuse)
  integer('compactionLagMs', resolved.compactionLagMs, 0, Number.MAX_SAFE_INTEGER, refuse)
  integer('recordBytesMax', resolved.recordBytesMax, recordBytesMaxLeast, recordBytesMaxMost, refuse)
  return problems
}

function givenIn(config: TopicConfig): TopicConfig {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined))
}

function integer(
  option: string,
  value: unknown,
  min: number,
  max: number,
  refuse: (option: string, problem: string) => void,
): void {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return
  refuse(option, `is ${String(value)}, not a whole number from ${min} to ${max}`)
}
