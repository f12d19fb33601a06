import type { UnitResult } from '../committing/index.ts'
import { OffsetSet } from '../engine/index.ts'
import type { Cluster, Patience } from './cluster.ts'
import { endsSession, errorCode, isPassing, nameOfCode, refusalOf } from './error-codes.ts'
import { KafkaProgressScatteredError } from './errors.ts'
import { type ClaimBook, claimsOf, type HeldClaim, type MemberIdentity } from './held-claim.ts'
import type { OpenUnit, Stop } from './open-unit.ts'
import type { ProducerSession } from './producer-session.ts'
import { encodeDone } from './progress-metadata.ts'
import type { TopicCatalog } from './topic-catalog.ts'

/** With so few ranges the metadata fits whatever the offsets are, so that it need not be measured: 20 bytes for each. */
const bytesOfRangeMost = 20

/** What a group of commits makes of one claim. */
interface PlannedClaim {
  readonly held: HeldClaim
  readonly done: OffsetSet
  readonly units: Set<number>
}

/** The offsets that one transaction commits, for all members whose progress is among its units. */
export class OffsetPlan {
  /** Units whose progress cannot be told in the metadata of an offset commit. */
  readonly refused: ReadonlyMap<number, UnitResult>
  readonly #cluster: Cluster
  readonly #catalog: TopicCatalog
  readonly #claims = new Map<HeldClaim, PlannedClaim>()

  constructor(cluster: Cluster, catalog: TopicCatalog, claims: ClaimBook, open: readonly OpenUnit[]) {
    this.#cluster = cluster
    this.#catalog = catalog
    const refused = new Map<number, UnitResult>()
    for (const { index, unit } of open) {
      for (const { claim, done } of unit.progress) {
        const held = claims.holding(claim)
        if (held === undefined) continue
        const error = this.#add(held, index, done)
        if (error !== undefined) refused.set(index, { kind: 'refused', refusal: { kind: 'engine', error } })
      }
      // State under a claim is fenced by its offset, also where that stays as it is.
      for (const claim of claimsOf(unit)) {
        const held = claims.holding(claim)
        if (held !== undefined) this.#add(held, index, [])
      }
    }
    this.refused = refused
  }

  /** Whether it commits no offsets. */
  get isEmpty(): boolean {
    return this.#claims.size === 0
  }

  /** Makes the groups part of the transaction. */
  async addGroups(session: ProducerSession, patience: Patience): Promise<Stop | undefined> {
    const id = session.transactionalId as string
    for (const [group, planned] of Map.groupBy(this.#claims.values(), ({ held }) => held.member.group)) {
      const { errorCode: code } = await this.#cluster.askCoordinator(
        'transaction',
        id,
        'transaction',
        (link) => {
          const request = this.#cluster.protocol.addOffsetsToTxn
          return link.call('AddOffsetsToTxn', request, id, session.producerId, session.epoch, group)
        },
        (response) => response.errorCode,
        patience,
      )
      if (endsSession(code)) return { kind: 'session-over', code }
      if (code !== errorCode.none) return refusedWith(planned, refusalOf('AddOffsetsToTxn', code, group))
    }
    return undefined
  }

  /** Writes the offsets into the transaction, each member under its generation: one that is out is refused here (KIP-447). */
  async commit(session: ProducerSession, patience: Patience): Promise<Stop | undefined> {
    const byMember = Map.groupBy(this.#claims.values(), ({ held }) => held.member)
    const stops = await Promise.all(
      [...byMember].map(([member, planned]) => this.#commitOf(session, member, planned, patience)),
    )
    const over = stops.find((stop) => stop?.kind === 'session-over')
    if (over !== undefined) return over
    const refused = stops.filter((stop) => stop?.kind === 'refused')
    return refused.length === 0
      ? undefined
      : { kind: 'refused', answers: new Map(refused.flatMap(({ answers }) => [...answers])) }
  }

  /** The transaction was made. */
  apply(): void {
    for (const { held, done } of this.#claims.values()) held.done = done
  }

  #add(held: HeldClaim, index: number, pairs: readonly number[]): KafkaProgressScatteredError | undefined {
    let planned = this.#claims.get(held)
    if (planned === undefined) {
      planned = { held, done: new OffsetSet(held.done.snapshot()), units: new Set() }
      this.#claims.set(held, planned)
    }
    const { done } = planned
    planned.units.add(index)
    for (let at = 0; at < pairs.length; at += 2) done.add(pairs[at] as number, pairs[at + 1] as number)
    held.partition.closeGaps(done)
    const { offsetMetadataBytesMax } = this.#cluster.options
    if (done.ranges.length * bytesOfRangeMost < offsetMetadataBytesMax) return undefined
    if (encodeDone(done.next, done.ranges).length <= offsetMetadataBytesMax) return undefined
    const { group, topic, partition } = held.claim
    return new KafkaProgressScatteredError(group, topic, partition, offsetMetadataBytesMax)
  }

  async #commitOf(
    session: ProducerSession,
    member: MemberIdentity,
    planned: readonly PlannedClaim[],
    patience: Patience,
  ): Promise<Stop | undefined> {
    const id = session.transactionalId as string
    const topics = [...Map.groupBy(planned, ({ held }) => held.claim.topic)].map(([name, ofTopic]) => ({
      name,
      partitions: ofTopic.map(({ held, done }) => ({
        partitionIndex: held.claim.partition,
        committedOffset: BigInt(done.next),
        committedLeaderEpoch: -1,
        committedMetadata: encodeDone(done.next, done.ranges),
      })),
    }))
    const { group, memberId, instanceId } = member
    return this.#cluster.persist(async () => {
      const lost = planned.filter(({ held }) => !held.isHeld)
      if (lost.length > 0) return fencedStop(lost)
      const answer = await this.#cluster.askCoordinator(
        'group',
        group,
        'offsets',
        (link) =>
          link.call(
            'TxnOffsetCommit',
            this.#cluster.protocol.txnOffsetCommit,
            id,
            group,
            session.producerId,
            session.epoch,
            member.epoch,
            memberId,
            instanceId,
            topics,
          ),
        (response) => codeOf(response),
        patience,
      )
      const code = codeOf(answer)
      if (code === errorCode.none) return undefined
      if (endsSession(code)) return { kind: 'session-over', code } as const
      if (isOfMember(code)) {
        await member.epochChanged()
        throw this.#cluster.obstacle(`TxnOffsetCommit was answered ${nameOfCode(code)}`)
      }
      if (code === errorCode.unknownTopicOrPartition) {
        await this.#catalog.refresh(new Set(topics.map(({ name }) => name)), this.#cluster.within(patience))
        const gone = planned.filter(({ held }) => held.partition.isGone)
        if (gone.length > 0) return fencedStop(gone)
        throw this.#cluster.obstacle(`TxnOffsetCommit was answered ${nameOfCode(code)}`)
      }
      return refusedWith(planned, refusalOf('TxnOffsetCommit', code, group))
    }, patience)
  }
}

function codeOf(answer: {
  readonly topics: readonly { readonly partitions: readonly { readonly errorCode: number }[] }[]
}): number {
  const codes = answer.topics.flatMap(({ partitions }) => partitions.map(({ errorCode: code }) => code))
  const bad = codes.filter((code) => code !== errorCode.none)
  return bad.find((code) => !isPassing(code)) ?? bad[0] ?? errorCode.none
}

/**
 * The coordinator does not take the member for what it says it is. What that means the member is told when it asks: it moved on
 * while this was on its way, and may still commit what it still holds; or it is out, and lets its claims go.
 */
function isOfMember(code: number): boolean {
  return (
    code === errorCode.staleMemberEpoch ||
    code === errorCode.illegalGeneration ||
    code === errorCode.rebalanceInProgress ||
    code === errorCode.unknownMemberId ||
    code === errorCode.fencedInstanceId ||
    code === errorCode.fencedMemberEpoch ||
    code === errorCode.groupIdNotFound
  )
}

/** Only what was to be done under these claims is refused. */
function fencedStop(planned: readonly PlannedClaim[]): Stop {
  const answers = new Map<number, UnitResult>()
  for (const { held, units } of planned) {
    const { claim } = held
    for (const index of units) answers.set(index, { kind: 'conflict', conflict: { kind: 'fenced', claim } })
  }
  return { kind: 'refused', answers }
}

function refusedWith(planned: readonly PlannedClaim[], error: Error): Stop {
  const answer: UnitResult = { kind: 'refused', refusal: { kind: 'engine', error } }
  return {
    kind: 'refused',
    answers: new Map(planned.flatMap(({ units }) => [...units].map((index) => [index, answer]))),
  }
}
