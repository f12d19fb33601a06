/**
 * Turns concurrent commits into few groups, each written with one transaction and one sync: what the engines that keep
 * things in a database share, whatever that database is.
 * @module
 */
export type {
  AppendCommand,
  BatchCommand,
  CommitGroup,
  EventCommand,
  ProgressCommand,
  Refusal,
  StateCommand,
  TimerCommand,
  UnitCommand,
  UnitResult,
} from './commands.ts'
export { anyRevision } from './commands.ts'
export { CommitQueue, type GroupWriter } from './commit-queue.ts'
export { CompactionSchedule, compactionWaitMsMax } from './compaction-schedule.ts'
export { knownOptions } from './known-options.ts'
export type { PartitionPlace, PlaceCatalog, TopicPlace } from './places.ts'
export { ReadPace } from './read-pace.ts'
export { checkedRange, rangeConditions } from './state-range.ts'
export { StateWatchers, type WatchOptions } from './state-watchers.ts'
export {
  checkTopicName,
  resolveTopicConfig,
  topicConfigDefaults,
  topicConfigProblems,
} from './topic-config.ts'
export type { BatchDraft, UnitDraft } from './unit-draft.ts'
export { UnsyncedTail } from './unsynced-tail.ts'
export { isExpected } from './unsynced-tails.ts'
export {
  checkBatch,
  checkEngine,
  checkedTags,
  checkInteger,
  checkJoin,
  checkList,
  checkMessage,
  checkName,
  checkOptions,
  checkOwner,
  checkQuery,
  checkSignal,
  checkText,
} from './write-checks.ts'
