import {
  ArgumentInvalidError,
  type Claim,
  type CommitOutcome,
  OutOfSequenceError,
  ProducerFencedError,
  ProducerUnknownError,
  TopicUnknownError,
  type WriteBatch,
} from '../engine/index.ts'
import { ByteBudget, type Clock, ClosedError, InvariantError, type MillraceError } from '../kernel/index.ts'
import type { BatchBufferPool } from '../record/index.ts'
import type { AppendCommand, CommitGroup, Refusal, UnitResult } from './commands.ts'
import { CommitStager, isUnconditional, packAppends } from './commit-stager.ts'
import type { PlaceCatalog } from './places.ts'
import { touchedBy } from './touched.ts'
import { type BatchDraft, positionsOf, UnitDraft } from './unit-draft.ts'
import { type EarlyListener, UnsyncedTails } from './unsynced-tails.ts'
import { WaitingLine } from './waiting-line.ts'

/** Groups on their way to the writer: while it syncs one, the next one already waits at its door. */
const groupsInFlightMax = 2
/** A group is sent when it reaches this size even if the writer is busy, so that no transaction grows without end. */
const groupBytesMax = 8 * 1024 * 1024
/**
 * From this weight on a group is worth a sync of its own: an idle writer begins with it while the rest of the turn is still
 * being encoded. Without it a thousand callers that answer one group all come back in the next one, and the two threads
 * work by turns, never at the same time.
 */
const groupWeightWorthwhile = 128 * 1024
/** What a unit weighs besides its bytes: about as many bytes as the writer could write while it checks one. */
const unitWeight = 512

/** Taken to be let in; what a commit really weighs is known, and taken, once it is encoded. */
const admissionBytes = 64

/** The way to the writing side, wherever it runs. Groups are written in the order of the calls. */
export interface GroupWriter {
  /** Where the bytes of commits come from. They belong to the group once it is given, and come back when it is answered. */
  readonly pool: BatchBufferPool
  commit(group: CommitGroup): Promise<readonly UnitResult[]>
  /** Whether the engine is finished by an error of `commit`, not only the group. */
  isFinal(error: Error): boolean
}

/** What a {@link CommitQueue} is made of. */
export interface CommitQueueParts {
  readonly writer: GroupWriter
  readonly catalog: PlaceCatalog
  readonly clock: Clock
  /** Commits waiting to be written, in bytes. */
  readonly bufferBytesMax: number
  readonly listener: CommitListener
  /** Claims can be lost to another process without this one knowing, so a commit under one can be refused. */
  readonly isProgressFenced?: boolean
  /** State may live with the owner of a partition. */
  readonly ownsState?: boolean
  /** Whether a claim is known to be over. Asked when a commit is let in, which may be long after it was made. */
  readonly isOver?: (claim: Claim) => boolean
}

/** What the queue tells the rest of the engine, after the sync and before the commit's promise resolves. */
export interface CommitListener extends EarlyListener {
  /** One batch stands in the log from `baseOffset` on. */
  published(draft: BatchDraft, baseOffset: number): void
  /** Everything else of the unit stands there too. */
  unitCommitted(unit: UnitDraft): void
  /** The engine stopped for good: whoever waits for something to come must be told. */
  failed(): void
}

/**
 * Turns concurrent commits into few transactions. Encoding happens in the caller's turn; all that has gathered while the
 * writer was busy becomes one group: one transaction, one sync.
 */
export class CommitQueue {
  readonly #writer: GroupWriter
  readonly #catalog: PlaceCatalog
  readonly #clock: Clock
  readonly #budget: ByteBudget
  readonly #stager: CommitStager
  readonly #listener: CommitListener
  readonly #tails: UnsyncedTails
  readonly #isProgressFenced: boolean
  readonly #isOver: (claim: Claim) => boolean
  #units: UnitDraft[] = []
  /** Back-pressure: calls that found the budget spent. */
  readonly #line: WaitingLine
  /** Bytes and units that wait to be sent. */
  #waitingWeight = 0
  /** Groups that were sent and have no answer yet, in this order. */
  readonly #inFlight = new Set<readonly UnitDraft[]>()
  #flushScheduled = false
  #closed = false
  #failure: Error | undefined
  /** Resolves when everything sent so far is answered. */
  #tail: Promise<unknown> = Promise.resolve()

  constructor(parts: CommitQueueParts) {
    this.#writer = parts.writer
    this.#catalog = parts.catalog
    this.#clock = parts.clock
    this.#budget = new ByteBudget('the commits waiting for the disk', parts.bufferBytesMax)
    this.#line = new WaitingLine(this.#budget)
    this.#stager = new CommitStager(parts.catalog, parts.writer.pool, parts.ownsState ?? false)
    this.#listener = parts.listener
    this.#tails = new UnsyncedTails(parts.listener)
    this.#isProgressFenced = parts.isProgressFenced ?? false
    this.#isOver = parts.isOver ?? (() => false)
  }

  /** Why the engine stopped, if it did. */
  get failure(): Error | undefined {
    return this.#failure
  }

  commit(batch: WriteBatch, signal?: AbortSignal): Promise<CommitOutcome> {
    try {
      this.#refuseIfDone()
      signal?.throwIfAborted()
      const entersAtOnce = this.#line.isEmpty && this.#budget.tryAcquire(admissionBytes)
      return new Promise((resolve, reject) => {
        if (entersAtOnce) this.#enter(batch, resolve, reject)
        else this.#line.join(admissionBytes, signal, () => this.#enter(batch, resolve, reject), reject)
      })
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Does something else with the writing side after all commits made so far, in order with them. */
  async inOrder<T>(work: () => Promise<T>): Promise<T> {
    this.#refuseIfDone()
    if (!this.#line.isEmpty) await this.#line.passed()
    if (this.#failure !== undefined) throw this.#failure
    while (this.#units.length > 0) this.#sendGroup()
    const answer = work()
    this.#follow(answer.catch((error: Error) => this.#noteFailure(error)))
    return answer
  }

  /** Resolves when every commit made before is answered, also those that wait to be let in. */
  async settled(): Promise<void> {
    if (!this.#line.isEmpty) await this.#line.passed()
    while (this.#units.length > 0) this.#sendGroup()
    await this.#tail
  }

  /** Refuses what comes, and resolves when what came before is answered. */
  async close(): Promise<void> {
    this.#closed = true
    await this.settled()
  }

  /** Refuses a closed or failed engine. */
  #refuseIfDone(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#closed) throw new ClosedError('The engine')
  }

  /** The tail moves on to one more promise, which never rejects. */
  #follow(last: Promise<unknown>): void {
    const before = this.#tail
    this.#tail = last.then(() => before)
  }

  #enter(batch: WriteBatch, resolve: (outcome: CommitOutcome) => void, reject: (error: Error) => void): void {
    const over = batch.progress?.find(({ claim }) => this.#isOver(claim))
    if (over !== undefined) {
      this.#budget.release(admissionBytes)
      resolve({ ok: false, conflict: { kind: 'fenced', claim: over.claim } })
      return
    }
    let open: UnitDraft | undefined
    try {
      const shared = isUnconditional(batch, this.#isProgressFenced) && !this.#stager.restsOnUnsynced(batch)
      const last = this.#units.at(-1)
      open = shared && last?.shared === true && last.bytes < groupBytesMax ? last : undefined
      const unit = open ?? new UnitDraft(shared)
      const bytes = this.#stage(unit, batch, resolve, reject)
      unit.bytes += bytes + admissionBytes
      this.#waitingWeight += bytes
      if (open === undefined) {
        this.#units.push(unit)
        this.#waitingWeight += unitWeight
      }
    } catch (error) {
      this.#budget.release(admissionBytes)
      // What cannot even be walked over has another shape than the compiler was told.
      const { message } = error as Error
      throw error instanceof TypeError ? new ArgumentInvalidError('the batch', `is misshapen (${message})`) : error
    }
    if (this.#waitingWeight >= groupWeightWorthwhile && this.#inFlight.size < groupsInFlightMax) this.#sendGroup()
    else this.#scheduleFlush()
  }

  /** Encodes a commit into a unit, and tells what that takes of the budget. */
  #stage(
    unit: UnitDraft,
    batch: WriteBatch,
    resolve: (outcome: CommitOutcome) => void,
    reject: (error: Error) => void,
  ): number {
    const { slots, bytes } = this.#stager.stage(batch, unit, this.#clock.nowMs())
    unit.commits.push({ batch, slots, appendCount: batch.append?.length ?? 0, resolve, reject })
    this.#budget.overdraw(bytes)
    // Before the flush is scheduled: what is read early in this turn can be handled and committed with the same group.
    this.#tails.staged(unit, slots)
    return bytes
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#inFlight.size >= groupsInFlightMax) return
    this.#flushScheduled = true
    // One turn later everything that the current turn publishes has gathered.
    setImmediate(() => {
      this.#flushScheduled = false
      if (this.#units.length > 0 && this.#inFlight.size < groupsInFlightMax) this.#sendGroup()
    })
  }

  /** Hands the oldest units over, as many as fit one group. */
  #sendGroup(): void {
    let count = 0
    let bytes = 0
    while (count < this.#units.length && (count === 0 || bytes < groupBytesMax)) {
      bytes += (this.#units[count] as UnitDraft).bytes
      count++
    }
    const units = this.#units.splice(0, count)
    // What a group of greatest size leaves behind is sent as soon as there is room again, whatever it weighs.
    this.#waitingWeight = 0
    this.#follow(this.#send(units))
  }

  /** Resolves when every commit of the units is answered. */
  #send(units: readonly UnitDraft[]): Promise<void> {
    this.#inFlight.add(units)
    const drafts = units.map((unit) => unit.drafts)
    return this.#hand(units)
      .then(
        (results) => this.#answered(units, drafts, results),
        (error: Error) => this.#failed(units, error),
      )
      .catch((error: unknown) => this.#broke(units, error))
  }

  /** A fault of ours while answers were given: whoever has none yet gets this one, and the engine stops. */
  #broke(units: readonly UnitDraft[], cause: unknown): void {
    const error = new InvariantError('every commit that the writer answered is told', { cause })
    this.#inFlight.delete(units)
    for (const unit of units) for (const { reject } of unit.commits) reject(error)
    this.#noteFailure(error)
  }

  /** Seals units and sends them. What was staged can be sealed: anything else is a fault of ours, which stops the engine. */
  #hand(units: readonly UnitDraft[]): Promise<readonly UnitResult[]> {
    try {
      const { arena, appends } = packAppends(units, this.#writer.pool)
      return this.#writer.commit({
        timeMs: this.#clock.nowMs(),
        arena,
        units: units.map((unit, i) => ({
          batches: unit.drafts.map((draft) => draft.seal()),
          appends: appends[i] as readonly AppendCommand[],
          state: unit.state,
          timers: unit.timers,
          progress: unit.progress,
        })),
      })
    } catch (error) {
      return Promise.reject(new InvariantError('what was staged can be sent', { cause: error }))
    }
  }

  async #answered(
    units: readonly UnitDraft[],
    drafts: readonly (readonly BatchDraft[])[],
    results: readonly UnitResult[],
  ): Promise<void> {
    const apart: UnitDraft[] = []
    for (const [i, unit] of units.entries()) {
      const result = results[i] as UnitResult
      this.#budget.release(unit.bytes)
      const isSplit = unit.commits.length > 1 && mayConcernOne(result) && this.#failure === undefined
      if (isSplit) apart.push(...this.#split(unit, result, this.#stagedAfter(units, i)))
      else this.#answerUnit(unit, drafts[i] as readonly BatchDraft[], result)
    }
    this.#inFlight.delete(units)
    // Behind what was staged before them: those who read early go by that order.
    if (apart.length > 0) while (this.#units.length > 0) this.#sendGroup()
    const sent = apart.length > 0 ? this.#send(apart) : undefined
    this.#line.admit()
    if (this.#units.length > 0) this.#scheduleFlush()
    await sent
  }

  /** What was staged behind a unit of a group, whether it is answered by now or not. */
  #stagedAfter(units: readonly UnitDraft[], i: number): readonly UnitDraft[] {
    const groups = [...this.#inFlight]
    return [...units.slice(i + 1), ...groups.slice(groups.indexOf(units) + 1).flat(), ...this.#units]
  }

  /**
   * The commits of a unit that was refused, each in one of its own: but for those that would come behind what was committed after them
   * and changes the same. These are refused, as is what is wrong by now.
   */
  #split(unit: UnitDraft, result: Refused, later: readonly UnitDraft[]): UnitDraft[] {
    this.#tails.answered(unit, result)
    const taken = new Set(later.flatMap(({ commits }) => commits.flatMap(({ batch }) => touchedBy(batch))))
    return unit.commits.flatMap(({ batch, resolve, reject }) => {
      const alone = new UnitDraft(true)
      try {
        if (touchedBy(batch).some((one) => taken.has(one))) throw this.#refusalError(result.refusal)
        alone.bytes = this.#stage(alone, batch, resolve, reject)
        return [alone]
      } catch (error) {
        reject(error as Error)
        return []
      }
    })
  }

  #answerUnit(unit: UnitDraft, drafts: readonly BatchDraft[], result: UnitResult): void {
    this.#tails.answered(unit, result)
    if (result.kind === 'conflict') {
      for (const { resolve } of unit.commits) resolve({ ok: false, conflict: result.conflict })
      return
    }
    if (result.kind === 'refused') {
      for (const { reject } of unit.commits) reject(this.#refusalError(result.refusal))
      return
    }
    for (const [i, draft] of drafts.entries()) {
      draft.baseOffset = result.baseOffsets[i] as number
      this.#listener.published(draft, draft.baseOffset)
    }
    this.#listener.unitCommitted(unit)
    for (const { slots, appendCount, resolve } of unit.commits) {
      const published = slots.length === 0 ? noPositions : positionsOf(slots)
      // Appends are conditional at least on their ids, so a unit with appends has one commit.
      resolve({ ok: true, published, appended: appendCount === 0 ? noAppends : result.appended })
    }
  }

  #failed(units: readonly UnitDraft[], error: Error): void {
    this.#inFlight.delete(units)
    this.#noteFailure(error)
    if (this.#failure === undefined) this.#tails.failed(units)
    for (const unit of units) {
      this.#budget.release(unit.bytes)
      for (const { reject } of unit.commits) reject(error)
    }
    this.#line.admit()
    if (this.#units.length > 0) this.#scheduleFlush()
  }

  /**
   * After a failed sync nobody knows what the disk holds, and after a broken invariant nobody knows what the writer does:
   * every later commit is refused until the engine is reopened.
   */
  #noteFailure(error: Error): void {
    if (this.#failure !== undefined || !(error instanceof InvariantError || this.#writer.isFinal(error))) return
    this.#failure = error
    for (const unit of this.#units.splice(0)) {
      this.#budget.release(unit.bytes)
      for (const { reject } of unit.commits) reject(error)
    }
    this.#line.refuse(error)
    this.#listener.failed()
  }

  #refusalError(refusal: Refusal): Error {
    if (refusal.kind === 'engine') return refusal.error
    if (refusal.kind === 'producer-unknown') return new ProducerUnknownError(refusal.producerId)
    if (refusal.kind === 'producer-fenced') {
      return new ProducerFencedError(refusal.producerId, refusal.epoch, refusal.currentEpoch)
    }
    const partition = this.#catalog.partitionById(refusal.partitionId)
    if (refusal.kind === 'partition-gone') return new TopicUnknownError(partition?.topic ?? '')
    const { producerId, expected, sequence } = refusal
    return new OutOfSequenceError(producerId, partition?.topic ?? '', partition?.number ?? -1, expected, sequence)
  }
}

type Refused = Extract<UnitResult, { readonly kind: 'refused' }>

/** Whether a refusal of several commits may have to do with one of them only. What passes by itself has to do with none. */
function mayConcernOne(result: UnitResult): result is Refused {
  if (result.kind !== 'refused') return false
  const { refusal } = result
  return refusal.kind !== 'engine' || (refusal.error as Partial<MillraceError>).fault === undefined
}

const noPositions: readonly [] = Object.freeze([])
const noAppends: readonly [] = Object.freeze([])
