import { sharePartitions, type Together } from '../engine/index.ts'

/** A member as the server has it. */
export interface MemberRow {
  readonly id: string
  /** Empty: it is about to leave and gives everything back. */
  readonly topics: readonly string[]
  readonly together?: Together | undefined
  /** It has not said that it lives for longer than it promised. */
  readonly isExpired: boolean
}

/** A claim as the server has it. */
export interface ClaimRow {
  readonly partitionId: number
  /** Rises with each new owner. */
  readonly epoch: number
  /** `null`: nobody owns the partition. */
  readonly memberId: string | null
  /** The owner was asked to give it back; until it has, it may still commit. */
  readonly isRevoking: boolean
}

/** A partition of a topic that a member of the group wants. */
export interface WantedPartition {
  readonly id: number
  readonly topic: string
  readonly number: number
}

/** A group at one moment. */
export interface GroupState {
  /**
   * Epoch of the claims that are given next. It rises with every change of the group, so no two claims of it ever have the
   * same one, not even on a topic that was deleted and made anew.
   */
  readonly nextEpoch: number
  /** In the order in which they joined. */
  readonly members: readonly MemberRow[]
  readonly claims: readonly ClaimRow[]
  readonly partitions: readonly WantedPartition[]
}

/** What one process wants to change beside what follows from the state. */
export interface GroupWishes {
  /** Claims that their owners gave back. */
  readonly released?: readonly Pick<ClaimRow, 'partitionId' | 'epoch'>[]
  /** Members that leave now; what they still have is free at once. */
  readonly leaving?: readonly string[]
}

/** What is to be written; nothing, if both lists are empty. */
export interface GroupChanges {
  readonly gone: readonly string[]
  /** Claims as they shall be. */
  readonly claims: readonly ClaimRow[]
}

/**
 * The next step of a group, the same for whoever works it out:
 *
 * 1. Members whose session is over, and those that leave, go; their claims end, and so do those that were given back.
 * 2. Partitions are shared anew. What a member has and shall not keep, it is asked to give back.
 * 3. What nobody has gets its new owner, with a new epoch. What somebody was asked for has to be given back first.
 *
 * Applied to its own outcome it changes nothing.
 */
export function planGroup(state: GroupState, wishes: GroupWishes = {}): GroupChanges {
  const leaving = new Set(wishes.leaving)
  const gone = state.members.filter(({ id, isExpired }) => isExpired || leaving.has(id)).map(({ id }) => id)
  const staying = state.members.filter(({ id }) => !gone.includes(id))
  const stayingIds = new Set(staying.map(({ id }) => id))
  const released = new Map((wishes.released ?? []).map(({ partitionId, epoch }) => [partitionId, epoch]))
  const claims = new Map(
    state.claims.map((claim) => {
      const { partitionId, epoch, memberId } = claim
      const isOver = memberId !== null && (!stayingIds.has(memberId) || released.get(partitionId) === epoch)
      return [partitionId, isOver ? { ...claim, memberId: null, isRevoking: false } : claim]
    }),
  )
  const owners = sharePartitions(
    staying,
    state.partitions.map(({ id, topic, number }) => {
      const claim = claims.get(id)
      const isKept = claim?.memberId != null && !claim.isRevoking
      return { topic, partition: number, owner: isKept ? claim.memberId : undefined }
    }),
  )
  const target = new Map(state.partitions.map(({ id }, i) => [id, owners[i]]))
  for (const claim of claims.values()) {
    const { partitionId, memberId, isRevoking } = claim
    if (memberId !== null && !isRevoking && target.get(partitionId) !== memberId) {
      claims.set(partitionId, { ...claim, isRevoking: true })
    }
  }
  for (const [partitionId, owner] of target) {
    const claim = claims.get(partitionId)
    if (owner === undefined || claim?.memberId != null) continue
    claims.set(partitionId, { partitionId, epoch: state.nextEpoch, memberId: owner, isRevoking: false })
  }
  const before = new Map(state.claims.map((claim) => [claim.partitionId, claim]))
  const changed = [...claims.values()].filter((claim) => before.get(claim.partitionId) !== claim)
  return { gone, claims: changed.sort((a, b) => a.partitionId - b.partitionId) }
}

/** The state after the changes. */
export function stateAfter(state: GroupState, { gone, claims }: GroupChanges): GroupState {
  const merged = new Map([...state.claims, ...claims].map((claim) => [claim.partitionId, claim]))
  const hasChanges = gone.length > 0 || claims.length > 0
  return {
    nextEpoch: state.nextEpoch + (hasChanges ? 1 : 0),
    members: state.members.filter(({ id }) => !gone.includes(id)),
    claims: [...merged.values()],
    partitions: state.partitions,
  }
}
