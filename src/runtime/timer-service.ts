import type { Engine, Timer, TimerWrite } from '../engine/index.ts'
import type { Clock, Timer as ClockTimer, Json } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import type { PlannedTimer } from './effect-plan.ts'
import { escapedSegment } from './namespaces.ts'
import type { PartitionReader } from './partition-reader.ts'
import { Task } from './task.ts'

/** What a timer carries: its name, its key, its data, and what its messages inherit from. */
export interface TimerPayload {
  readonly id: string
  readonly key: string
  readonly data: Json
  readonly origin: {
    readonly id: string
    readonly source: string
    readonly type: string
    readonly time: string
    readonly correlationid: string
    readonly traceparent: string | null
    readonly tracestate: string | null
  }
}

interface Owner {
  readonly name: string
  readonly reader: PartitionReader
  nextDueMs: number | undefined
  readonly inFlight: Map<string, Task>
  /** Revisions of those that are done, and may still stand in what is being read. */
  readonly settled: Map<string, number>
  /** As many are being handled as may be: it is looked for more when half of them are done. */
  isFull: boolean
  readonly stopListening: () => void
}

/** The wall clock may jump forward: it is looked at this often while a timer waits. */
const lookEveryMs = 1000
/** So many are read at a time, and handled at once. */
const dueMax = 256
const inFlightMax = 1024

/**
 * Durable timers of one handler: finds those that are due and hands them to the lanes of their keys. Never early; at most a
 * second late, unless the key is busy.
 *
 * Who owns the partition of the message that scheduled a timer fires it. Where keys are not the partition keys of one topic,
 * the same key may come up on several partitions: then all timers belong to the owner of the first partition.
 */
export class TimerService {
  readonly #engine: Engine
  readonly #group: string
  readonly #clock: Clock
  readonly #shared: { readonly topic: string } | undefined
  readonly #enqueue: (task: Task) => void
  readonly #onError: (error: unknown) => void
  readonly #owners = new Map<string, Owner>()
  #wakeUp: ClockTimer | undefined
  #wakeUpMs = 0
  #isFiring = false
  #closed = false

  constructor(options: {
    readonly engine: Engine
    readonly group: string
    readonly clock: Clock
    /** Set where keys are not those of one topic. */
    readonly shared: { readonly topic: string } | undefined
    readonly enqueue: (task: Task) => void
    readonly onError: (error: unknown) => void
  }) {
    this.#engine = options.engine
    this.#group = options.group
    this.#clock = options.clock
    this.#shared = options.shared
    this.#enqueue = options.enqueue
    this.#onError = options.onError
  }

  /** Whether it is being looked which timers are due: those are handed on next. */
  get isLooking(): boolean {
    return this.#isFiring
  }

  /** Starts to look after the timers of a partition. */
  async open(reader: PartitionReader): Promise<void> {
    const name = this.#ownerOf(reader)
    // An app whose handlers have timers does not start on an engine that keeps none.
    if (this.#closed || !this.#engine.capabilities.keeps.includes('timers')) return
    if (this.#shared !== undefined && (reader.topic !== this.#shared.topic || reader.partition !== 0)) return
    const owner: Owner = {
      name,
      reader,
      nextDueMs: undefined,
      inFlight: new Map(),
      settled: new Map(),
      isFull: false,
      stopListening: this.#engine.timers.onScheduled(name, (dueMs) => {
        if (owner.nextDueMs === undefined || dueMs < owner.nextDueMs) owner.nextDueMs = dueMs
        this.#arm()
      }),
    }
    this.#owners.get(name)?.stopListening()
    this.#owners.set(name, owner)
    const nextDueMs = await this.#engine.timers.nextDueMs(name)
    if (nextDueMs !== undefined && (owner.nextDueMs === undefined || nextDueMs < owner.nextDueMs)) {
      owner.nextDueMs = nextDueMs
    }
    this.#arm()
  }

  /** Leaves the timers of a partition, or all, alone. */
  close(reader?: PartitionReader): void {
    for (const [name, owner] of this.#owners) {
      if (reader !== undefined && owner.reader !== reader) continue
      owner.stopListening()
      this.#owners.delete(name)
    }
    if (this.#owners.size === 0) {
      this.#wakeUp?.cancel()
      this.#wakeUp = undefined
    }
  }

  /** Does nothing more, also not what is under way. */
  stop(): void {
    this.#closed = true
    this.close()
  }

  /** What a plan's timers are to the engine. */
  writes(task: Task, planned: readonly PlannedTimer[]): readonly TimerWrite[] {
    const owner = this.#ownerOf(task.reader)
    return planned.map((timer): TimerWrite => {
      const id = storedId(timer.id, task.key as string)
      const pending = this.#owners.get(owner)?.inFlight.get(id)
      // The timer that is being handled may schedule itself again.
      if (pending !== undefined && pending !== task) pending.obsolete = true
      if (timer.kind === 'cancel') return { kind: 'cancel', owner, id }
      const payload = payloadOf(timer.id, task.key as string, timer.data, task.message)
      return { kind: 'schedule', owner, id, dueMs: timer.dueMs, payload: payload as unknown as Json }
    })
  }

  /** A timer's task is done. */
  settled(task: Task): void {
    const timer = task.timer as Timer
    const owner = this.#owners.get(timer.owner)
    if (owner?.inFlight.get(timer.id) === task) {
      owner.inFlight.delete(timer.id)
      // What took the place of an obsolete one may still come to nothing.
      if (!task.obsolete) owner.settled.set(timer.id, timer.revision)
    }
    if (owner?.isFull !== true || owner.inFlight.size > inFlightMax / 2) return
    owner.isFull = false
    owner.nextDueMs = this.#clock.nowMs()
    this.#arm()
  }

  #ownerOf(reader: PartitionReader): string {
    return this.#shared === undefined ? `${this.#group}/${reader.topic}/${reader.partition}` : this.#group
  }

  /** Sets the one timer of the process for the next durable timer, or for the next look at the wall clock. */
  #arm(): void {
    if (this.#closed || this.#isFiring) return
    let nextMs = Number.POSITIVE_INFINITY
    for (const owner of this.#owners.values()) nextMs = Math.min(nextMs, owner.nextDueMs ?? nextMs)
    if (this.#wakeUp !== undefined) {
      if (nextMs >= this.#wakeUpMs) return
      this.#wakeUp.cancel()
      this.#wakeUp = undefined
    }
    if (nextMs === Number.POSITIVE_INFINITY) return
    const nowMs = this.#clock.nowMs()
    const delayMs = Math.max(0, Math.min(lookEveryMs, nextMs - nowMs))
    this.#wakeUpMs = nowMs + delayMs
    this.#wakeUp = this.#clock.setTimer(() => {
      this.#wakeUp = undefined
      this.#isFiring = true
      this.#fireDue().then(
        () => {
          this.#isFiring = false
          this.#arm()
        },
        (error: unknown) => {
          this.#isFiring = false
          if (!this.#closed) this.#onError(error)
        },
      )
    }, delayMs)
  }

  async #fireDue(): Promise<void> {
    const nowMs = this.#clock.nowMs()
    for (const owner of [...this.#owners.values()]) {
      if (owner.nextDueMs === undefined || owner.nextDueMs > nowMs) continue
      owner.nextDueMs = undefined
      if (owner.inFlight.size >= inFlightMax) owner.isFull = true
      else await this.#fireOf(owner, nowMs)
      // Those that are being handled stand in the store as due until they are done: look again a little later.
      if (owner.inFlight.size > 0)
        owner.nextDueMs = Math.min(nowMs + lookEveryMs, owner.nextDueMs ?? nowMs + lookEveryMs)
    }
  }

  /** Hands on what is due, and finds out when the first of the others is. */
  async #fireOf(owner: Owner, nowMs: number): Promise<void> {
    const { timers } = this.#engine
    const settledBefore = [...owner.settled]
    const limit = dueMax + owner.inFlight.size + owner.settled.size
    const due = await timers.due(owner.name, nowMs, limit)
    if (this.#closed || this.#owners.get(owner.name) !== owner) return
    for (const timer of due) this.#hand(owner, timer)
    if (due.length < limit) {
      // What is neither there any more nor was when this read began comes up in no later one.
      const ids = new Set(due.map(({ id }) => id))
      for (const [id, revision] of settledBefore) {
        if (!ids.has(id) && owner.settled.get(id) === revision) owner.settled.delete(id)
      }
    }
    let nextMs: number | undefined = nowMs
    if (due.length < limit) {
      // Those in flight stand before all that are still to come.
      const ahead = await timers.due(owner.name, Number.MAX_SAFE_INTEGER, owner.inFlight.size + owner.settled.size + 1)
      nextMs = ahead.find(({ dueMs }) => dueMs > nowMs)?.dueMs
    }
    if (nextMs !== undefined) owner.nextDueMs = Math.min(nextMs, owner.nextDueMs ?? nextMs)
  }

  #hand(owner: Owner, timer: Timer): void {
    if (owner.settled.get(timer.id) === timer.revision) return
    const earlier = owner.inFlight.get(timer.id)
    if (earlier?.timer?.revision === timer.revision && !earlier.obsolete) return
    const payload = timer.payload as unknown as TimerPayload
    const task = new Task('timer', owner.reader, payload.key, originOf(payload), 0, -1, timer.dueMs, timer)
    owner.inFlight.set(timer.id, task)
    this.#enqueue(task)
  }
}

/** Timers are named by id and key; ids hold no `/` then. */
function storedId(id: string, key: string): string {
  return `${escapedSegment(id)}/${key}`
}

function payloadOf(id: string, key: string, data: Json, message: Message): TimerPayload {
  return {
    id,
    key,
    data,
    origin: {
      id: message.id,
      source: message.source,
      type: message.type,
      time: message.time,
      correlationid: message.correlationid ?? message.id,
      traceparent: message.traceparent ?? null,
      tracestate: message.tracestate ?? null,
    },
  }
}

/** What a timer's messages inherit from: the message that scheduled it, without its data. */
export function originOf(payload: TimerPayload): Message {
  const { traceparent, tracestate, ...origin } = payload.origin
  return Object.freeze({
    specversion: '1.0',
    ...origin,
    datacontenttype: 'application/json',
    dataversion: 1,
    data: null,
    partitionkey: payload.key,
    ...(traceparent !== null && { traceparent }),
    ...(tracestate !== null && { tracestate }),
  } as const)
}
