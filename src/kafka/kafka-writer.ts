import type { CommitGroup, GroupWriter, UnitCommand, UnitResult } from '../committing/index.ts'
import type { MillraceError } from '../kernel/index.ts'
import { BatchBufferPool, setProducer, writeCrc } from '../record/index.ts'
import type { Cluster, Patience } from './cluster.ts'
import { endsSession, errorCode, isPassing, nameOfCode, refusalOf } from './error-codes.ts'
import { KafkaOutcomeUnknownError } from './errors.ts'
import type { ClaimBook } from './held-claim.ts'
import { type OutgoingBatch, roundsOf } from './merged-batches.ts'
import { OffsetPlan } from './offset-plan.ts'
import { ProducerSession } from './producer-session.ts'
import { sendProduce } from './raw-requests.ts'
import type { Partition, TopicCatalog } from './topic-catalog.ts'

/** Low byte of a batch's attributes, and its bit for batches of a transaction (Kafka documentation, "Record Batch"). */
const attributesAt = 22
const transactionalBit = 0x10
const produceTimeoutMs = 15_000
/** How often a group begins anew because brokers ended its session, before that is told as an error. */
const sessionsMax = 10

/** A unit that has no answer yet. */
interface OpenUnit {
  readonly index: number
  readonly unit: UnitCommand
}

/** Why an attempt came to nothing; all of it is undone. */
type Stop =
  /** These units cannot be made; the others can. */
  | { readonly kind: 'refused'; readonly answers: ReadonlyMap<number, UnitResult> }
  /** The brokers ended the session; nothing is wrong with the units. */
  | { readonly kind: 'session-over'; readonly code: number }

/**
 * Makes groups of commits real, each with one transaction: what is published and the offsets of consumer groups. A batch
 * for one partition and nothing else needs none: it is there or not as it is.
 */
export class KafkaWriter implements GroupWriter {
  readonly pool: BatchBufferPool = new BatchBufferPool()
  readonly #cluster: Cluster
  readonly #catalog: TopicCatalog
  readonly #claims: ClaimBook
  readonly #transactional: ProducerSession
  readonly #alone: ProducerSession
  #tail: Promise<unknown> = Promise.resolve()

  /** @param transactionalId Used by nobody else. */
  constructor(cluster: Cluster, catalog: TopicCatalog, claims: ClaimBook, transactionalId: string) {
    this.#cluster = cluster
    this.#catalog = catalog
    this.#claims = claims
    this.#transactional = new ProducerSession(cluster, transactionalId)
    this.#alone = new ProducerSession(cluster, null)
  }

  commit(group: CommitGroup): Promise<readonly UnitResult[]> {
    const answers = this.#tail.then(() => this.#write(group))
    this.#tail = answers.catch(() => undefined)
    return answers
  }

  isFinal(error: Error): boolean {
    return error instanceof KafkaOutcomeUnknownError
  }

  get #patience(): Patience {
    return this.#cluster.lasting
  }

  async #write({ units, arena }: CommitGroup): Promise<readonly UnitResult[]> {
    const answers = new Map<number, UnitResult>()
    let isMerging = true
    for (let sessions = 0; ; ) {
      const open = this.#stillOpen(units, answers)
      if (open.length === 0) break
      const [only, ...more] = open as [OpenUnit, ...OpenUnit[]]
      const isAlone = more.length === 0 && only.unit.progress.length === 0 && only.unit.batches.length === 1
      const stop = isAlone ? await this.#publish(only, answers) : await this.#transact(open, answers, isMerging)
      if (stop === undefined) continue
      if (stop.kind === 'refused') {
        // A batch that was put together out of several must not be held against all of them.
        const isTooLarge = [...stop.answers.values()].some(
          (answer) =>
            answer.kind === 'refused' && answer.refusal.kind === 'engine' && isTooLargeError(answer.refusal.error),
        )
        if (isMerging && isTooLarge && stop.answers.size > 1) isMerging = false
        else for (const [index, answer] of stop.answers) answers.set(index, answer)
      } else if (++sessions > sessionsMax) {
        const error = refusalOf('a transaction', stop.code, this.#transactional.transactionalId ?? '')
        for (const { index } of open) answers.set(index, { kind: 'refused', refusal: { kind: 'engine', error } })
      }
    }
    for (const { batches } of units) for (const { bytes } of batches) this.pool.release(bytes)
    this.pool.release(arena)
    return units.map((_, index) => answers.get(index) as UnitResult)
  }

  /** Units that need the brokers; what is clear without them is answered here. */
  #stillOpen(units: readonly UnitCommand[], answers: Map<number, UnitResult>): OpenUnit[] {
    return units.flatMap((unit, index) => {
      if (answers.has(index)) return []
      const lost = unit.progress.find(({ claim }) => this.#claims.holding(claim) === undefined)
      const gone = unit.batches.find(({ partitionId }) => this.#partition(partitionId).isGone)
      if (lost !== undefined) answers.set(index, fenced(lost.claim))
      else if (gone !== undefined) answers.set(index, goneAnswer(gone.partitionId))
      else if (unit.batches.length === 0 && unit.progress.every(({ done }) => done.length === 0)) {
        answers.set(index, { kind: 'committed', baseOffsets: [], appended: [] })
      } else return [{ unit, index }]
      return []
    })
  }

  /** One batch, known again by its numbers if the connection breaks. */
  async #publish(only: OpenUnit, answers: Map<number, UnitResult>): Promise<Stop | undefined> {
    const [[batch]] = this.#rounds([only], false) as [[OutgoingBatch]]
    const session = this.#alone
    const startMs = this.#cluster.clock.monotonicMs()
    try {
      await session.ready(this.#patience)
      const stop = await this.#produce(session, [batch])
      if (stop === undefined) answers.set(only.index, committedAnswer(only, [batch]))
      else session.reset()
      return stop
    } catch (error) {
      session.reset()
      throw this.#unlessKnown(error, startMs)
    }
  }

  async #transact(
    open: readonly OpenUnit[],
    answers: Map<number, UnitResult>,
    isMerging: boolean,
  ): Promise<Stop | undefined> {
    const session = this.#transactional
    const plan = new OffsetPlan(this.#cluster, this.#claims, open)
    if (plan.refused.size > 0) return { kind: 'refused', answers: plan.refused }
    const rounds = this.#rounds(open, isMerging)
    let stop: Stop | undefined
    try {
      await session.ready(this.#patience)
      stop = (await this.#addPartitions(session, rounds.flat())) ?? (await plan.addGroups(session, this.#patience))
      if (stop === undefined) {
        const stops = await Promise.all([this.#produceRounds(session, rounds), plan.commit(session, this.#patience)])
        stop = stops.find((one) => one !== undefined)
      }
    } catch (error) {
      // Nothing asked for its end, so the brokers undo it at the latest when its time is over.
      session.reset()
      throw error
    } finally {
      for (const batch of rounds.flat())
        if (batch.parts.length > 1 && stop !== undefined) this.pool.release(batch.bytes)
    }
    stop ??= await this.#end(session)
    if (stop !== undefined) {
      session.reset(stop.kind === 'session-over')
      return stop
    }
    plan.apply()
    for (const one of open) answers.set(one.index, committedAnswer(one, rounds.flat()))
    for (const batch of rounds.flat()) if (batch.parts.length > 1) this.pool.release(batch.bytes)
    return undefined
  }

  #rounds(open: readonly OpenUnit[], isMerging: boolean): OutgoingBatch[][] {
    return roundsOf(
      open.map(({ index, unit }) => ({ index, batches: unit.batches })),
      (id) => this.#partition(id),
      ({ topic }) => this.#catalog.find(topic)?.batchBytesMax ?? Number.POSITIVE_INFINITY,
      this.pool,
      isMerging,
    )
  }

  #partition(id: number): Partition {
    return this.#catalog.partitionById(id) as Partition
  }

  async #addPartitions(session: ProducerSession, batches: readonly OutgoingBatch[]): Promise<Stop | undefined> {
    if (batches.length === 0) return undefined
    const id = session.transactionalId as string
    const byTopic = Map.groupBy(batches, ({ partition }) => partition.topic)
    const topics = [...byTopic].map(([name, ofTopic]) => ({
      name,
      partitions: [...new Set(ofTopic.map(({ partition }) => partition.number))],
    }))
    const { producerId, epoch: producerEpoch } = session
    const request = [{ transactionalId: id, producerId, producerEpoch, verifyOnly: false, topics }]
    return this.#cluster.persist(async () => {
      const answer = await this.#cluster.askCoordinator(
        'transaction',
        id,
        'transaction',
        (link) => link.call('AddPartitionsToTxn', this.#cluster.protocol.addPartitionsToTxn, request),
        (response) => firstCode(codesOf(response).map(({ code }) => code)),
        this.#patience,
      )
      const codes = codesOf(answer)
      const over = codes.find(({ code }) => endsSession(code))
      if (over !== undefined) return { kind: 'session-over', code: over.code } as const
      const bad = codes.filter(({ code }) => code !== errorCode.none && code !== errorCode.operationNotAttempted)
      if (bad.length === 0) return undefined
      return this.#judge(
        'AddPartitionsToTxn',
        bad.map(({ topic, partition, code }) => ({
          code,
          batches: batches.filter((one) => one.partition.topic === topic && one.partition.number === partition),
        })),
      )
    }, this.#patience)
  }

  async #produceRounds(
    session: ProducerSession,
    rounds: readonly (readonly OutgoingBatch[])[],
  ): Promise<Stop | undefined> {
    for (const round of rounds) {
      const stop = await this.#produce(session, round)
      if (stop !== undefined) return stop
    }
    return undefined
  }

  /** Sends batches, each of another partition, until each is answered. A repeated one is known by its numbers. */
  async #produce(session: ProducerSession, batches: readonly OutgoingBatch[]): Promise<Stop | undefined> {
    for (const { partition, bytes } of batches) number(session, partition, bytes)
    const open = new Set(batches)
    return this.#cluster.persist(async () => {
      const stops = await Promise.all(
        [...Map.groupBy(open, ({ partition }) => partition.leaderId)].map(([leaderId, led]) =>
          this.#produceTo(session, leaderId, led, open),
        ),
      ).catch(async (error: unknown) => {
        // The leader may be another one by now.
        for (const { partition } of open) await this.#catalog.refresh(partition.topic)
        throw error
      })
      return stops.find((stop) => stop !== undefined)
    }, this.#patience)
  }

  async #produceTo(
    session: ProducerSession,
    leaderId: number,
    batches: readonly OutgoingBatch[],
    open: Set<OutgoingBatch>,
  ): Promise<Stop | undefined> {
    const link = await this.#cluster.link(leaderId, 'produce')
    const entries = batches.map(({ partition, bytes }) => ({
      topic: partition.topic,
      partition: partition.number,
      bytes,
    }))
    const { library } = this.#cluster
    const answers = await sendProduce(library, link, session.transactionalId, entries, produceTimeoutMs)
    const bad: { code: number; message: string | null; batches: OutgoingBatch[] }[] = []
    for (const batch of batches) {
      const { topic, number: at } = batch.partition
      const answer = answers.find((one) => one.topic === topic && one.partition === at)
      const code = answer?.errorCode ?? errorCode.networkException
      if (code === errorCode.none || (code === errorCode.duplicateSequence && (answer?.baseOffset ?? -1) >= 0)) {
        batch.baseOffset = answer?.baseOffset as number
        session.advance(batch.partition, batch.recordCount)
        open.delete(batch)
      } else bad.push({ code, message: answer?.errorMessage ?? null, batches: [batch] })
    }
    const over = bad.find(({ code }) => endsSession(code))
    if (over !== undefined) return { kind: 'session-over', code: over.code }
    return bad.length === 0 ? undefined : this.#judge('Produce', bad)
  }

  /** What codes for some batches come to: units that are refused, or an obstacle that passes. */
  async #judge(
    request: string,
    bad: readonly { code: number; message?: string | null; batches: readonly OutgoingBatch[] }[],
  ): Promise<Stop> {
    const answers = new Map<number, UnitResult>()
    for (const { code, message, batches } of bad) {
      for (const { partition, parts } of batches) {
        const isMissing = code === errorCode.unknownTopicOrPartition || isPassing(code)
        if (isMissing) await this.#catalog.refresh(partition.topic)
        if (isMissing && !partition.isGone) continue
        const answer = partition.isGone
          ? goneAnswer(partition.id)
          : refusedAnswer(refusalOf(request, code, partition.topic, message))
        for (const { unit } of parts) answers.set(unit, answer)
      }
    }
    if (answers.size > 0) return { kind: 'refused', answers }
    throw this.#cluster.obstacle(`${request} was answered ${nameOfCode(bad[0]?.code ?? 0)}`)
  }

  /** From the first time that its end is asked for, a transaction may be made: asked again until the answer is known. */
  async #end(session: ProducerSession): Promise<Stop | undefined> {
    const id = session.transactionalId as string
    const startMs = this.#cluster.clock.monotonicMs()
    try {
      const { errorCode: code } = await this.#cluster.askCoordinator(
        'transaction',
        id,
        'transaction',
        (link) => link.call('EndTxn', this.#cluster.protocol.endTxn, id, session.producerId, session.epoch, true),
        (response) => response.errorCode,
        this.#patience,
      )
      if (code === errorCode.none) return undefined
      // Nobody else uses this id, so its epoch moves only when the brokers undo what took too long: it was not made.
      if (endsSession(code)) return { kind: 'session-over', code }
      throw refusalOf('EndTxn', code, id)
    } catch (error) {
      session.reset()
      throw this.#unlessKnown(error, startMs)
    }
  }

  /** Without an answer, whether by lost connections or because the engine closed, the outcome is not known. */
  #unlessKnown(error: unknown, startMs: number): unknown {
    const { code } = error as Partial<MillraceError>
    if (code !== 'KAFKA_UNREACHABLE' && code !== 'CLOSED') return error
    return new KafkaOutcomeUnknownError(Math.round(this.#cluster.clock.monotonicMs() - startMs), { cause: error })
  }
}

/** Gives a batch its numbers and whether it is of a transaction; the checksum covers both. */
function number(session: ProducerSession, partition: Partition, bytes: Uint8Array): void {
  const bit = session.transactionalId === null ? 0 : transactionalBit
  bytes[attributesAt] = ((bytes[attributesAt] as number) & ~transactionalBit) | bit
  const baseSequence = session.sequenceOf(partition)
  setProducer(bytes, { id: Number(session.producerId), epoch: session.epoch, baseSequence })
  writeCrc(bytes)
}

function codesOf(answer: {
  readonly errorCode?: number
  readonly resultsByTransaction: readonly {
    readonly topicResults: readonly {
      readonly name: string
      readonly resultsByPartition: readonly { readonly partitionIndex: number; readonly partitionErrorCode: number }[]
    }[]
  }[]
}): { topic: string; partition: number; code: number }[] {
  return answer.resultsByTransaction.flatMap(({ topicResults }) =>
    topicResults.flatMap(({ name, resultsByPartition }) =>
      resultsByPartition.map(({ partitionIndex, partitionErrorCode }) => ({
        topic: name,
        partition: partitionIndex,
        code: partitionErrorCode,
      })),
    ),
  )
}

/** A code that passes, if all that are there pass: others have to be told. */
function firstCode(codes: readonly number[]): number {
  const bad = codes.filter((code) => code !== errorCode.none && code !== errorCode.operationNotAttempted)
  return bad.find((code) => !isPassing(code)) ?? bad[0] ?? errorCode.none
}

function committedAnswer({ index, unit }: OpenUnit, batches: readonly OutgoingBatch[]): UnitResult {
  const baseOffsets: number[] = []
  for (const { parts, baseOffset } of batches) {
    let at = baseOffset
    for (const part of parts) {
      if (part.unit === index) baseOffsets[part.batch] = at
      at += part.recordCount
    }
  }
  return { kind: 'committed', baseOffsets: baseOffsets.slice(0, unit.batches.length), appended: [] }
}

function fenced({ group, topic, partition }: { group: string; topic: string; partition: number }): UnitResult {
  return { kind: 'conflict', conflict: { kind: 'fenced', group, topic, partition } }
}

function goneAnswer(partitionId: number): UnitResult {
  return { kind: 'refused', refusal: { kind: 'partition-gone', partitionId } }
}

function refusedAnswer(error: Error): UnitResult {
  return { kind: 'refused', refusal: { kind: 'engine', error } }
}

function isTooLargeError(error: Error): boolean {
  const { details } = error as Partial<MillraceError<string, { readonly errorCode?: number }>>
  return details?.errorCode === errorCode.messageTooLarge
}
