import type { Assignment, Claim, JoinOptions, Member } from '../engine/index.ts'
import { ClosedError } from '../kernel/index.ts'
import { GroupMember, sessionTimeoutOf } from './group-member.ts'
import { type ClaimRow, type GroupState, planGroup, stateAfter, type WantedPartition } from './group-plan.ts'
import type { GroupLook, GroupStore } from './group-store.ts'
import type { TopicGround } from './topic-ground.ts'

/** From then on a member that leaves, and takes its time, is given nothing more, in milliseconds. */
const slowLeaveMs = 20

/**
 * The members of one group that live in this process, and what they know of the group on the server.
 *
 * Every process works out the next step of the group for itself and writes it if nobody was faster; then it tells its own
 * members what concerns them. A partition moves in three steps: its owner is asked to give it back and may still commit; when
 * it has, or its session is over, the claim ends on the server, so that commits under it are fenced; then the new owner gets
 * it, with the progress that stands.
 */
export class GroupSession {
  readonly #group: string
  readonly #ground: TopicGround
  readonly #store: GroupStore
  readonly #members = new Map<string, GroupMember>()
  /** Given back by their owners, and not yet on the server. By partition id. */
  readonly #released = new Map<number, Pick<ClaimRow, 'partitionId' | 'epoch'>>()
  /** Members that are to go. */
  readonly #leaving = new Set<string>()
  readonly #joining = new Set<Promise<unknown>>()
  readonly #end = Promise.withResolvers<'ended'>()
  #generation = -1
  #catalogVersion = -1
  /** The last synchronisation was cut short: it is tried again. */
  #isBehind = false
  #isClosed = false
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(group: string, ground: TopicGround, store: GroupStore) {
    this.#group = group
    this.#ground = ground
    this.#store = store
  }

  get members(): readonly GroupMember[] {
    return [...this.#members.values()]
  }

  /** Somebody is here or about to be, or something is to be told to the server: it must not be forgotten. */
  get isActive(): boolean {
    return this.#members.size + this.#joining.size + this.#leaving.size + this.#released.size > 0
  }

  join(options: JoinOptions): Promise<Member> {
    const joining = this.#join(options)
    const settled = joining.catch(() => undefined).finally(() => this.#joining.delete(settled))
    this.#joining.add(settled)
    return joining
  }

  /** Members whose session goes on without the server knowing; those that fell silent are put out. */
  takeBeats(): readonly { readonly id: string; readonly remainingMs: number }[] {
    const beats: { id: string; remainingMs: number }[] = []
    for (const member of this.#members.values()) {
      const { id, remainingMs } = member
      if (member.isOut) continue
      if (remainingMs <= 0) this.#leaving.add(id)
      else if (member.takeBeat()) beats.push({ id, remainingMs })
    }
    return beats
  }

  /** Lets those in again that were put out and live after all. */
  async #readmit(): Promise<void> {
    for (const member of this.members.filter(({ isBack }) => isBack)) {
      await this.#enter(member.id, member.options)
      member.letIn()
      // Who leaves meanwhile was told to the server too early.
      if (member.leaving !== undefined || this.#isClosed) this.#leaving.add(member.id)
      this.#isBehind = true
    }
  }

  /** Synchronises if a look shows that something has changed, or something here is to be told. */
  async follow(look: GroupLook | undefined): Promise<void> {
    await this.#readmit()
    const isNews =
      look !== undefined &&
      (look.generation !== this.#generation || look.catalogVersion !== this.#catalogVersion || look.hasExpired)
    if (isNews || this.#isBehind || this.#leaving.size > 0 || this.#released.size > 0) await this.sync()
  }

  /** Brings server and members together, as they are after this call. Calls that come while one runs share the next one. */
  sync(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#sync().finally(() => {
        this.#running = undefined
      })
      return this.#running
    }
    this.#next ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined
        return this.sync()
      })
    return this.#next
  }

  /** Puts all members out and takes no more. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#end.resolve('ended')
    for (const member of this.#members.values()) this.#lose(member)
    await Promise.all(this.#joining)
    if (this.#leaving.size > 0) await this.sync().catch(() => undefined)
  }

  async #join(options: JoinOptions): Promise<Member> {
    const id = await this.#store.newMemberId()
    try {
      await this.#enter(id, options)
      if (this.#isClosed) throw new ClosedError('The engine')
      const member = new GroupMember(id, options, this.#ground.clock, (one) => this.#leave(one))
      this.#members.set(id, member)
      await this.sync()
      if (this.#isClosed) throw new ClosedError('The engine')
      // Until now nobody held the member, so nobody could speak for it.
      member.heartbeat()
      return member
    } catch (error) {
      // Nobody holds this member, so nobody would make it leave.
      const member = this.#members.get(id)
      if (member !== undefined) this.#lose(member)
      this.#members.delete(id)
      this.#leaving.add(id)
      if (!this.#isClosed) this.sync().catch(() => undefined)
      throw error
    }
  }

  async #enter(id: string, options: JoinOptions): Promise<void> {
    const { topics, from = 'earliest', together } = options
    const sessionTimeoutMs = sessionTimeoutOf(options)
    const { instanceId } = this.#ground
    const wishes = { topics: [...topics], from, sessionTimeoutMs, together }
    await this.#store.join({ id, group: this.#group, instanceId, ...wishes })
    this.#ground.announce()
  }

  async #leave(member: GroupMember): Promise<void> {
    const { id } = member
    if (!this.#members.has(id)) return
    const slow = this.#ground.clock.setTimer(() => {
      this.#store.wantNothing(this.#group, id).catch(() => undefined)
    }, slowLeaveMs)
    try {
      this.#ask(member, [...member.owned.keys()])
      // What it was asked for before belongs to it.
      await Promise.all(member.answers)
    } finally {
      slow.cancel()
    }
    if (!this.#members.has(id)) return
    this.#leaving.add(id)
    // If the server cannot be told, the end of the session tells it.
    await this.sync().catch(() => undefined)
  }

  async #sync(): Promise<void> {
    this.#isBehind = true
    for (;;) {
      const read = await this.#store.read(this.#group)
      if (read === undefined) break
      const released = [...this.#released.values()]
      const leaving = [...this.#leaving]
      const changes = planGroup(read.state, { released, leaving })
      const hasChanges = changes.gone.length > 0 || changes.claims.length > 0
      if (hasChanges && !(await this.#store.apply(this.#group, read.generation, changes))) continue
      if (hasChanges) this.#ground.announce()
      for (const claim of released)
        if (this.#released.get(claim.partitionId) === claim) this.#released.delete(claim.partitionId)
      for (const id of leaving) this.#leaving.delete(id)
      await this.#deliver(stateAfter(read.state, changes), read.state.partitions)
      this.#generation = read.generation + (hasChanges ? 1 : 0)
      this.#catalogVersion = read.catalogVersion
      break
    }
    this.#isBehind = false
  }

  /** Tells the members here what concerns them. */
  async #deliver(state: GroupState, partitions: readonly WantedPartition[]): Promise<void> {
    const present = new Set(state.members.map(({ id }) => id))
    const claims = new Map(state.claims.map((claim) => [claim.partitionId, claim]))
    const places = new Map(partitions.map((partition) => [partition.id, partition]))
    for (const member of this.members) {
      if (!present.has(member.id)) {
        this.#lose(member)
        continue
      }
      member.letIn()
      const over = [...member.owned].filter(([id, { epoch }]) => !isHeld(claims.get(id), member.id, epoch))
      this.#takeAway(
        member,
        over.map(([id]) => id),
      )
      const asked = [...member.owned.keys()].filter((id) => claims.get(id)?.isRevoking && !member.revoking.has(id))
      if (asked.length > 0) this.#ask(member, asked)
      const gained = state.claims.filter(({ partitionId, memberId }) => {
        return memberId === member.id && !member.owned.has(partitionId) && !this.#released.has(partitionId)
      })
      const wanted = gained.filter((claim) => !claim.isRevoking && member.leaving === undefined)
      // What it was not told of yet it does not have to be asked for.
      for (const claim of gained) if (!wanted.includes(claim)) this.#release(claim)
      if (wanted.length > 0) await this.#assign(member, wanted, places)
    }
  }

  async #assign(
    member: GroupMember,
    claims: readonly ClaimRow[],
    places: ReadonlyMap<number, WantedPartition>,
  ): Promise<void> {
    const ids = claims.map(({ partitionId }) => partitionId)
    const starts = await this.#store.startOf(this.#group, ids, member.options.from ?? 'earliest')
    const assignments: Assignment[] = []
    for (const row of claims) {
      const { partitionId, epoch } = row
      const place = places.get(partitionId)
      const progress = starts.get(partitionId)
      if (this.#isClosed || !this.#members.has(member.id)) break
      // Deleted in the meantime, or the member leaves: the next step of the group takes it back.
      if (place === undefined || progress === undefined || member.leaving !== undefined) {
        this.#release(row)
        continue
      }
      const claim: Claim = { group: this.#group, topic: place.topic, partition: place.number, epoch }
      member.owned.set(partitionId, claim)
      assignments.push({ claim, progress })
    }
    if (assignments.length > 0) tell(() => member.options.onAssigned(assignments))
  }

  #ask(member: GroupMember, partitionIds: readonly number[]): void {
    const answer = this.#given(member, partitionIds).finally(() => member.answers.delete(answer))
    member.answers.add(answer)
  }

  /** Asks for partitions back; a member that does not answer within its session time-out loses them. Never rejects. */
  async #given(member: GroupMember, partitionIds: readonly number[]): Promise<void> {
    const ids = partitionIds.filter((id) => member.owned.has(id) && !member.revoking.has(id))
    if (ids.length === 0) return
    const claims = ids.map((id) => member.owned.get(id) as Claim)
    for (const id of ids) member.revoking.add(id)
    const timedOut = Promise.withResolvers<'late'>()
    const { clock } = this.#ground
    const timer = clock.setTimer(() => timedOut.resolve('late'), member.sessionTimeoutMs, { unref: true })
    const outcome = await Promise.race([answerOf(member.options, claims), timedOut.promise, this.#end.promise])
    timer.cancel()
    // What was taken away in the meantime was told then.
    const taken = ids.filter((id, i) => member.owned.get(id) === claims[i])
    for (const id of taken) {
      const { epoch } = member.owned.get(id) as Claim
      member.owned.delete(id)
      member.revoking.delete(id)
      this.#released.set(id, { partitionId: id, epoch })
    }
    if (taken.length === 0) return
    // Before anything is given out anew: it may come back to the same member.
    const lost = claims.filter((_, i) => taken.includes(ids[i] as number))
    if (outcome === 'late') tell(() => member.options.onLost(lost))
    // Who leaves gives everything back in one go.
    if (member.leaving === undefined || outcome === 'late') await this.sync().catch(() => undefined)
  }

  /** A claim that nobody here was told of goes back, with the next look at the latest. */
  #release({ partitionId, epoch }: ClaimRow): void {
    this.#released.set(partitionId, { partitionId, epoch })
    this.sync().catch(() => undefined)
  }

  /** The group goes on without the member. It stays here, to be let in again when it says that it lives. */
  #lose(member: GroupMember): void {
    member.putOut()
    if (member.leaving !== undefined || this.#isClosed) this.#members.delete(member.id)
    this.#takeAway(member, [...member.owned.keys()])
    if (this.#isClosed) this.#leaving.add(member.id)
  }

  #takeAway(member: GroupMember, partitionIds: readonly number[]): void {
    const lost = partitionIds.flatMap((id) => member.owned.get(id) ?? [])
    for (const id of partitionIds) {
      member.owned.delete(id)
      member.revoking.delete(id)
    }
    if (lost.length > 0) tell(() => member.options.onLost(lost))
  }
}

function isHeld(claim: ClaimRow | undefined, memberId: string, epoch: number): boolean {
  return claim !== undefined && claim.memberId === memberId && claim.epoch === epoch
}

async function answerOf(options: JoinOptions, claims: readonly Claim[]): Promise<'given' | 'late'> {
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
