import type { StartPosition } from './topics.ts'

/** Offsets from `from` up to, not including, `to`. */
export interface OffsetRange {
  readonly from: number
  readonly to: number
}

/** How far a group is on one partition: everything before `next` is done, and `done` ranges after it. */
export interface Progress {
  readonly next: number
  readonly done: readonly OffsetRange[]
}

/** The right of one member to process one partition, until it is revoked. */
export interface Claim {
  readonly group: string
  readonly topic: string
  readonly partition: number
  /** Rises with each new owner; a commit under an older epoch is fenced. */
  readonly epoch: number
}

/** A claim together with where to go on. */
export interface Assignment {
  readonly claim: Claim
  readonly progress: Progress
}

/**
 * Which partitions of a group go to one member.
 *
 * - `'numbers'`: those of the same number of all topics, so that a partition key of several topics has one owner; all of
 *   them, while the topics differ in their number of partitions.
 * - `'all'`: all of them, so that whatever else the group goes by has one owner. Other members stand by.
 */
export type Together = 'numbers' | 'all'

/** What a member wants and how it is told. */
export interface JoinOptions {
  readonly group: string
  readonly topics: readonly string[]
  /** Where a group starts on a partition without progress. Default `'earliest'`. */
  readonly from?: 'earliest' | 'latest'
  /**
   * A member that does not call `heartbeat()` for this long loses its claims, in milliseconds. Default 45,000
   * (Kafka's session.timeout.ms).
   */
  readonly sessionTimeoutMs?: number
  /**
   * Which partitions go to one member. It is for the whole group: while not all members ask for the same, as when a program
   * is rolled out, the engine follows those who ask for it, or those who do not. Default: each goes its own way.
   */
  readonly together?: Together | undefined
  /** New claims of this member. */
  onAssigned(assignments: readonly Assignment[]): void
  /** Claims to give back: finish or drop what is in flight, then resolve; only then another member gets them. */
  onRevoked(claims: readonly Claim[]): Promise<void>
  /** Claims already taken away (session time-out): commits under them are fenced. */
  onLost(claims: readonly Claim[]): void
  /** The member cannot go on, for a reason that does not pass by itself: what it had is lost, and it gets nothing more. */
  onFailed?(error: unknown): void
}

/** One member of a consumer group. */
export interface Member {
  readonly id: string
  readonly claims: readonly Claim[]
  /** Says that the member is alive. One that was put out for its silence may be let in again by it, with new claims. */
  heartbeat(): void
  /** Gives all claims back and leaves; idempotent. */
  leave(options?: LeaveOptions): Promise<void>
}

/** How a member leaves. */
export interface LeaveOptions {
  /**
   * Its process ends and will be back: an engine that gives members names of their own keeps its share for it for the length of its
   * session. Default `false`: others take it over at once.
   */
  readonly isReturning?: boolean
}

/** Lag of a group on one partition. */
export interface PartitionLag {
  readonly topic: string
  readonly partition: number
  readonly next: number
  readonly latest: number
  /** Records not yet done, those done out of order not counted. */
  readonly lagMessages: number
  /** Age of the oldest record not yet done, in seconds; 0 when nothing waits. */
  readonly lagSeconds: number
}

/** A group as it stands. */
export interface GroupDescription {
  readonly group: string
  readonly members: readonly { readonly id: string; readonly claims: readonly Claim[] }[]
  readonly lag: readonly PartitionLag[]
}

/** Consumer groups: members share the partitions of topics, each partition has one owner at a time. */
export interface ConsumerGroups {
  join(options: JoinOptions): Promise<Member>
  list(): Promise<readonly string[]>
  describe(group: string): Promise<GroupDescription | undefined>
  /**
   * Moves the group's progress. Refused while the group has members.
   * @throws GroupActiveError, GroupUnknownError, TopicUnknownError
   */
  reset(group: string, topic: string, to: StartPosition, partition?: number): Promise<void>
  /** Forgets the group's progress. @throws GroupActiveError */
  delete(group: string): Promise<void>
}
