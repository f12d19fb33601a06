import {
  type Assignment,
  type Claim,
  type JoinOptions,
  type Member,
  type Progress,
  sharePartitions,
} from '../engine/index.ts'
import { ClosedError, type Timer } from '../kernel/index.ts'
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
  /** It said nothing for a session, and the group goes on without it until it does. */
  isOut = false
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
    if (this.isOut) this.#coordinator.letIn(this)
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
  /** One counter for all partitions: no claim of this group ever has the epoch of another one. */
  #nextEpoch: number
  #memberSequence = 0
  /** Rebalances run one after the other; it never rejects. */
  #rebalancing: Promise<void> = Promise.resolve()
  /** The last rebalance was cut short, by a full disk for instance: it is tried again. */
  #isUnbalanced = false
  #watch: Timer | undefined
  #closed = false
  readonly #end = Promise.withResolvers<'ended'>()

  constructor(
    group: string,
    core: EngineCore,
    firstEpoch: number,
    startOf: (partition: Partition, from: 'earliest' | 'latest') => Promise<Progress>,
  ) {
    this.#group = group
    this.#core = core
    this.#nextEpoch = firstEpoch
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
    try {
      await this.#rebalance()
      if (this.#closed) throw new ClosedError('The engine')
    } catch (error) {
      // Nobody holds this member, so nobody would make it leave.
      this.#expel(member)
      this.#rebalance().catch(() => undefined)
      throw error
    }
    // Until now nobody held the member, so nobody could speak for it.
    member.heartbeat()
    return member
  }

  async leave(member: GroupMember): Promise<void> {
    if (member.hasLeft) return this.#rebalancing
    member.hasLeft = true
    if (member.isOut) return
    // Its own claims are given back first; if what follows is cut short, that is for those who stay.
    await this.#rebalance().catch(() => undefined)
  }

  /** Lets in again a member that was put out and lives after all. */
  letIn(member: GroupMember): void {
    if (this.#closed || member.hasLeft) return
    member.isOut = false
    this.#members.push(member)
    this.#watchSessions()
    this.#rebalance().catch(() => undefined)
  }

  /** Shares anew if a member is interested in the topic. */
  async topicChanged(topic: string): Promise<void> {
    if (this.#members.some((member) => member.options.topics.includes(topic))) await this.#rebalance()
  }

  /** Ends the claim on a partition, if there is one, and gives out a new one. */
  takeBack(partition: Partition): void {
    for (const member of this.#members) {
      const claim = member.owned.get(partition)
      if (claim === undefined) continue
      member.owned.delete(partition)
      tell(() => member.options.onLost([claim]))
      // Nobody waits for it: what cuts it short is met again when sessions are looked at.
      this.#rebalance().catch(() => undefined)
    }
  }

  isCurrent(claim: Claim): boolean {
    const partition = this.#core.catalog.find(claim.topic)?.partitions[claim.partition]
    if (partition === undefined) return false
    return this.#members.some((member) => member.owned.get(partition)?.epoch === claim.epoch)
  }

  close(): void {
    this.#closed = true
    this.#watch?.cancel()
    this.#end.resolve('ended')
    for (const member of [...this.#members]) this.#expel(member)
  }

  /** Rejects when this rebalance was cut short; those after it run all the same. */
  #rebalance(): Promise<void> {
    const done = this.#rebalancing.then(() => this.#rebalanceNow())
    this.#rebalancing = done.then(
      () => {
        this.#isUnbalanced = false
      },
      () => {
        this.#isUnbalanced = true
      },
    )
    return done
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
    // Who left while others were asked still has its claims: the next rebalance, which leaving asked for, takes them.
    for (const member of this.#members.filter((one) => one.hasLeft && one.owned.size === 0)) this.#expel(member)
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
    try {
      for (const partition of partitions) {
        const progress = await this.#startOf(partition, member.options.from ?? 'earliest')
        if (this.#closed || member.hasLeft || member.isOut) break
        // Deleted in the meantime; the rebalance that this asked for comes next.
        if (this.#core.catalog.partitionById(partition.id) !== partition) continue
        const claim: Claim = {
          group: this.#group,
          topic: partition.topic,
          partition: partition.number,
          epoch: this.#nextEpoch++,
        }
        member.owned.set(partition, claim)
        assignments.push({ claim, progress })
      }
    } finally {
      // A member is told of every claim that it holds, also when the next one could not be given.
      if (assignments.length > 0) tell(() => member.options.onAssigned(assignments))
    }
  }

  /** Asks for partitions back; a member that does not answer within its session time-out loses them. */
  async #revoke(member: GroupMember, partitions: readonly Partition[]): Promise<void> {
    const claims = partitions.flatMap((partition) => member.owned.get(partition) ?? [])
    const timedOut = Promise.withResolvers<'late'>()
    const timer = this.#core.clock.setTimer(() => timedOut.resolve('late'), member.sessionTimeoutMs, { unref: true })
    const outcome = await Promise.race([given(member.options, claims), timedOut.promise, this.#end.promise])
    timer.cancel()
    // Whose session ended in the meantime was told then.
    const taken = partitions.filter((partition) => member.owned.delete(partition))
    if (outcome === 'late' && taken.length > 0) {
      tell(() =>
        member.options.onLost(
          claims.filter(({ partition, topic }) => taken.some((one) => one.number === partition && one.topic === topic)),
        ),
      )
    }
  }

  /** Who shall own which partition. */
  #target(): Map<Partition, GroupMember> {
    const staying = this.#members.filter((member) => !member.hasLeft)
    const topics = [...new Set(staying.flatMap((member) => member.options.topics))].sort()
    const partitions = topics.flatMap((topic) => this.#core.catalog.find(topic)?.partitions ?? [])
    const owners = sharePartitions(
      staying.map(({ id, options }) => ({ id, topics: options.topics, together: options.together })),
      partitions.map((partition) => {
        const owner = staying.find((member) => member.owned.has(partition))?.id
        return { topic: partition.topic, partition: partition.number, owner }
      }),
    )
    const byId = new Map(staying.map((member) => [member.id, member]))
    return new Map(
      partitions.flatMap((partition, i) => {
        const owner = byId.get(owners[i] ?? '')
        return owner === undefined ? [] : [[partition, owner] as const]
      }),
    )
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
      member.isOut = true
      this.#remove(member)
    }
    // Nobody waits for this rebalance: what cuts it short is met again by the next one.
    if (silent.length > 0 || this.#isUnbalanced) this.#rebalance().catch(() => undefined)
    if (this.#members.length > 0) this.#watchSessions()
  }

  #expel(member: GroupMember): void {
    member.hasLeft = true
    this.#remove(member)
  }

  #remove(member: GroupMember): void {
    const index = this.#members.indexOf(member)
    if (index >= 0) this.#members.splice(index, 1)
    const claims = member.claims
    member.owned.clear()
    if (claims.length > 0) tell(() => member.options.onLost(claims))
  }
}

async function given(options: JoinOptions, claims: readonly Claim[]): Promise<'given' | 'late'> {
  try {
    await options.onRevoked(claims)
    return 'given'
  } catch {
    return 'late'
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
