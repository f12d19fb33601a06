/**
 * The engine port: what every engine keeps and how it commits.
 * @module
 */
export { type Capabilities, commitsStateWithTopics, type Kept } from './capabilities.ts'
export type { Engine, EngineEnvironment, EngineSource, InTransit } from './engine.ts'
export {
  ArgumentInvalidError,
  GroupActiveError,
  GroupUnknownError,
  OffsetOutOfRangeError,
  OutOfSequenceError,
  PartitionUnknownError,
  ProducerFencedError,
  ProducerUnknownError,
  StreamTruncatedError,
  StreamUnknownError,
  TopicExistsError,
  TopicNameInvalidError,
  TopicUnknownError,
} from './errors.ts'
export type {
  AddedTags,
  CaughtUp,
  Direction,
  EventQuery,
  EventQueryItem,
  EventStore,
  ExpectedVersion,
  ReadAllOptions,
  ReadStreamOptions,
  StoredEvent,
  StreamDescription,
} from './events.ts'
export type {
  Assignment,
  Claim,
  ConsumerGroups,
  GroupDescription,
  JoinOptions,
  LeaveOptions,
  Member,
  OffsetRange,
  PartitionLag,
  Progress,
  Together,
} from './groups.ts'
export { OffsetSet } from './offset-set.ts'
export { type SharedPartition, type SharingMember, sharePartitions } from './partition-shares.ts'
export type { StateChange, StateEntry, StateOwner, StateRange, StateStore } from './state.ts'
export type { Timer, Timers } from './timers.ts'
export {
  type CleanupPolicy,
  type MaintenanceReport,
  type PartitionDescription,
  type ReadRequest,
  type ReadResult,
  type StartPosition,
  type TopicCompression,
  type TopicConfig,
  type TopicDescription,
  type Topics,
  topicSettingText,
} from './topics.ts'
export type {
  Appended,
  AppendWrite,
  CommitOutcome,
  Conflict,
  NewEvent,
  ProducerSequence,
  ProgressWrite,
  PublishWrite,
  RawRecord,
  StateWrite,
  TimerWrite,
  TopicPosition,
  WriteBatch,
} from './write-batch.ts'
