import type { DatabaseSync, StatementSync } from 'node:sqlite'
import {
  type BatchCommand,
  CompactionSchedule,
  isExpected,
  type UnitCommand,
  type UnitResult,
} from '../../committing/index.ts'
import type { Appended } from '../../engine/index.ts'
import { FileDamagedError } from '../errors.ts'
import { Counter } from './counter.ts'
import { EventWriter } from './event-writer.ts'
import { maintenanceOf } from './maintenance.ts'
import { ProgressWriter } from './progress-writer.ts'
import type { MaintenanceTotals, StoreAnswer, StoreRequest } from './protocol.ts'
import { StateWriter } from './state-writer.ts'
import { raiseMarks } from './stored-partition.ts'
import { TimerWriter } from './timer-writer.ts'
import { TopicWriter } from './topic-writer.ts'

/** Steps of maintenance between which others may commit. */
const maintenanceStepsMax = 8

/** Result codes of SQLite, see its documentation "Result and Error Codes". */
const sqliteFull = 13

/** Whether an error with this code took one transaction back and nothing else. */
export function isFullCode(errcode: number): boolean {
  return (errcode & 0xff) === sqliteFull
}

/**
 * The writing side of the file: turns requests into transactions, one after the other.
 *
 * It runs in the writer thread, or in the caller's thread for a database in memory. Nothing here waits: each call returns
 * when its transaction is committed and, in a file, synced.
 */
export class Store {
  readonly #db: DatabaseSync
  readonly #begin: StatementSync
  readonly #commit: StatementSync
  readonly #topics: TopicWriter
  readonly #events: EventWriter
  readonly #state: StateWriter
  readonly #timers: TimerWriter
  readonly #progress: ProgressWriter
  readonly #schedule = new CompactionSchedule()
  #maintenance: Generator<void, MaintenanceTotals> | undefined
  #failure: { readonly error: unknown } | undefined
  /** How often what was on its way to a partition was taken back; see {@link UnsyncedTail}. */
  readonly #rollbackCounts = new Map<number, number>()
  /** Partitions that were counted in the transaction at hand: should it fail, all of it is taken back together, and counted once. */
  #countedNow: number[] = []

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#begin = db.prepare('BEGIN IMMEDIATE')
    this.#commit = db.prepare('COMMIT')
    this.#topics = new TopicWriter(db)
    this.#events = new EventWriter(db)
    this.#state = new StateWriter(db)
    this.#timers = new TimerWriter(db)
    this.#progress = new ProgressWriter(db)
    // Claims on partitions are told from those of earlier openings by it.
    const openings = new Counter(db, 'opening')
    openings.write(openings.read() + 1)
  }

  /**
   * Carries a request out. What fails for anything but a full disk is the end: after a failed sync nobody knows what the disk
   * holds, so what comes after it, also what was on its way already, is refused with the same error.
   */
  handle<R extends StoreRequest>(request: R): StoreAnswer<R> {
    if (this.#failure !== undefined && request.kind !== 'close') throw this.#failure.error
    try {
      return this.#dispatch(request) as StoreAnswer<R>
    } catch (error) {
      if (!(error instanceof Error && 'errcode' in error && isFullCode(Number(error.errcode))))
        this.#failure = { error }
      if (request.kind === 'commit') {
        for (const id of this.#countedNow) this.#rollbackCounts.set(id, this.#rollbackCountOf(id) - 1)
        this.#countRollback(request.units)
      }
      throw error
    }
  }

  #dispatch(request: StoreRequest): unknown {
    switch (request.kind) {
      case 'commit':
        this.#countedNow = []
        return this.#transaction(() => request.units.map((unit) => this.#answerTo(unit, request.timeMs, request.arena)))
      case 'create-topic':
        return this.#transaction(() => this.#topics.createTopic(request.name, request.config))
      case 'alter-topic':
        return this.#transaction(() => this.#topics.alterTopic(request.topicId, request.config))
      case 'delete-topic':
        this.#progress.forget()
        return this.#transaction(() => this.#topics.deleteTopic(request.topicId) ?? null)
      case 'truncate-partition':
        return this.#transaction(() => this.#truncatePartition(request.partitionId, request.beforeOffset))
      case 'register-producer':
        return this.#transaction(() => this.#topics.registerProducer(request.name))
      case 'maintain':
        return this.#maintain(request)
      case 'put-progress':
        return this.#transaction(() => {
          for (const { group, partitionId, next } of request.entries) this.#progress.put(group, partitionId, next)
          return null
        })
      case 'delete-group':
        return this.#transaction(() => this.#progress.deleteGroup(request.group) ?? null)
      case 'truncate-stream':
        return this.#transaction(() => this.#events.truncate(request.stream, request.beforeVersion))
      case 'delete-stream':
        return this.#transaction(() => this.#events.delete(request.stream, request.tombstone))
      case 'add-tags':
        return this.#transaction(() => this.#events.addTags(request.events))
      case 'checkpoint':
        this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
        return null
      case 'close':
        return this.#close()
    }
  }

  /** Everything in `work` becomes real with one sync, or nothing does and what was cached is forgotten. */
  #transaction<T>(work: () => T): T {
    this.#begin.run()
    try {
      const result = work()
      this.#progress.flush()
      this.#commit.run()
      return result
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      this.#topics.forget()
      this.#events.forget()
      this.#state.forget()
      this.#timers.forget()
      this.#progress.forget()
      throw error
    }
  }

  /** Commits a unit or refuses it, and counts what is taken back thereby. */
  #answerTo(unit: UnitCommand, timeMs: number, arena: Uint8Array): UnitResult {
    const result = this.#commitUnit(unit, timeMs, arena)
    const isGone = result.kind === 'refused' && result.refusal.kind === 'partition-gone'
    if (isGone || (result.kind === 'conflict' && isExpected(unit.progress, unit.appends, unit.batches)))
      this.#countRollback([unit])
    return result
  }

  /** Checks the whole unit, then writes it: a unit that is refused leaves no trace among its neighbours. */
  #commitUnit(unit: UnitCommand, timeMs: number, arena: Uint8Array): UnitResult {
    const duplicates = new Map<BatchCommand, number>()
    const ahead = new Map<string, number>()
    for (const batch of unit.batches) {
      const plan = this.#topics.check(batch, ahead)
      if (plan.kind === 'duplicate') duplicates.set(batch, plan.baseOffset)
      else if (plan.kind !== 'write') return { kind: 'refused', refusal: plan }
    }
    // What it rests on was taken back, and whoever sent it did not know yet.
    const baseless = unit.progress.find(
      ({ partitionId, rollbackCount = this.#rollbackCountOf(partitionId) }) =>
        rollbackCount !== this.#rollbackCountOf(partitionId),
    )
    if (baseless !== undefined) return { kind: 'conflict', conflict: { kind: 'fenced', claim: baseless.claim } }
    const conflict = this.#state.check(unit.state) ?? this.#timers.check(unit.timers)
    if (conflict !== undefined) return { kind: 'conflict', conflict }
    const plans = this.#events.check(unit.appends)
    const refused = plans.at(-1)
    if (refused?.kind === 'conflict') return { kind: 'conflict', conflict: refused.conflict }

    const baseOffsets = unit.batches.map((batch) => duplicates.get(batch) ?? this.#topics.write(batch))
    const appended = unit.appends.map((command, i): Appended => {
      const plan = plans[i]
      return plan?.kind === 'duplicate' ? plan.appended : this.#events.write(command, timeMs, arena)
    })
    for (const command of unit.state) this.#state.apply(command)
    for (const command of unit.timers) this.#timers.apply(command)
    for (const command of unit.progress) this.#progress.advance(command)
    return { kind: 'committed', baseOffsets, appended }
  }

  /** Counted once for each partition of what is taken back together, as the sender does. */
  #countRollback(units: readonly UnitCommand[]): void {
    const partitions = new Set(units.flatMap(({ batches }) => batches.map(({ partitionId }) => partitionId)))
    for (const id of partitions) this.#rollbackCounts.set(id, this.#rollbackCountOf(id) + 1)
    this.#countedNow.push(...partitions)
  }

  #rollbackCountOf(partitionId: number): number {
    return this.#rollbackCounts.get(partitionId) ?? 0
  }

  /** A few steps of maintenance; `null` as long as more is to be done. */
  #maintain({ nowMs, ends, onlyDue }: Extract<StoreRequest, { kind: 'maintain' }>): MaintenanceTotals | null {
    const transaction = <T>(work: () => T): T => this.#transaction(work)
    if (this.#maintenance === undefined) this.#noteEnds()
    const schedule = this.#schedule
    const maintenance = this.#maintenance ?? maintenanceOf(this.#db, nowMs, transaction, { ends, schedule, onlyDue })
    // Kept only when there is more to do: a generator that threw is at its end and would say so for ever.
    this.#maintenance = undefined
    for (let i = 0; i < maintenanceStepsMax; i++) {
      const step = maintenance.next()
      if (step.done === true) return step.value
    }
    this.#maintenance = maintenance
    return null
  }

  #noteEnds(): void {
    if (!this.#topics.hasEndsToNote) return
    try {
      this.#transaction(() => this.#topics.noteEnds())
    } catch (error) {
      // Readers and maintenance tell of it.
      if (!(error instanceof FileDamagedError)) throw error
    }
  }

  #close(): null {
    try {
      // Statistics are of use, not of need: a full disk keeps nobody from closing. After a failure they would meet what failed once
      // more, such as a lock that is waited for, and hold the closing up.
      if (this.#failure === undefined) {
        this.#noteEnds()
        this.#db.exec('PRAGMA optimize')
      }
    } catch (error) {
      if (!(error instanceof Error && 'errcode' in error)) throw error
    } finally {
      this.#db.close()
    }
    return null
  }

  #truncatePartition(partitionId: number, beforeOffset: number): number {
    const end = this.#topics.endOf(partitionId)
    const before = Math.min(beforeOffset, end)
    this.#db.prepare('DELETE FROM batch WHERE partition_id = ? AND last_offset < ?').run(partitionId, before)
    return raiseMarks(this.#db, partitionId, { startOffset: before, endFloor: end })?.startOffset ?? before
  }
}
