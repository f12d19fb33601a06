import { type Claim, OffsetSet, type Progress, type StateOwner, type Together } from '../engine/index.ts'
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
  /** Partition of the group's changelog that goes with it. */
  readonly place: number
  /** As the coordinator has it. */
  done: OffsetSet
  /** False once it was given back or taken away: no commit goes under it any more. */
  isHeld = true

  constructor(
    claim: Claim,
    partition: Partition,
    member: MemberIdentity,
    progress: Progress,
    together: Together | undefined,
  ) {
    this.claim = claim
    this.partition = partition
    this.member = member
    // Where all partitions stay together, keys may come from any of them.
    this.place = together === 'all' ? 0 : partition.number
    this.done = new OffsetSet(progress)
  }
}

/** The claims of all members of this process. */
export interface ClaimBook {
  /** `undefined`: nobody here holds it. */
  holding(claim: Claim): HeldClaim | undefined
}

/** Whether state of one claimed partition is meant, not that of a group. */
export function isClaim(owner: StateOwner): owner is Claim {
  return 'partition' in owner
}

/** Claims under which a commit is made: those of its progress, and those of its state. */
export function claimsOf({
  progress = [],
  state = [],
}: {
  readonly progress?: readonly { readonly claim: Claim }[]
  readonly state?: readonly { readonly owner?: StateOwner }[]
}): readonly Claim[] {
  const claims = new Map<string, Claim>()
  const add = (claim: Claim): unknown =>
    claims.set(`${claim.group}/${claim.topic}/${claim.partition}/${claim.epoch}`, claim)
  for (const { claim } of progress) add(claim)
  for (const { owner } of state) if (owner !== undefined && isClaim(owner)) add(owner)
  return [...claims.values()]
}
