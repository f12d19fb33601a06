import type { Clock, Timer } from '../kernel/index.ts'
import { Condition } from './condition.ts'
import type { PartitionReader } from './partition-reader.ts'
import { done, keysOf, type Task, type TaskOutcome } from './task.ts'

/**
 * Tasks of one ordering key, or of several that one task has together: the first is running or waits for its next attempt, the others
 * wait for it.
 */
interface Lane {
  /** None: of a single task without a key. */
  readonly keys: readonly string[]
  head: Task
  readonly waiting: Task[]
  /** How many of `waiting` have left: shifting an array one by one would be slow for long ones. */
  takenCount: number
  retryTimer: Timer | undefined
  isRunning: boolean
  isDropped: boolean
}

/** What lanes need. */
export interface LaneOptions {
  /** Runs a task: the outcome at once, or later (never rejecting). */
  readonly run: (task: Task) => TaskOutcome | Promise<TaskOutcome>
  /** Whether new work may begin now: not while the commit is full or a breaker is open. */
  readonly mayRun: () => boolean
  readonly clock: Clock
  readonly concurrencyMax: number
  /** Something that must not happen did. */
  readonly onError: (error: unknown) => void
}

/**
 * Runs tasks: one after the other within an ordering key, side by side across keys. A task that finishes at once costs no
 * promise and leaves no lane behind. At most `concurrencyMax` tasks run at a time; those that wait are bounded by the readers.
 */
export class Lanes {
  /** Notified when a task finishes and when work may go on. */
  readonly changed: Condition = new Condition()
  readonly #options: LaneOptions
  readonly #byKey = new Map<string, Lane>()
  readonly #lanes = new Set<Lane>()
  /** A task with several keys of which one is busy, and what was submitted behind it: in order. */
  #atGate: Task[] = []
  #ready: Lane[] = []
  #runningCount = 0
  /** Readers whose partitions are being given away: their tasks get no further attempt here. */
  readonly #leaving = new WeakSet<PartitionReader>()

  constructor(options: LaneOptions) {
    this.#options = options
  }

  get isEmpty(): boolean {
    return this.#lanes.size === 0 && this.#atGate.length === 0
  }

  /** Whether a task for a key that is not busy could begin now. */
  get hasRoom(): boolean {
    if (this.#ready.length > 0 || this.#atGate.length > 0) return false
    return this.#runningCount < this.#options.concurrencyMax && this.#options.mayRun()
  }

  /** Runs the task now, or puts it behind those of its key. Call it when there is room. */
  submit(task: Task): void {
    if (this.#waitsAtGate(task)) {
      this.#atGate.push(task)
      return
    }
    const lane = task.key === undefined || this.#byKey.size === 0 ? undefined : this.#byKey.get(task.key)
    if (lane !== undefined) {
      lane.waiting.push(task)
      return
    }
    const outcome = this.#options.run(task)
    if (outcome !== done) this.#follow(this.#newLane(task), outcome)
  }

  /** Puts a task into its lane without running it in this call. */
  enqueue(task: Task): void {
    if (task.keys !== undefined && this.#waitsAtGate(task)) {
      this.#atGate.push(task)
      return
    }
    const lane = task.key === undefined ? undefined : this.#byKey.get(task.key)
    if (lane !== undefined) lane.waiting.push(task)
    else {
      this.#ready.push(this.#newLane(task))
      this.wake()
    }
  }

  /** Lets lanes that waited for room go on. */
  wake(): void {
    if (this.#ready.length > 0) {
      queueMicrotask(() => this.#runReady())
    } else {
      this.changed.notify()
    }
  }

  /** Drops everything: outcomes of what still runs are ignored. */
  clear(): void {
    for (const lane of this.#lanes) {
      lane.isDropped = true
      lane.retryTimer?.cancel()
    }
    this.#lanes.clear()
    this.#byKey.clear()
    this.#ready = []
    this.#atGate = []
    this.#runningCount = 0
    this.changed.notify()
  }

  /** Drops the tasks of one partition that are not running, and those that run as soon as an attempt has failed. */
  dropWaiting(reader: PartitionReader): void {
    this.#leaving.add(reader)
    this.#atGate = this.#atGate.filter((task) => task.reader !== reader)
    for (const lane of [...this.#lanes]) {
      const kept = lane.waiting.slice(lane.takenCount).filter((task) => task.reader !== reader)
      lane.waiting.splice(0, lane.waiting.length, ...kept)
      lane.takenCount = 0
      if (lane.isRunning || lane.head.reader !== reader) continue
      lane.retryTimer?.cancel()
      lane.retryTimer = undefined
      this.#ready = this.#ready.filter((ready) => ready !== lane)
      const next = this.#takeNext(lane)
      if (next === undefined) this.#remove(lane)
      else {
        lane.head = next
        this.#ready.push(lane)
      }
    }
    this.#openGate()
    this.wake()
  }

  /** Whether a task of this partition is running or waiting. */
  holds(reader: PartitionReader): boolean {
    if (this.#atGate.some((task) => task.reader === reader)) return true
    for (const lane of this.#lanes) {
      if (lane.head.reader === reader) return true
      for (let index = lane.takenCount; index < lane.waiting.length; index++) {
        if ((lane.waiting[index] as Task).reader === reader) return true
      }
    }
    return false
  }

  /** Tasks that wait for this one to end, the next first. */
  behind({ key }: Task): readonly Task[] {
    const lane = key === undefined ? undefined : this.#byKey.get(key)
    return lane === undefined ? [] : lane.waiting.slice(lane.takenCount)
  }

  #newLane(task: Task): Lane {
    const lane: Lane = {
      keys: keysOf(task),
      head: task,
      waiting: [],
      takenCount: 0,
      retryTimer: undefined,
      isRunning: false,
      isDropped: false,
    }
    this.#lanes.add(lane)
    for (const key of lane.keys) this.#byKey.set(key, lane)
    return lane
  }

  #follow(lane: Lane, outcome: TaskOutcome | Promise<TaskOutcome>): void {
    if (typeof outcome === 'number') {
      if (this.#leaving.has(lane.head.reader)) {
        this.#next(lane)
        return
      }
      lane.retryTimer = this.#options.clock.setTimer(() => {
        lane.retryTimer = undefined
        this.#ready.push(lane)
        this.#runReady()
      }, outcome)
      return
    }
    lane.isRunning = true
    this.#runningCount++
    const goOn = (later: TaskOutcome): void => {
      if (lane.isDropped) return
      lane.isRunning = false
      this.#runningCount--
      if (later === done) this.#next(lane)
      else this.#follow(lane, later)
      this.wake()
    }
    outcome.then(goOn).catch(this.#options.onError)
  }

  /** Goes on with the tasks of a lane whose head is done. */
  #next(lane: Lane): void {
    for (;;) {
      const task = this.#takeNext(lane)
      if (task === undefined) {
        this.#remove(lane)
        return
      }
      lane.head = task
      if (!this.#options.mayRun()) {
        this.#ready.push(lane)
        return
      }
      const outcome = this.#options.run(task)
      if (lane.isDropped) return
      if (outcome !== done) {
        this.#follow(lane, outcome)
        return
      }
    }
  }

  #runReady(): void {
    while (this.#ready.length > 0 && this.#runningCount < this.#options.concurrencyMax && this.#options.mayRun()) {
      const lane = this.#ready.shift() as Lane
      if (lane.isDropped) continue
      const outcome = this.#options.run(lane.head)
      if (lane.isDropped) continue
      if (outcome === done) this.#next(lane)
      else this.#follow(lane, outcome)
    }
    this.changed.notify()
  }

  #takeNext(lane: Lane): Task | undefined {
    const task = lane.waiting[lane.takenCount]
    if (task === undefined) return undefined
    if (++lane.takenCount > 1024) {
      lane.waiting.splice(0, lane.takenCount)
      lane.takenCount = 0
    }
    return task
  }

  #remove(lane: Lane): void {
    this.#lanes.delete(lane)
    for (const key of lane.keys) if (this.#byKey.get(key) === lane) this.#byKey.delete(key)
    this.#openGate()
  }

  /** Whether a task has to wait, for a key that is busy or for one that does. */
  #waitsAtGate({ keys }: Task): boolean {
    return this.#atGate.length > 0 || keys?.some((key) => this.#byKey.has(key)) === true
  }

  /** Lets those in whose keys are free by now, in a turn of their own. */
  #openGate(): void {
    let task = this.#atGate[0]
    while (task !== undefined && !(task.keys ?? []).some((key) => this.#byKey.has(key))) {
      this.#atGate.shift()
      const lane = task.key === undefined ? undefined : this.#byKey.get(task.key)
      if (lane !== undefined) lane.waiting.push(task)
      else this.#ready.push(this.#newLane(task))
      task = this.#atGate[0]
    }
  }
}
