import { type Claim, type LeaveOptions, TopicUnknownError } from '../engine/index.ts'
import { sleep } from '../kernel/index.ts'
import { ClaimHolder } from './claim-holder.ts'
import { ClassicRequests } from './classic-requests.ts'
import type { ResponseOf } from './client-library.ts'
import {
  readAssignment,
  readSubscription,
  type TopicShare,
  writeAssignment,
  writeSubscription,
} from './consumer-protocol.ts'
import { cooperativeShares } from './cooperative-shares.ts'
import { errorCode, refusalOf } from './error-codes.ts'
import { KafkaUnreachableError } from './errors.ts'
import { type Membership, type MembershipParts, sessionTimeoutMsDefault } from './group-membership.ts'
import type { HeldClaim, MemberIdentity } from './held-claim.ts'
import { SilenceWatch } from './silence-watch.ts'
import type { Partition } from './topic-catalog.ts'

/**
 * A member by the classic protocol of Kafka: one of the members shares the partitions, and all meet in rounds. What stays
 * with a member it keeps over a round; what it has to give back it may commit until the next round begins.
 */
export class ClassicMember implements Membership, MemberIdentity {
  readonly #parts: MembershipParts
  readonly #holder: ClaimHolder
  readonly #sessionTimeoutMs: number
  readonly #requests: ClassicRequests
  /** Given by the coordinator. */
  #memberId = ''
  #generation = -1
  readonly #watch: SilenceWatch
  /** It gives back what it has, under an epoch that goes on being kept up: its last commits are still to be made. */
  #isLeaving = false
  #isOver = false
  #needsRound = true
  /** Partitions of the topics when they were shared last, by whoever shares them. */
  #countsShared: string | undefined
  #wake: (() => void) | undefined
  #changed = Promise.withResolvers<void>()
  readonly #out = Promise.withResolvers<void>()
  #reconciling: Promise<void> = Promise.resolve()
  #isReconciling = false
  #leaving: Promise<void> | undefined

  constructor(parts: MembershipParts) {
    this.#parts = parts
    const { cluster, options, offsets, settled } = parts
    this.#holder = new ClaimHolder(options, this, offsets, settled)
    this.#sessionTimeoutMs = options.sessionTimeoutMs ?? sessionTimeoutMsDefault
    this.#requests = new ClassicRequests(cluster, this, parts.memberId, this.#sessionTimeoutMs)
    this.#watch = new SilenceWatch(cluster.clock, this.#sessionTimeoutMs, () => this.#standAside())
  }

  /** As the coordinator calls it, once it does. */
  get id(): string {
    return this.#memberId === '' ? this.#parts.memberId : this.#memberId
  }

  get memberId(): string {
    return this.#memberId
  }

  get instanceId(): string | null {
    return this.#parts.instanceId
  }

  get group(): string {
    return this.#parts.options.group
  }

  get epoch(): number {
    return this.#generation
  }

  get claims(): readonly Claim[] {
    return this.#holder.claims
  }

  holding(claim: Claim): HeldClaim | undefined {
    return this.#holder.holding(claim)
  }

  epochChanged(): Promise<void> {
    this.nudge()
    return Promise.race([this.#changed.promise, this.#out.promise])
  }

  heartbeat(): void {
    this.#watch.heard()
  }

  async start(): Promise<void> {
    await this.#round()
    this.#watch.start()
    // It ends with the member, and tells its owner what is lost.
    this.#run().catch((error: unknown) => this.#fail(error))
  }

  leave({ isReturning = false }: LeaveOptions = {}): Promise<void> {
    // A static member keeps its place for the length of its session.
    this.#leaving ??= this.#leave(!isReturning || this.instanceId === null)
    return this.#leaving
  }

  nudge(): void {
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
    this.#requests.close()
  }

  /** Ends, and says why: its owner would wait for ever. */
  #fail(error: unknown): void {
    const { cluster, options } = this.#parts
    const isTold = !this.#isOver && !this.#isLeaving && !cluster.ended.aborted
    this.end()
    if (isTold) options.onFailed?.(error)
  }

  async #leave(isForGood: boolean): Promise<void> {
    if (this.#isOver) return
    this.#isLeaving = true
    this.#watch.end()
    await this.#reconciling
    await this.#holder.revoke(this.#holder.partitions, this.#late())
    this.#isOver = true
    this.#wake?.()
    if (isForGood) await this.#requests.leave().catch(() => undefined)
    this.#out.resolve()
    this.#parts.gone()
    this.#parts.changed()
    this.#requests.close()
  }

  async #run(): Promise<void> {
    const { cluster } = this.#parts
    while (!this.#isOver) {
      try {
        // While claims are given back it goes on saying that it lives.
        if (this.#watch.isSilent) await this.#stayAside()
        else if (this.#needsRound && !this.#isReconciling) await this.#round()
        else {
          await this.#pause()
          if (!this.#isOver) await this.#beat()
        }
      } catch (error) {
        // Brokers that are gone come back; what became of the member meanwhile they tell then.
        if (!(error instanceof KafkaUnreachableError)) throw error
        cluster.ended.throwIfAborted()
      }
    }
  }

  async #pause(): Promise<void> {
    const { clock, ended, options } = this.#parts.cluster
    const pause = new AbortController()
    this.#wake = () => pause.abort()
    const waited = sleep(options.heartbeatIntervalMs, clock, AbortSignal.any([pause.signal, ended]))
    await waited.catch(() => undefined)
    this.#wake = undefined
    ended.throwIfAborted()
  }

  async #beat(): Promise<void> {
    const { catalog, options } = this.#parts
    const code = await this.#requests.heartbeat()
    if (this.#isOver || this.#watch.isSilent) return
    if (code === errorCode.rebalanceInProgress) this.#needsRound = true
    else if (!this.#isOut(code) && code !== errorCode.none) throw refusalOf('Heartbeat', code, this.group)
    this.#signalChanged()
    // Known topics are looked at anew from time to time; whoever shares them calls for a round when they grew.
    for (const topic of options.topics) {
      // One that was deleted may be made anew at any time.
      if (!catalog.has(topic)) catalog.refresh(topic).catch(() => undefined)
    }
    if (this.#countsShared !== undefined && this.#countsShared !== this.#counts()) this.#needsRound = true
    // Nobody else may have seen that a topic was made anew.
    if (this.#holder.loseGone()) this.#needsRound = true
  }

  /** True: the coordinator does not know the member any more, which begins again with nothing. */
  #isOut(code: number): boolean {
    if (code === errorCode.fencedInstanceId) {
      queueMicrotask(() => this.#fail(refusalOf('Heartbeat', code, this.group)))
      return true
    }
    if (code !== errorCode.unknownMemberId && code !== errorCode.illegalGeneration) return false
    this.#holder.lose()
    if (this.#isLeaving) this.#isOver = true
    if (code === errorCode.unknownMemberId) this.#memberId = ''
    this.#generation = -1
    this.#needsRound = true
    return true
  }

  /** Meets the other members: tells what it wants and has, and is told what it shall have. */
  async #round(): Promise<void> {
    this.#needsRound = false
    if (this.#isOver) return
    try {
      const joined = await this.#join()
      if (joined === undefined) return
      const assigned = await this.#sync(joined)
      if (assigned === undefined || this.#isOver) return
      this.#signalChanged()
      if (this.#isLeaving || this.#watch.isSilent) return
      this.#isReconciling = true
      this.#reconciling = this.#reconcile(assigned)
        .catch((error: unknown) => {
          // Told once more with the next round.
          const isPassing = error instanceof KafkaUnreachableError || error instanceof TopicUnknownError
          if (isPassing) this.#needsRound = true
          else queueMicrotask(() => this.#fail(error))
        })
        .finally(() => {
          this.#isReconciling = false
          this.nudge()
        })
    } catch (error) {
      this.#needsRound = true
      throw error
    }
  }

  async #join(): Promise<ResponseOf<'joinGroup'> | undefined> {
    const { topics, together } = this.#parts.options
    const metadata = writeSubscription({ topics, owned: this.#owned(), generation: this.#generation, together })
    const answer = await this.#requests.join(metadata)
    const { errorCode: code } = answer
    if (this.#isOver) return undefined
    // Known, so that it can leave.
    if (this.#watch.isSilent && code === errorCode.none) this.#memberId = answer.memberId
    if (this.#watch.isSilent) return undefined
    if (code === errorCode.memberIdRequired) {
      this.#memberId = answer.memberId
      this.#needsRound = true
      return this.#join()
    }
    if (this.#isOut(code)) return undefined
    if (code !== errorCode.none) throw refusalOf('JoinGroup', code, this.group)
    this.#needsRound = false
    this.#memberId = answer.memberId
    this.#generation = answer.generationId
    return answer
  }

  async #sync(joined: ResponseOf<'joinGroup'>): Promise<readonly TopicShare[] | undefined> {
    const isLeader = joined.leader === this.#memberId && !joined.skipAssignment
    const assignments = isLeader ? await this.#share(joined.members) : []
    if (!isLeader) this.#countsShared = undefined
    const answer = await this.#requests.sync(assignments)
    const { errorCode: code } = answer
    if (code === errorCode.rebalanceInProgress) this.#needsRound = true
    else if (code === errorCode.none) return readAssignment(answer.assignment)
    else if (!this.#isOut(code)) throw refusalOf('SyncGroup', code, this.group)
    return undefined
  }

  /** Shares the partitions, as the one whose turn it is. */
  async #share(members: ResponseOf<'joinGroup'>['members']): Promise<{ memberId: string; assignment: Buffer }[]> {
    const { catalog } = this.#parts
    const subscribed = members.map(({ memberId, metadata }) => {
      return { id: memberId, subscription: readSubscription(metadata) }
    })
    const topics = new Set(subscribed.flatMap(({ subscription }) => subscription.topics))
    for (const topic of topics) if (!catalog.has(topic)) await catalog.refresh(topic)
    this.#countsShared = this.#counts()
    const shares = cooperativeShares(subscribed, (topic) => catalog.find(topic)?.partitions.length ?? 0)
    return [...shares].map(([memberId, share]) => ({ memberId, assignment: writeAssignment(share) }))
  }

  async #reconcile(assigned: readonly TopicShare[]): Promise<void> {
    const { catalog } = this.#parts
    const wanted: Partition[] = []
    for (const { topic, partitions } of assigned) {
      for (const number of partitions) {
        if (!catalog.has(topic, number)) await catalog.refresh(topic)
        const partition = catalog.find(topic)?.partitions[number]
        if (partition !== undefined) wanted.push(partition)
      }
    }
    const surplus = this.#holder.partitions.filter((partition) => !wanted.includes(partition))
    if (surplus.length > 0) {
      await this.#holder.revoke(surplus, this.#late())
      // Now they are free for others, who get them in the next round.
      this.#needsRound = true
    }
    const generation = this.#generation
    await this.#holder.assign(
      wanted,
      () =>
        !this.#isLeaving && !this.#isOver && !this.#watch.isSilent && generation >= 0 && this.#generation >= generation,
    )
  }

  #owned(): TopicShare[] {
    const owned = Map.groupBy(this.#holder.partitions, ({ topic }) => topic)
    return [...owned].map(([topic, partitions]) => ({ topic, partitions: partitions.map(({ number }) => number) }))
  }

  #counts(): string {
    const { catalog, options } = this.#parts
    return JSON.stringify(
      options.topics.map((name) => {
        const topic = catalog.find(name)
        return topic === undefined ? null : [topic.topicId, topic.partitions.length]
      }),
    )
  }

  #late(): Promise<void> {
    const late = Promise.withResolvers<void>()
    this.#parts.cluster.clock.setTimer(() => late.resolve(), this.#sessionTimeoutMs, { unref: true })
    return Promise.race([late.promise, this.#out.promise])
  }

  #signalChanged(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }

  /** Who does not say that it lives is taken for dead, although its process is there. */
  #standAside(): void {
    this.#holder.lose()
    this.#wake?.()
  }

  /** Lets others have its share, until its owner is heard of again; then it joins anew. */
  async #stayAside(): Promise<void> {
    if (this.#memberId !== '') await this.#requests.leave().catch(() => undefined)
    this.#memberId = ''
    this.#generation = -1
    this.#needsRound = true
    this.#signalChanged()
    this.#parts.changed()
    await this.#watch.heardAgain()
  }
}
