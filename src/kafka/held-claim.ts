import { type Claim, OffsetSet, type Progress } from '../engine/index.ts'
import type { Partition } from './topic-catalog.ts'

/** A member as the group's coordinator knows it: what fences its commits. */
export interface MemberIdentity {
  readonly group: string
  readonly memberId: string
  readonly instanceId: string | null
  /** Generation or member epoch, as of now: it rises while the member keeps what it holds. */
  readonly epoch: number
  /** Resolves once the coordinator was asked for the epoch again, or the member is out. */
  epochChanged(): Promise<void>
}

/** A partition that a member of this process owns, and what is committed of it. */
export class HeldClaim {
  readonly claim: Claim
  readonly partition: Partition
  readonly member: MemberIdentity
  /** As the coordinator has it. */
  done: OffsetSet
  /** False once it was given back or taken away: no commit goes under it any more. */
  isHeld = true

  constructor(claim: Claim, partition: Partition, member: MemberIdentity, progress: Progress) {
    this.claim = claim
    this.partition = partition
    this.member = member
    this.done = new OffsetSet(progress)
  }
}

/** The claims of all members of this process. */
export interface ClaimBook {
  /** `undefined`: nobody here holds it. */
  holding(claim: Claim): HeldClaim | undefined
}
