import type { UnitResult } from '../committing/index.ts'
import { setProducer, writeCrc } from '../record/index.ts'
import type { Cluster, Patience } from './cluster.ts'
import { endsSession, errorCode, isPassing, nameOfCode, refusalOf } from './error-codes.ts'
import type { OutgoingBatch } from './merged-batches.ts'
import type { Stop } from './open-unit.ts'
import type { ProducerSession } from './producer-session.ts'
import { sendProduce } from './raw-requests.ts'
import type { Partition, TopicCatalog } from './topic-catalog.ts'

/** Low byte of a batch's attributes, and its bit for batches of a transaction (Kafka documentation, "Record Batch"). */
const attributesAt = 22
const transactionalBit = 0x10
const produceTimeoutMs = 15_000

/** Brings batches to the leaders of their partitions, in a transaction or outside. */
export class BatchSender {
  readonly #cluster: Cluster
  readonly #catalog: TopicCatalog
  readonly #patience: Patience

  constructor(cluster: Cluster, catalog: TopicCatalog, patience: Patience) {
    this.#cluster = cluster
    this.#catalog = catalog
    this.#patience = patience
  }

  /** Makes the partitions of batches part of the transaction. */
  async addPartitions(session: ProducerSession, batches: readonly OutgoingBatch[]): Promise<Stop | undefined> {
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

  async produceRounds(
    session: ProducerSession,
    rounds: readonly (readonly OutgoingBatch[])[],
  ): Promise<Stop | undefined> {
    for (const round of rounds) {
      const stop = await this.produce(session, round)
      if (stop !== undefined) return stop
    }
    return undefined
  }

  /** Sends batches, each of another partition, until each is answered. A repeated one is known by its numbers. */
  async produce(session: ProducerSession, batches: readonly OutgoingBatch[]): Promise<Stop | undefined> {
    for (const { partition, bytes } of batches) number(session, partition, bytes)
    const open = new Set(batches)
    return this.#cluster.persist(async () => {
      // All of them, before any is tried again: what is still under way would be answered twice, and counted twice.
      const outcomes = await Promise.allSettled(
        [...Map.groupBy(open, ({ partition }) => partition.leaderId)].map(([leaderId, led]) =>
          this.#produceTo(session, leaderId, led, open),
        ),
      )
      const failed = outcomes.find((outcome) => outcome.status === 'rejected')
      if (failed !== undefined) {
        // The leader may be another one by now.
        for (const { partition } of open) await this.#refresh(partition.topic)
        throw failed.reason
      }
      return outcomes
        .map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : undefined))
        .find((stop) => stop !== undefined)
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

  /** Looks where the leaders are now, for no longer than is to be tried at all. */
  #refresh(topic: string): Promise<void> {
    return this.#catalog.refresh(topic, this.#cluster.within(this.#patience))
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
        if (isMissing) await this.#refresh(partition.topic)
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

export function goneAnswer(partitionId: number): UnitResult {
  return { kind: 'refused', refusal: { kind: 'partition-gone', partitionId } }
}

function refusedAnswer(error: Error): UnitResult {
  return { kind: 'refused', refusal: { kind: 'engine', error } }
}
