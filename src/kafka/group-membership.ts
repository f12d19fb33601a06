import type { Claim, JoinOptions, Member } from '../engine/index.ts'
import type { Cluster } from './cluster.ts'
import type { GroupOffsets } from './group-offsets.ts'
import type { HeldClaim } from './held-claim.ts'
import type { TopicCatalog } from './topic-catalog.ts'

/** What a member of a group needs from the engine. */
export interface MembershipParts {
  readonly cluster: Cluster
  readonly catalog: TopicCatalog
  readonly offsets: GroupOffsets
  readonly options: JoinOptions
  readonly memberId: string
  readonly instanceId: string | null
  /** Resolves when every commit made so far is answered. */
  readonly settled: () => Promise<void>
  /** Something moved: other members of this process should look what there is for them. */
  readonly changed: () => void
  /** The member is out for good. */
  readonly gone: () => void
}

/** A member of a group, in one of the two protocols. */
export interface Membership extends Member {
  /** Resolves when the coordinator has taken the member in. */
  start(): Promise<void>
  holding(claim: Claim): HeldClaim | undefined
  /** Asks the coordinator soon whether there is something new. */
  nudge(): void
  /** Ends without asking anybody: the engine closes. Its claims are lost. */
  end(): void
}

/** Kafka's `session.timeout.ms`. */
export const sessionTimeoutMsDefault = 45_000
