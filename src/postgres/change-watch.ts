import type { Clock, Timer } from '../kernel/index.ts'
import { isChangedSince } from './changed-since.ts'
import type { StatementPool } from './statement-pool.ts'
import { type NamedStatement, numberOf, type Row } from './statements.ts'

/** The shortest time between two looks, in milliseconds: right after something was found. */
const pollMsLeast = 5

/** Somebody who waits for one thing to change, and is woken once. */
type Waiter = () => void

/** Says when a timer of an owner was scheduled elsewhere. */
type TimerListener = (dueMs: number) => void

/**
 * Looks for what other processes commit to events, state and timers, as long as somebody waits for it: one statement for all
 * who wait. It looks often after something was found and ever more rarely after that; a notification from another process
 * makes it look at once, but nothing rests on notifications.
 *
 * State and timers are found by the transactions that wrote them: whatever the snapshot of the last look did not see, in
 * whatever order transactions began and ended, this one finds or the next one will.
 */
export class ChangeWatch {
  readonly #pool: StatementPool
  readonly #clock: Clock
  readonly #pollMsMost: number
  readonly #instanceId: string
  readonly #look: NamedStatement
  readonly #eventWaiters = new Set<Waiter>()
  readonly #stateWaiters = new Map<string, Set<Waiter>>()
  readonly #timerListeners = new Map<string, Set<TimerListener>>()
  /** Owners that somebody began to listen to since the last look: what it found does not count for them. */
  readonly #freshOwners = new Set<string>()
  /** Of the last look; undefined: nobody has looked since somebody began to wait. */
  #snapshot: string | undefined
  #lastPosition = -1
  #intervalMs: number
  #timer: Timer | undefined
  #isLooking = false
  #isHinted = false
  #isClosed = false

  /** @param schema Quoted. */
  constructor(pool: StatementPool, clock: Clock, pollMs: number, schema: string, instanceId: string) {
    this.#pool = pool
    this.#clock = clock
    this.#pollMsMost = pollMs
    this.#intervalMs = pollMs
    this.#instanceId = instanceId
    this.#look = lookStatement(schema)
  }

  /** Calls `waiter` at the next append, or to have it look for itself. The function returned calls it off. */
  onAppend(waiter: Waiter): () => void {
    this.#eventWaiters.add(waiter)
    this.#schedule()
    return () => this.#eventWaiters.delete(waiter)
  }

  /** Calls `waiter` at the next change in the namespace, or to have it look for itself. */
  onState(namespace: string, waiter: Waiter): () => void {
    const waiters = this.#stateWaiters.get(namespace) ?? new Set()
    this.#stateWaiters.set(namespace, waiters.add(waiter))
    this.#schedule()
    return () => {
      waiters.delete(waiter)
      if (waiters.size === 0 && this.#stateWaiters.get(namespace) === waiters) this.#stateWaiters.delete(namespace)
    }
  }

  /** Calls `listener` whenever a timer of the owner was scheduled, here or elsewhere. */
  onTimer(owner: string, listener: TimerListener): () => void {
    const listeners = this.#timerListeners.get(owner) ?? new Set()
    this.#timerListeners.set(owner, listeners.add(listener))
    this.#freshOwners.add(owner)
    this.#schedule()
    return () => {
      listeners.delete(listener)
      if (listeners.size > 0 || this.#timerListeners.get(owner) !== listeners) return
      this.#timerListeners.delete(owner)
      this.#freshOwners.delete(owner)
    }
  }

  /** This process appended events itself. */
  appended(): void {
    wake(this.#eventWaiters)
  }

  /** This process changed a namespace itself. */
  stateChanged(namespace: string): void {
    wake(this.#stateWaiters.get(namespace))
  }

  /** A timer was scheduled. */
  scheduled(owner: string, dueMs: number): void {
    for (const listener of this.#timerListeners.get(owner) ?? []) tell(listener, dueMs)
  }

  /** Another process says that something may have changed. */
  hint(): void {
    this.#intervalMs = pollMsLeast
    this.#isHinted = true
    if (this.#hasWaiters) this.#lookNow()
  }

  /** Wakes everybody, to find the engine closed. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#wakeAll()
  }

  get #hasWaiters(): boolean {
    return this.#eventWaiters.size > 0 || this.#stateWaiters.size > 0 || this.#timerListeners.size > 0
  }

  #wakeAll(): void {
    wake(this.#eventWaiters)
    for (const waiters of [...this.#stateWaiters.values()]) wake(waiters)
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#isLooking || this.#isClosed) return
    if (!this.#hasWaiters) {
      this.#snapshot = undefined
      return
    }
    // Who begins to wait after a time in which nobody did has its first look at once.
    const delayMs = this.#snapshot === undefined ? 0 : Math.min(this.#intervalMs, this.#pollMsMost)
    this.#timer = this.#clock.setTimer(() => this.#lookNow(), delayMs, { unref: true })
  }

  #lookNow(): void {
    if (this.#isLooking || this.#isClosed) return
    this.#isLooking = true
    this.#isHinted = false
    this.#timer?.cancel()
    this.#timer = undefined
    const fresh = [...this.#freshOwners]
    this.#freshOwners.clear()
    const values = [this.#snapshot ?? null, [...this.#timerListeners.keys()], fresh, this.#instanceId]
    this.#pool.query(this.#look, values).then(
      ([row]) => this.#looked(row !== undefined && this.#found(row)),
      () => {
        // Each of them looks for itself, and is told by its own statement what is the matter.
        for (const owner of fresh) if (this.#timerListeners.has(owner)) this.#freshOwners.add(owner)
        this.#wakeAll()
        this.#looked(false)
      },
    )
  }

  /** Wakes whom the look concerns; whether there was anything new. */
  #found(row: Row): boolean {
    const isFirst = this.#snapshot === undefined
    const lastPosition = numberOf(row, 'last_position')
    const namespaces = JSON.parse(String(row['namespaces'])) as readonly string[]
    const timers = JSON.parse(String(row['timers'])) as readonly (readonly [owner: string, dueMs: number])[]
    const hasAppends = lastPosition > this.#lastPosition
    this.#snapshot = String(row['snapshot'])
    this.#lastPosition = lastPosition
    if (isFirst) this.#wakeAll()
    if (hasAppends) wake(this.#eventWaiters)
    for (const namespace of namespaces) wake(this.#stateWaiters.get(namespace))
    for (const [owner, dueMs] of timers) this.scheduled(owner, dueMs)
    return hasAppends || namespaces.length > 0 || timers.length > 0
  }

  #looked(isChanged: boolean): void {
    this.#isLooking = false
    this.#intervalMs = isChanged ? pollMsLeast : Math.min(this.#intervalMs * 2, this.#pollMsMost)
    if (this.#isHinted && this.#hasWaiters) this.#lookNow()
    else this.#schedule()
  }
}

function wake(waiters: Set<Waiter> | undefined): void {
  if (waiters === undefined) return
  const woken = [...waiters]
  waiters.clear()
  for (const waiter of woken) waiter()
}

/** A listener that throws must not keep others from being told: its error goes where uncaught ones go. */
function tell(listener: TimerListener, dueMs: number): void {
  try {
    listener(dueMs)
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}

/**
 * $1 is the snapshot of the last look or NULL, $2 the owners that somebody listens to, $3 those of whom nothing was found
 * yet, $4 this instance, whose own timers have been told.
 */
function lookStatement(schema: string): NamedStatement {
  const isNew = isChangedSince('changed', '$1')
  return {
    name: 'millrace_look',
    text: `SELECT pg_current_snapshot()::text AS snapshot, last_position,
        (SELECT coalesce(json_agg(name), '[]')::text FROM ${schema}.namespace WHERE id IN (
          SELECT namespace_id FROM ${schema}.state WHERE ${isNew})) AS namespaces,
        (SELECT coalesce(json_agg(json_build_array(owner, due_ms)), '[]')::text FROM (
          SELECT owner, min(due_ms) AS due_ms FROM ${schema}.timer
          WHERE scheduled_by <> $4::uuid AND (owner = ANY ($3::text[]) OR (owner = ANY ($2::text[]) AND ${isNew}))
          GROUP BY owner) AS due) AS timers
      FROM ${schema}.event_head`,
  }
}
