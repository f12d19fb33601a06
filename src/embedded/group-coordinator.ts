import type { Assignment, Claim, JoinOptions, Member, Progress } from '../engine/index.ts'
import type { Timer } from '../kernel/index.ts'
import type { Partition } from './catalog.ts'
import type { EngineCore } from './engine-core.ts'

const sessionTimeoutMsDefault = 45_000

/** A member as its coordinator sees it. */
class GroupMember implements Member {
  readonly id: string
  readonly options: JoinOptions
  readonly owned: Map<Partition, Claim> = new Map()
  readonly sessionTimeoutMs: number
  lastSeenMs: number
  hasLeft = false
  readonly #coordinator: GroupCoordinator

  constructor(id: string, options: JoinOptions, coordinator: GroupCoordinator, nowMs: number) {
    this.id = id
    this.options = options
    this.sessionTimeoutMs = options.sessionTimeoutMs ?? sessionTimeoutMsDefault
    this.lastSeenMs = nowMs
    this.#coordinator = coordinator
  }

  get claims(): readonly Claim[] {
    return [...this.owned.values()]
  }

  heartbeat(): void {
    this.lastSeenMs = this.#coordinator.nowMs()
  }

  leave(): Promise<void> {
    return this.#coordinator.leave(this)
  }
}

/**
 * Shares the partitions of a group's topics between its members.
 *
 * A partition moves in three steps: its owner is asked to give it back and may still commit; when it has, or its session
 * is over, the claim's epoch ends, so that later commits under it are fenced; then the new owner gets it with the progress
 * that stands. As few partitions move as an even share allows.
 */
export class GroupCoordinator {
  readonly #group: string
  readonly #core: EngineCore
  readonly #startOf: (partition: Partition, from: 'earliest' | 'latest') => Promise<Progress>
  readonly #members: GroupMember[] = []
  readonly #epochs = new Map<Partition, number>()
  #memberSequence = 0
  /** Rebalances run one after the other. */
  #rebalancing: Promise<void> = Promise.resolve()
  #watch: Timer | undefined
  #closed = false

  constructor(
    group: string,
    core: EngineCore,
    startOf: (partition: Partition, from: 'earliest' | 'latest') => Promise<Progress>,
  ) {
    this.#group = group
    this.#core = core
    this.#startOf = startOf
  }

  get members(): readonly Member[] {
    return this.#members
  }

  get memberCount(): number {
    return this.#members.length
  }

  nowMs(): number {
    return this.#core.clock.monotonicMs()
  }

  async join(options: JoinOptions): Promise<Member> {
    const member = new GroupMember(`${this.#group}-${++this.#memberSequence}`, options, this, this.nowMs())
    this.#members.push(member)
    this.#watchSessions()
    await this.#rebalance()
    return member
  }

  async leave(member: GroupMember): Promise<void> {
    if (member.hasLeft) return this.#rebalancing
    member.hasLeft = true
    await this.#rebalance()
  }

  /** Shares anew if a member is interested in the topic. */
  async topicChanged(topic: string): Promise<void> {
    if (this.#members.some((member) => member.options.topics.includes(topic))) await this.#rebalance()
  }

  isCurrent(claim: Claim): boolean {
    const partition = this.#core.catalog.find(claim.topic)?.partitions[claim.partition]
    if (partition === undefined || this.#epochs.get(partition) !== claim.epoch) return false
    return this.#members.some((member) => member.owned.get(partition)?.epoch === claim.epoch)
  }

  close(): void {
    this.#closed = true
    this.#watch?.cancel()
    for (const member of this.#members.splice(0)) this.#dismiss(member)
  }

  #rebalance(): Promise<void> {
    this.#rebalancing = this.#rebalancing.then(() => this.#rebalanceNow())
    return this.#rebalancing
  }

  async #rebalanceNow(): Promise<void> {
    if (this.#closed) return
    const target = this.#target()
    await Promise.all(
      this.#members.map(async (member) => {
        const surplus = [...member.owned.keys()].filter((partition) => target.get(partition) !== member)
        if (surplus.length > 0) await this.#revoke(member, surplus)
      }),
    )
    for (const member of this.#members.filter((one) => one.hasLeft))
      this.#members.splice(this.#members.indexOf(member), 1)
    if (this.#members.length === 0) this.#watch?.cancel()
    for (const member of [...this.#members]) {
      const gained = [...target].filter(([partition, owner]) => owner === member && !member.owned.has(partition))
      if (gained.length > 0)
        await this.#assign(
          member,
          gained.map(([partition]) => partition),
        )
    }
  }

  async #assign(member: GroupMember, partitions: readonly Partition[]): Promise<void> {
    const assignments: Assignment[] = []
    for (const partition of partitions) {
      const progress = await this.#startOf(partition, member.options.from ?? 'earliest')
      if (this.#closed || !this.#members.includes(member)) return
      const epoch = (this.#epochs.get(partition) ?? 0) + 1
      this.#epochs.set(partition, epoch)
      const claim: Claim = { group: this.#group, topic: partition.topic, partition: partition.number, epoch }
      member.owned.set(partition, claim)
      assignments.push({ claim, progress })
    }
    member.options.onAssigned(assignments)
  }

  /** Asks for partitions back; a member that does not answer within its session time-out loses them. */
  async #revoke(member: GroupMember, partitions: readonly Partition[]): Promise<void> {
    const claims = partitions.flatMap((partition) => member.owned.get(partition) ?? [])
    let timer: Timer | undefined
    const timedOut = new Promise<'late'>((resolve) => {
      timer = this.#core.clock.setTimer(() => resolve('late'), member.sessionTimeoutMs, { unref: true })
    })
    const given = member.options.onRevoked(claims).then(
      () => 'given' as const,
      () => 'late' as const,
    )
    const outcome = await Promise.race([given, timedOut])
    timer?.cancel()
    for (const partition of partitions) member.owned.delete(partition)
    if (outcome === 'late') member.options.onLost(claims)
  }

  /** Who shall own which partition: those that stay keep theirs, the rest goes to whoever has least. */
  #target(): Map<Partition, GroupMember> {
    const staying = this.#members.filter((member) => !member.hasLeft)
    const target = new Map<Partition, GroupMember>()
    const topics = [...new Set(staying.flatMap((member) => member.options.topics))].sort()
    for (const topic of topics) {
      const interested = staying.filter((member) => member.options.topics.includes(topic))
      const partitions = this.#core.catalog.find(topic)?.partitions ?? []
      const shares = new Map(interested.map((member) => [member, 0]))
      const least = Math.floor(partitions.length / interested.length)
      let extras = partitions.length % interested.length
      const open: Partition[] = []
      for (const partition of partitions) {
        const owner = interested.find((member) => member.owned.has(partition))
        const share = owner === undefined ? Number.POSITIVE_INFINITY : (shares.get(owner) ?? 0)
        const fits = share < least || (share === least && extras > 0)
        if (owner === undefined || !fits) {
          open.push(partition)
          continue
        }
        if (share === least) extras--
        shares.set(owner, share + 1)
        target.set(partition, owner)
      }
      for (const partition of open) {
        const owner = interested.reduce((a, b) => ((shares.get(b) ?? 0) < (shares.get(a) ?? 0) ? b : a))
        shares.set(owner, (shares.get(owner) ?? 0) + 1)
        target.set(partition, owner)
      }
    }
    return target
  }

  /** Looks regularly for members that no longer say that they are alive. */
  #watchSessions(): void {
    this.#watch?.cancel()
    const shortestMs = Math.min(...this.#members.map((member) => member.sessionTimeoutMs))
    this.#watch = this.#core.clock.setTimer(() => this.#expireSessions(), Math.max(10, shortestMs / 3), { unref: true })
  }

  #expireSessions(): void {
    if (this.#closed || this.#members.length === 0) return
    const nowMs = this.nowMs()
    const silent = this.#members.filter((member) => nowMs - member.lastSeenMs > member.sessionTimeoutMs)
    for (const member of silent) {
      this.#members.splice(this.#members.indexOf(member), 1)
      member.hasLeft = true
      this.#dismiss(member)
    }
    if (silent.length > 0) void this.#rebalance()
    if (this.#members.length > 0) this.#watchSessions()
  }

  #dismiss(member: GroupMember): void {
    const claims = member.claims
    member.owned.clear()
    if (claims.length > 0) member.options.onLost(claims)
  }
}
