import { type Claim, type LeaveOptions, TopicUnknownError } from '../engine/index.ts'
import { ClosedError, sleep } from '../kernel/index.ts'
import { ClaimHolder } from './claim-holder.ts'
import { errorCode, refusalOf } from './error-codes.ts'
import { KafkaFeatureMissingError, KafkaUnreachableError } from './errors.ts'
import { type Membership, type MembershipParts, sessionTimeoutMsDefault } from './group-membership.ts'
import type { HeldClaim, MemberIdentity } from './held-claim.ts'
import { SilenceWatch } from './silence-watch.ts'
import type { Partition } from './topic-catalog.ts'

/** Epochs that say what a member wants (KIP-848, "ConsumerGroupHeartbeat"). */
const joiningEpoch = 0
const leavingEpoch = -1
const leavingStaticEpoch = -2
/** While partitions move, a member asks this often, in milliseconds. */
const movingIntervalMs = 50
/** After a change partitions may go on moving for so long, in milliseconds. */
const movingForMs = 3000

/** What a broker lacks that refuses it. */
export const consumerProtocol = 'the group protocol of KIP-848'

/** How long a member tries to join: longer than a session at the coordinator, in milliseconds. */
const joinTimeoutMs = 90_000

type Assigned = readonly { readonly topicId: string; readonly partitions: readonly number[] }[]

/**
 * A member by the protocol of KIP-848: the coordinator shares the partitions, and a heartbeat tells what is meant for the
 * member. What it has to give back it keeps, and may commit, until the heartbeat that says that it let go.
 */
export class ConsumerMember implements Membership, MemberIdentity {
  readonly #parts: MembershipParts
  readonly #holder: ClaimHolder
  readonly #sessionTimeoutMs: number
  #epoch = joiningEpoch
  #intervalMs: number
  readonly #watch: SilenceWatch
  #movingUntilMs = 0
  /** It gives back what it has, under an epoch that goes on being kept up: its last commits are still to be made. */
  #isLeaving = false
  #isOver = false
  #reconciling: Promise<void> = Promise.resolve()
  #target: Assigned | undefined
  /** What is being brought about; `undefined` again when the member loses everything meanwhile. */
  #inHand: Assigned | undefined
  #wake: (() => void) | undefined
  #answered = Promise.withResolvers<void>()
  #leaving: Promise<void> | undefined
  #loop: Promise<void> = Promise.resolve()
  readonly #out = Promise.withResolvers<void>()

  constructor(parts: MembershipParts) {
    this.#parts = parts
    const { cluster, options, offsets, settled } = parts
    this.#holder = new ClaimHolder(options, this, offsets, settled)
    this.#sessionTimeoutMs = options.sessionTimeoutMs ?? sessionTimeoutMsDefault
    this.#intervalMs = cluster.options.heartbeatIntervalMs
    this.#watch = new SilenceWatch(cluster.clock, this.#sessionTimeoutMs, () => this.#standAside())
  }

  get id(): string {
    return this.#parts.memberId
  }

  get memberId(): string {
    return this.#parts.memberId
  }

  get instanceId(): string | null {
    return this.#parts.instanceId
  }

  get group(): string {
    return this.#parts.options.group
  }

  get epoch(): number {
    return this.#epoch
  }

  get claims(): readonly Claim[] {
    return this.#holder.claims
  }

  holding(claim: Claim): HeldClaim | undefined {
    return this.#holder.holding(claim)
  }

  epochChanged(): Promise<void> {
    this.nudge()
    return Promise.race([this.#answered.promise, this.#out.promise])
  }

  heartbeat(): void {
    this.#watch.heard()
  }

  async start(): Promise<void> {
    this.#moving()
    // A static member whose process died without a word has its place until its session is over.
    await this.#parts.cluster.persist(() => this.#beat(), { limitMs: joinTimeoutMs })
    this.#parts.changed()
    this.#watch.start()
    // It ends with the member, and tells its owner what is lost.
    this.#loop = this.#run().catch((error: unknown) => this.#fail(error))
  }

  leave({ isReturning = false }: LeaveOptions = {}): Promise<void> {
    // A static member keeps its place for the length of its session.
    this.#leaving ??= this.#leave(isReturning && this.instanceId !== null ? leavingStaticEpoch : leavingEpoch)
    return this.#leaving
  }

  nudge(): void {
    this.#moving()
    this.#wake?.()
  }

  end(): void {
    if (this.#isOver && this.claims.length === 0) return
    this.#isOver = true
    this.#watch.end()
    this.#wake?.()
    this.#out.resolve()
    this.#holder.lose()
    this.#parts.gone()
  }

  /** Ends, and says why: its owner would wait for ever. */
  #fail(error: unknown): void {
    const { cluster, options } = this.#parts
    const isTold = !this.#isOver && !this.#isLeaving && !cluster.ended.aborted
    this.end()
    if (isTold) options.onFailed?.(error)
  }

  async #leave(epoch: number): Promise<void> {
    if (this.#isOver) return
    this.#isLeaving = true
    this.#watch.end()
    const { clock } = this.#parts.cluster
    const late = Promise.withResolvers<void>()
    const timer = clock.setTimer(() => late.resolve(), this.#sessionTimeoutMs, { unref: true })
    await this.#reconciling
    await this.#holder.revoke(this.#holder.partitions, Promise.race([late.promise, this.#out.promise]))
    timer.cancel()
    this.#isOver = true
    this.#wake?.()
    // A heartbeat that is still on its way must not arrive after the word that it leaves, and join anew.
    await this.#loop
    await this.#ask(epoch).catch(() => undefined)
    this.#out.resolve()
    this.#parts.gone()
    this.#parts.changed()
  }

  async #run(): Promise<void> {
    const { cluster } = this.#parts
    while (!this.#isOver) {
      await this.#pause()
      if (this.#watch.isSilent) await this.#stayAside()
      if (this.#isOver) return
      try {
        await this.#beat()
      } catch (error) {
        // Brokers that are gone come back; until then the member keeps what it has, for nobody can give it away.
        if (!(error instanceof KafkaUnreachableError)) throw error
        cluster.ended.throwIfAborted()
      }
    }
  }

  async #pause(): Promise<void> {
    const { clock, ended } = this.#parts.cluster
    const isMoving = clock.monotonicMs() < this.#movingUntilMs
    const pause = new AbortController()
    this.#wake = () => pause.abort()
    const intervalMs = isMoving ? Math.min(movingIntervalMs, this.#intervalMs) : this.#intervalMs
    await sleep(intervalMs, clock, AbortSignal.any([pause.signal, ended])).catch(() => undefined)
    this.#wake = undefined
    ended.throwIfAborted()
  }

  /** One heartbeat, and what follows from its answer. */
  async #beat(): Promise<void> {
    const answer = await this.#ask(this.#epoch)
    const { errorCode: code } = answer
    if (this.#isOver || this.#watch.isSilent) return
    if (this.#isForgotten(code)) {
      // The coordinator gave up on it, or on the whole group: it comes back as somebody who has nothing.
      this.#holder.lose()
      if (this.#isLeaving) this.#isOver = true
      this.#beginAnew()
      this.#signalAnswered()
      this.#moving()
      return
    }
    if (code === errorCode.unreleasedInstanceId) {
      throw this.#parts.cluster.obstacle(`instance id "${this.instanceId}" is still in use`)
    }
    // A broker may know of the protocol and have it switched off.
    if (code === errorCode.unsupportedVersion) throw new KafkaFeatureMissingError(consumerProtocol)
    if (code !== errorCode.none) throw refusalOf('ConsumerGroupHeartbeat', code, this.group, answer.errorMessage)
    if (answer.memberEpoch !== this.#epoch) this.#moving()
    this.#epoch = answer.memberEpoch
    this.#intervalMs = Math.min(this.#parts.cluster.options.heartbeatIntervalMs, answer.heartbeatIntervalMs)
    this.#signalAnswered()
    this.#holder.loseGone()
    if (answer.assignment !== null && !this.#isLeaving) this.#reconcile(answer.assignment.topicPartitions)
  }

  #isForgotten(code: number): boolean {
    if (code === errorCode.unknownMemberId || code === errorCode.fencedMemberEpoch) return true
    // To who joins it says that the group is one of another protocol.
    return code === errorCode.groupIdNotFound && this.#epoch !== joiningEpoch
  }

  #signalAnswered(): void {
    this.#answered.resolve()
    this.#answered = Promise.withResolvers()
  }

  #ask(epoch: number) {
    const { cluster, options } = this.#parts
    const isLeaving = epoch === leavingEpoch || epoch === leavingStaticEpoch
    return cluster.askCoordinator(
      'group',
      this.group,
      'members',
      (link) =>
        link.call(
          'ConsumerGroupHeartbeat',
          cluster.protocol.consumerGroupHeartbeat,
          this.group,
          this.memberId,
          epoch,
          this.instanceId,
          null,
          isLeaving ? -1 : this.#sessionTimeoutMs,
          isLeaving ? null : [...options.topics],
          null,
          null,
          isLeaving ? null : this.#occupied(epoch),
        ),
      (response) => response.errorCode,
      isLeaving ? cluster.parting : cluster.usual,
    )
  }

  /**
   * What it has, and what it was told to take and is about to: the coordinator gives a partition to somebody else as soon as
   * a heartbeat does not name it, and commits are not checked against that (KIP-848, "Member Reconciliation").
   */
  #occupied(epoch: number): { topicId: string; partitions: number[] }[] {
    if (epoch === joiningEpoch) return []
    const byTopic = new Map<string, Set<number>>()
    const add = (topicId: string, numbers: Iterable<number>): void =>
      void byTopic.set(topicId, new Set([...(byTopic.get(topicId) ?? []), ...numbers]))
    for (const { topic, number } of this.#holder.occupied) {
      const topicId = this.#parts.catalog.find(topic)?.topicId
      if (topicId !== undefined) add(topicId, [number])
    }
    for (const assigned of [this.#inHand, this.#target]) {
      for (const { topicId, partitions } of assigned ?? []) add(topicId, partitions)
    }
    return [...byTopic].map(([topicId, numbers]) => ({ topicId, partitions: [...numbers] }))
  }

  /** It has nothing any more, and is nobody the coordinator knows. */
  #beginAnew(): void {
    this.#epoch = joiningEpoch
    this.#target = undefined
    this.#inHand = undefined
  }

  /** Brings what is held to what is meant to be, one assignment after the other. */
  #reconcile(target: Assigned): void {
    const isRunning = this.#target !== undefined
    this.#target = target
    if (isRunning) return
    this.#reconciling = this.#reconciling
      .then(() => this.#reconcileAll())
      .catch((error: unknown) => {
        // Tried again with the next heartbeat, which tells the assignment once more.
        const isPassing = error instanceof KafkaUnreachableError || error instanceof TopicUnknownError
        if (!(isPassing || error instanceof ClosedError)) queueMicrotask(() => this.#fail(error))
      })
      .finally(() => {
        this.#target = undefined
        this.#inHand = undefined
      })
  }

  async #reconcileAll(): Promise<void> {
    let done: Assigned | undefined
    while (this.#target !== undefined && this.#target !== done && !this.#isLeaving && !this.#isOver) {
      done = this.#target
      this.#inHand = done
      const wanted = await this.#partitionsOf(done)
      const surplus = this.#holder.partitions.filter((partition) => !wanted.includes(partition))
      const gained = wanted.filter((partition) => !this.#holder.partitions.includes(partition))
      if (surplus.length === 0 && gained.length === 0) continue
      this.#moving()
      if (surplus.length > 0) {
        await this.#holder.revoke(surplus, this.#lateAfterSession())
      }
      const isStillWanted = (): boolean =>
        this.#inHand === done && !this.#isLeaving && !this.#isOver && !this.#watch.isSilent
      await this.#holder.assign(gained, isStillWanted)
      this.nudge()
      this.#parts.changed()
    }
  }

  #lateAfterSession(): Promise<void> {
    const { clock } = this.#parts.cluster
    const late = Promise.withResolvers<void>()
    clock.setTimer(() => late.resolve(), this.#sessionTimeoutMs, { unref: true })
    return Promise.race([late.promise, this.#out.promise])
  }

  async #partitionsOf(assigned: Assigned): Promise<Partition[]> {
    const { catalog, options } = this.#parts
    const isKnown = assigned.every(({ topicId, partitions }) => {
      const topic = catalog.findById(topicId)
      return topic !== undefined && partitions.every((number) => topic.partitions[number] !== undefined)
    })
    if (!isKnown) await Promise.all(options.topics.map((topic) => catalog.refresh(topic)))
    return assigned.flatMap(({ topicId, partitions }) =>
      partitions.flatMap((number) => catalog.findById(topicId)?.partitions[number] ?? []),
    )
  }

  #moving(): void {
    this.#movingUntilMs = this.#parts.cluster.clock.monotonicMs() + movingForMs
  }

  /** Who does not say that it lives is taken for dead, although its process is there. */
  #standAside(): void {
    this.#holder.lose()
    this.#wake?.()
  }

  /** Lets others have its share, until its owner is heard of again; then it joins anew. */
  async #stayAside(): Promise<void> {
    await this.#ask(leavingEpoch).catch(() => undefined)
    this.#beginAnew()
    this.#signalAnswered()
    this.#parts.changed()
    await this.#watch.heardAgain()
    this.#moving()
  }
}
