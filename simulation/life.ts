import { AsyncLocalStorage } from 'node:async_hooks'
import { type Clock, type Random, sleep, type Timer, uuidv7, type VirtualClock } from '../src/kernel/index.ts'
import { runInContext } from '../src/message/index.ts'
import type { Draw } from './draw.ts'

/** Timers fire up to this late, now and then much later: a machine is busy with something else. */
const latenessMsMax = 3
const stallMsMax = 400
const stallChance = 0.004

/** The clock of one process: that of the machine, but its timers are late by chance, and end with the process. */
class ProcessClock implements Clock {
  readonly #machine: VirtualClock
  readonly #draw: Draw
  readonly #timers = new Set<Timer>()
  readonly #onFired: () => void
  #isDead = false

  constructor(machine: VirtualClock, draw: Draw, onFired: () => void) {
    this.#machine = machine
    this.#draw = draw
    this.#onFired = onFired
  }

  nowMs(): number {
    return this.#machine.nowMs()
  }

  monotonicMs(): number {
    return this.#machine.monotonicMs()
  }

  setTimer(fn: () => void, delayMs: number): Timer {
    if (this.#isDead) return { cancel: () => undefined }
    const lateMs = this.#draw.chance(stallChance)
      ? this.#draw.skewed(1, stallMsMax)
      : this.#draw.random.nextFloat() * latenessMsMax
    // What a timer runs belongs to whoever set it, not to the loop that turns the clock.
    const run = AsyncLocalStorage.bind(fn)
    const timer = this.#machine.setTimer(() => {
      this.#timers.delete(timer)
      run()
      this.#onFired()
    }, Math.max(0, delayMs) + lateMs)
    this.#timers.add(timer)
    return {
      cancel: () => {
        this.#timers.delete(timer)
        timer.cancel()
      },
    }
  }

  end(): void {
    this.#isDead = true
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
  }
}

/** One life of the simulated process, from its start to its crash. Whoever outlives it finds nothing answered any more. */
export class Life {
  readonly index: number
  #isHealing: boolean
  readonly clock: Clock
  readonly random: Random
  readonly draw: Draw
  readonly #clock: ProcessClock
  readonly #onDeath: (() => void)[] = []
  #isAlive = true
  /** Promises that are still kept before the process dies, from the next timer on. */
  #hopsLeft: number | undefined

  constructor(index: number, options: { machine: VirtualClock; draw: Draw; isHealing: boolean }) {
    this.index = index
    this.#isHealing = options.isHealing
    this.draw = options.draw
    this.random = this.draw.fork().random
    this.#clock = new ProcessClock(options.machine, this.draw.fork(), () => this.#fired())
    this.clock = this.#clock
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  /** Faults have stopped: everything has to come to its end. */
  get isHealing(): boolean {
    return this.#isHealing
  }

  /** Faults stop from here on. */
  heal(): void {
    this.#isHealing = true
  }

  /** Runs the program of this life: ids and times of the messages that it creates are of the simulation. */
  run<Result>(program: () => Result): Result {
    const nextId = uuidv7(this.clock, this.draw.fork().random)
    return runInContext({ source: '/simulation', nextId, nowMs: () => this.clock.nowMs() }, program)
  }

  /** Called when the process dies, in the order of the calls. */
  onDeath(end: () => void): void {
    this.#onDeath.push(end)
  }

  /** The process is gone, between two instructions: nothing that it has begun goes on. */
  kill(): void {
    if (!this.#isAlive) return
    this.#isAlive = false
    this.#clock.end()
    for (const end of this.#onDeath) end()
  }

  /** Lets the process die amidst what the next timer sets off, after so many promises. */
  killAmidst(hopCount: number): void {
    this.#hopsLeft ??= hopCount
  }

  /** Waits a while, as a client does between two requests. Never comes back to one that is dead. */
  async pause(msMax: number): Promise<void> {
    await sleep(this.draw.skewed(0.1, msMax), this.clock)
    await this.breathe()
  }

  /** Each hop lets those have their turn that were told something before it. */
  #fired(): void {
    if (this.#hopsLeft === undefined) return
    const hop = (left: number): void => queueMicrotask(() => (left > 0 ? hop(left - 1) : this.kill()))
    hop(this.#hopsLeft)
  }

  /** Never comes back in a process that is dead. */
  breathe(): Promise<void> {
    return this.#isAlive ? Promise.resolve() : never()
  }
}

/** What nobody answers any more. */
export function never(): Promise<never> {
  return new Promise(() => undefined)
}
