import type { Assignment, Claim, JoinOptions } from '../engine/index.ts'
import type { GroupOffsets } from './group-offsets.ts'
import { HeldClaim, type MemberIdentity } from './held-claim.ts'
import type { Partition } from './topic-catalog.ts'

/**
 * What one member holds, and what its owner is told of it. A partition moves in three steps: the owner is asked to give it
 * back and may still commit; then its claim ends; and only when every commit that was sent before is answered, the
 * coordinator is told, which gives the partition to somebody else.
 */
export class ClaimHolder {
  readonly #options: JoinOptions
  readonly #member: MemberIdentity
  readonly #offsets: GroupOffsets
  /** Resolves when every commit made so far is answered. */
  readonly #settled: () => Promise<void>
  readonly #held = new Map<Partition, HeldClaim>()
  /** Given back, while commits under way may still be of them. */
  readonly #parting = new Set<Partition>()

  constructor(options: JoinOptions, member: MemberIdentity, offsets: GroupOffsets, settled: () => Promise<void>) {
    this.#options = options
    this.#member = member
    this.#offsets = offsets
    this.#settled = settled
  }

  get claims(): readonly Claim[] {
    return [...this.#held.values()].map(({ claim }) => claim)
  }

  get partitions(): readonly Partition[] {
    return [...this.#held.keys()]
  }

  /** What the coordinator must not give to anybody else yet. */
  get occupied(): ReadonlySet<Partition> {
    return new Set([...this.#held.keys(), ...this.#parting])
  }

  holding({ topic, partition, epoch }: Claim): HeldClaim | undefined {
    for (const held of this.#held.values()) {
      const { claim } = held
      if (claim.topic === topic && claim.partition === partition && claim.epoch === epoch) return held
    }
    return undefined
  }

  /** Gives partitions back. When its owner does not do so in time, they are taken. */
  async revoke(partitions: readonly Partition[], isLate: Promise<unknown>): Promise<void> {
    const leaving = partitions.flatMap((partition) => this.#held.get(partition) ?? [])
    if (leaving.length === 0) return
    const claims = leaving.map(({ claim }) => claim)
    const given = Promise.resolve()
      .then(() => this.#options.onRevoked(claims))
      .then(
        () => 'given' as const,
        () => 'late' as const,
      )
    const outcome = await Promise.race([given, isLate.then(() => 'late' as const)])
    for (const { partition } of leaving) this.#parting.add(partition)
    const ended = leaving.filter((held) => this.#end(held))
    if (outcome === 'late' && ended.length > 0) {
      tell(() => this.#options.onLost(ended.map(({ claim }) => claim)))
    }
    await this.#settled()
    for (const { partition } of leaving) this.#parting.delete(partition)
  }

  /** Takes partitions on from where the group stands on them. */
  async assign(partitions: readonly Partition[], isStillWanted: () => boolean): Promise<void> {
    const gained = partitions.filter((partition) => !this.#held.has(partition))
    if (gained.length === 0) return
    const starts = await this.#offsets.starts(this.#member, gained, this.#options.from ?? 'earliest', isStillWanted)
    if (starts === undefined || !isStillWanted()) return
    const { group } = this.#member
    const assignments = gained.map((partition, i): Assignment => {
      const progress = starts[i] as Assignment['progress']
      const claim: Claim = { group, topic: partition.topic, partition: partition.number, epoch: this.#member.epoch }
      this.#held.set(partition, new HeldClaim(claim, partition, this.#member, progress, this.#options.together))
      return { claim, progress }
    })
    tell(() => this.#options.onAssigned(assignments))
  }

  /** The coordinator has given them to others: what was not committed until now is not. */
  lose(): void {
    this.#lose([...this.#held.values()])
  }

  /** Lets go of partitions of topics that were deleted. False: there were none. */
  loseGone(): boolean {
    return this.#lose([...this.#held.values()].filter(({ partition }) => partition.isGone))
  }

  #lose(leaving: readonly HeldClaim[]): boolean {
    const lost = leaving.filter((held) => this.#end(held))
    if (lost.length > 0) tell(() => this.#options.onLost(lost.map(({ claim }) => claim)))
    return lost.length > 0
  }

  #end(held: HeldClaim): boolean {
    held.isHeld = false
    if (this.#held.get(held.partition) !== held) return false
    return this.#held.delete(held.partition)
  }
}

/** A listener that throws must not keep others from their partitions: its error goes where uncaught ones go. */
function tell(listener: () => void): void {
  try {
    listener()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
