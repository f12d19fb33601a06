import type { CommitGroup, GroupWriter, UnitCommand, UnitResult } from '../committing/index.ts'
import type { Claim } from '../engine/index.ts'
import type { MillraceError } from '../kernel/index.ts'
import { BatchBufferPool } from '../record/index.ts'
import { BatchSender, goneAnswer } from './batch-sender.ts'
import type { ChangelogPlan } from './changelog-plan.ts'
import type { ChangelogWriter } from './changelog-writer.ts'
import type { Cluster, Patience } from './cluster.ts'
import { endsSession, errorCode, isOfContent, refusalOf } from './error-codes.ts'
import { KafkaOutcomeUnknownError } from './errors.ts'
import { type ClaimBook, claimsOf } from './held-claim.ts'
import { type OutgoingBatch, roundsOf } from './merged-batches.ts'
import { OffsetPlan } from './offset-plan.ts'
import type { OpenUnit, Stop } from './open-unit.ts'
import { ProducerSession } from './producer-session.ts'
import type { Partition, TopicCatalog } from './topic-catalog.ts'
import type { TopicReader } from './topic-reader.ts'

/** How long the end of a transaction that was refused is tried, in milliseconds. */
const abortMs = 5000
/** What keeps an answer from coming, wherever on the way. */
const connectionCodes: ReadonlySet<string> = new Set([
  'KAFKA_UNREACHABLE',
  'KAFKA_TLS_REFUSED',
  'KAFKA_LOGIN_REFUSED',
  'CLOSED',
])
/** How often a group begins anew because brokers ended its session, before that is told as an error. */
const sessionsMax = 30

/**
 * Makes groups of commits real, each with one transaction: what is published and the offsets of consumer groups. A batch
 * for one partition and nothing else needs none: it is there or not as it is.
 */
export class KafkaWriter implements GroupWriter {
  readonly pool: BatchBufferPool = new BatchBufferPool()
  readonly #cluster: Cluster
  readonly #catalog: TopicCatalog
  readonly #claims: ClaimBook
  readonly #reader: TopicReader
  readonly #transactional: ProducerSession
  readonly #alone: ProducerSession
  readonly #state: ChangelogWriter | undefined
  readonly #sender: BatchSender
  #tail: Promise<unknown> = Promise.resolve()

  /**
   * @param transactionalId Used by nobody else.
   * @param state Writes state, if the engine keeps it.
   */
  constructor(
    cluster: Cluster,
    catalog: TopicCatalog,
    claims: ClaimBook,
    reader: TopicReader,
    transactionalId: string,
    state: ChangelogWriter | undefined,
  ) {
    this.#cluster = cluster
    this.#catalog = catalog
    this.#claims = claims
    this.#reader = reader
    this.#transactional = new ProducerSession(cluster, transactionalId)
    this.#alone = new ProducerSession(cluster, null)
    this.#sender = new BatchSender(cluster, catalog, this.#patience)
    this.#state = state
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
      const { batches, progress, state } = only.unit
      const startMs = this.#cluster.clock.monotonicMs()
      const isAlone = more.length === 0 && progress.length === 0 && state.length === 0 && batches.length === 1
      const stop = isAlone ? await this.#publish(only, answers) : await this.#transact(open, answers, isMerging)
      if (stop === undefined) continue
      if (stop.kind === 'refused') {
        // A batch that was put together out of several must not be held against all of them.
        const isOfOne = [...stop.answers.values()].some(isForContent)
        if (isMerging && isOfOne && stop.answers.size > 1) isMerging = false
        else for (const [index, answer] of stop.answers) answers.set(index, answer)
      } else if (++sessions <= sessionsMax) {
        await this.#state?.pauseAfter(sessions, this.#cluster.clock.monotonicMs() - startMs)
      } else {
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
      const lost = claimsOf(unit).find((claim) => this.#claims.holding(claim) === undefined)
      const gone = unit.batches.find(({ partitionId }) => this.#partition(partitionId).isGone)
      if (lost !== undefined) answers.set(index, fenced(lost))
      else if (gone !== undefined) answers.set(index, goneAnswer(gone.partitionId))
      else if (isEmpty(unit)) {
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
      const stop = await this.#sender.produce(session, [batch])
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
    const state = open.some(({ unit }) => unit.state.length > 0) ? this.#state : undefined
    const session = state?.needsSession(open) === true ? state.session : this.#transactional
    const plan = new OffsetPlan(this.#cluster, this.#catalog, this.#claims, open)
    if (plan.refused.size > 0) return { kind: 'refused', answers: plan.refused }
    let changes: ChangelogPlan | undefined
    let rounds: OutgoingBatch[][] = []
    let stop: Stop | undefined
    try {
      await session.ready(this.#patience)
      changes = await state?.plan(open)
      if (changes !== undefined && changes.refused.size > 0) return { kind: 'refused', answers: changes.refused }
      rounds = this.#rounds(open, isMerging)
      const stateRounds = state?.seal(changes as ChangelogPlan, this.pool, isMerging) ?? []
      for (const [i, batches] of stateRounds.entries()) rounds[i] = [...(rounds[i] ?? []), ...batches]
      if (rounds.length > 0 || !plan.isEmpty) {
        stop =
          (await this.#sender.addPartitions(session, rounds.flat())) ?? (await plan.addGroups(session, this.#patience))
        if (stop === undefined) {
          // Both to their end: what is still being sent stands in buffers that are given back afterwards.
          const ways = await Promise.allSettled([
            this.#sender.produceRounds(session, rounds),
            plan.commit(session, this.#patience),
          ])
          for (const way of ways) if (way.status === 'rejected') throw way.reason
          stop = ways
            .map((way) => (way.status === 'fulfilled' ? way.value : undefined))
            .find((one) => one !== undefined)
        }
        stop ??= await this.#made(session, changes, rounds.flat())
      }
    } catch (error) {
      // Unless its end was asked for, the brokers undo it at the latest when its time is over.
      session.reset()
      throw error
    } finally {
      for (const batch of rounds.flat()) if (batch.parts.length > 1) this.pool.release(batch.bytes)
    }
    if (stop !== undefined) {
      session.reset(stop.kind === 'session-over')
      // Undone at once, not with the next commit: until then nobody reads past it. Should that fail, its time runs out.
      if (stop.kind === 'refused') await session.ready({ limitMs: abortMs }).catch(() => undefined)
      return stop
    }
    plan.apply()
    for (const one of open) answers.set(one.index, committedAnswer(one, rounds.flat()))
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

  /** Ends a transaction, and takes its state over before anybody can read what stands beside it. */
  async #made(
    session: ProducerSession,
    changes: ChangelogPlan | undefined,
    batches: readonly OutgoingBatch[],
  ): Promise<Stop | undefined> {
    if (changes === undefined) return this.#end(session, batches)
    const ended = Promise.withResolvers<void>()
    this.#reader.ending = ended.promise
    try {
      const stop = await this.#end(session, batches)
      if (stop === undefined) await changes.apply()
      return stop
    } finally {
      this.#reader.ending = undefined
      ended.resolve()
    }
  }

  /** From the first time that its end is asked for, a transaction may be made: asked again until the answer is known. */
  async #end(session: ProducerSession, batches: readonly OutgoingBatch[]): Promise<Stop | undefined> {
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
      // An id that nobody else uses has its epoch moved only when the brokers undo what took too long: it was not made.
      // That of the changelog is taken over by others, also after an end whose answer was lost; the log knows.
      if (endsSession(code)) {
        if (session !== this.#state?.session || !(await this.#hold(batches))) return { kind: 'session-over', code }
        session.reset(true)
        return undefined
      }
      throw refusalOf('EndTxn', code, id)
    } catch (error) {
      session.reset()
      throw this.#unlessKnown(error, startMs)
    }
  }

  /** Whether the batches of a transaction are there. One that only commits offsets does no harm when it is made twice. */
  async #hold([first]: readonly OutgoingBatch[]): Promise<boolean> {
    return first !== undefined && this.#reader.isCommitted(first.partition, first.baseOffset)
  }

  /** Without an answer, whether by lost connections or because the engine closed, the outcome is not known. */
  #unlessKnown(error: unknown, startMs: number): unknown {
    const { code } = error as Partial<MillraceError>
    if (!connectionCodes.has(code ?? '')) return error
    return new KafkaOutcomeUnknownError(Math.round(this.#cluster.clock.monotonicMs() - startMs), { cause: error })
  }
}

function committedAnswer({ index, unit }: OpenUnit, batches: readonly OutgoingBatch[]): UnitResult {
  const baseOffsets: number[] = []
  for (const { parts, baseOffset } of batches) {
    let at = baseOffset
    for (const part of parts) {
      if (part.unit === index && part.batch >= 0) baseOffsets[part.batch] = at
      at += part.recordCount
    }
  }
  return { kind: 'committed', baseOffsets: baseOffsets.slice(0, unit.batches.length), appended: [] }
}

/** Nothing of it needs the brokers. */
function isEmpty({ batches, state, progress }: UnitCommand): boolean {
  return batches.length === 0 && state.length === 0 && progress.every(({ done }) => done.length === 0)
}

function fenced(claim: Claim): UnitResult {
  return { kind: 'conflict', conflict: { kind: 'fenced', claim } }
}

function isForContent(answer: UnitResult): boolean {
  if (answer.kind !== 'refused' || answer.refusal.kind !== 'engine') return false
  const { details } = answer.refusal.error as Partial<MillraceError<string, { readonly errorCode?: number }>>
  return details?.errorCode !== undefined && isOfContent(details.errorCode)
}
