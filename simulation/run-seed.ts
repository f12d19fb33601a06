import { sleep, VirtualClock } from '../src/kernel/index.ts'
import { SimulatedDisk } from './disk.ts'
import { Draw } from './draw.ts'
import type { PlantedFault } from './faults.ts'
import { History, type Violation } from './history.ts'
import { Life } from './life.ts'
import { Outside } from './outside.ts'
import { drawPlan, type Plan } from './plan.ts'
import { SimulatedProcess } from './process.ts'
import { outcomeOfFailure } from './publishing.ts'
import { Seen, scanTwice } from './scan.ts'
import { listening } from './telemetry.ts'
import { Trace } from './trace.ts'
import type { Setting, Workload } from './workload.ts'
import { workloadsOf } from './workloads/index.ts'

/** How a run is asked for. */
export interface RunOptions {
  /** A bug to plant. Default: none. */
  readonly plant?: PlantedFault | undefined
  /** Gets each line of the trace as it comes. */
  readonly echo?: ((line: string) => void) | undefined
}

/** What became of a seed. */
export interface RunReport {
  readonly seed: number
  readonly violations: readonly Violation[]
  /** Two runs of one seed have the same. */
  readonly hash: string
  readonly traceLines: number
  readonly tail: readonly string[]
  readonly reached: ReadonlyMap<string, number>
  readonly virtualMs: number
}

/** By then everything has come to its end once faults have stopped, in virtual milliseconds. */
const healingMsMax = 900_000
/** A process that has nothing to do for so long is at rest: its life may as well end. */
const restMsMax = 600_000
/** Between two looks whether everything has. */
const drainLookMs = 3000
/** Turns of the event loop in which nothing moves the clock: who still waits then waits for ever. */
const idleTurnsMax = 200
/** Turns that one step takes, at most: the processor is fast or slow beside the disk. */
const turnsPerStepMax = 4
/** Promises of one turn that are kept before a process dies in the middle of it, at most. */
const hopsMax = 80
/** Steps in which some timer fires, if any is set. */
const lastStepsMax = 3
/** Steps after which a process whose engine failed is put an end to, whatever it is still at. */
const failedStepsMax = 60

/** Runs a seed: lives that end in crashes, a last one in which faults have stopped, and the checks. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunReport> {
  const trace = new Trace(options.echo)
  const history = new History(trace, options.plant)
  const simulation = new Simulation(new Draw(seed), history)
  const stopListening = listening(history)
  try {
    await simulation.run()
  } finally {
    simulation.close()
    stopListening()
  }
  const { violations, reached } = history
  const { lineCount: traceLines, tail } = trace
  return { seed, violations, hash: trace.digest(), traceLines, tail, reached, virtualMs: simulation.elapsedMs }
}

class Simulation {
  readonly #draw: Draw
  readonly #history: History
  readonly #plan: Plan
  readonly #clock: VirtualClock = new VirtualClock()
  readonly #disks: readonly SimulatedDisk[]
  readonly #workloads: readonly Workload[]
  readonly #seen: Seen

  constructor(draw: Draw, history: History) {
    this.#draw = draw
    this.#history = history
    this.#plan = drawPlan(draw.fork())
    history.trace.write(JSON.stringify(this.#plan))
    const { disk: weather, hasTwoDisks, requestCount } = this.#plan
    const names = hasTwoDisks ? ['topics', 'store'] : ['disk']
    this.#disks = names.map((name) => new SimulatedDisk(name, { draw: draw.fork(), weather, history }))
    const outside = new Outside({ weather: this.#plan.outside, draw: draw.fork(), history })
    const setting: Setting = { draw: draw.fork(), history, outside, requestCount, mayBeFull: weather.fullChance > 0 }
    this.#workloads = workloadsOf(this.#plan.workloads, setting)
    this.#seen = new Seen(history)
  }

  get elapsedMs(): number {
    return this.#clock.monotonicMs()
  }

  async run(): Promise<void> {
    for (let index = 0; index < this.#plan.crashCount; index++) await this.#liveAndDie(index)
    await this.#heal(this.#plan.crashCount)
  }

  /** Everything drains: in a process that has seen faults itself, or where that did not last, in a new one. */
  async #heal(index: number): Promise<void> {
    if (this.#plan.drainsInPlace && (await this.#liveAndDrain(index, 'after faults'))) {
      this.#history.reach('a process that saw faults drained')
      return
    }
    await this.#liveAndDrain(index + 1, 'without faults')
  }

  /** Gives the memory of its disks back. */
  close(): void {
    for (const disk of this.#disks) disk.close()
  }

  /** One life up to its crash, which comes wherever the process happens to be, also while it starts. */
  async #liveAndDie(index: number): Promise<void> {
    const life = new Life(index, { machine: this.#clock, draw: this.#draw.fork(), isHealing: false })
    let stepsLeft = this.#draw.int(1, this.#plan.stepCountMax)
    this.#history.trace.write(`life ${index} begins, for ${stepsLeft} steps`)
    life
      .run(() => this.#work(life))
      .catch((error: unknown) => {
        if (life.isAlive) outcomeOfFailure(error, this.#history)
        stepsLeft = Math.min(stepsLeft, this.#draw.int(1, failedStepsMax))
      })
    while (this.#isAtWork(life) && stepsLeft-- > 0) await this.#step(life)
    // Wherever it happens to be: between two turns, or at any await in the middle of one.
    if (life.isAlive && this.#draw.chance(0.5)) life.killAmidst(this.#draw.int(0, hopsMax))
    for (let steps = 0; this.#isAtWork(life) && steps < lastStepsMax; steps++) await this.#step(life)
    this.#history.reach('a crash')
    this.#history.trace.write(`${this.#clock.monotonicMs()} life ${index} ends`)
    life.kill()
  }

  #isAtWork(life: Life): boolean {
    return life.isAlive && (this.#clock.nextTimerMs ?? 0) < restMsMax
  }

  async #work(life: Life): Promise<void> {
    const process = await this.#start(life)
    await Promise.race([this.#use(process), process.failed])
  }

  #start(life: Life): Promise<SimulatedProcess> {
    const startCount = life.draw.int(1, this.#plan.startCountMax)
    const { answerMsMax } = this.#plan
    return SimulatedProcess.start({ life, disks: this.#disks, workloads: this.#workloads, startCount, answerMsMax })
  }

  /** Resolves when all that clients had in mind is done. */
  async #use(process: SimulatedProcess): Promise<void> {
    const clients = this.#workloads.flatMap((workload) => workload.clients(process))
    await Promise.all([...clients, this.#watch(process), process.roll(this.#history), process.redrive(this.#history)])
  }

  /** Looks at what stands there while everything is at work: what was seen once has to stay. */
  async #watch(process: SimulatedProcess): Promise<void> {
    const { life, engine } = process
    await life.pause(500)
    try {
      await this.#seen.look(engine)
    } catch (error) {
      outcomeOfFailure(error, this.#history)
    }
  }

  /**
   * The last life: everything drains once there are no faults, and then stands there as it was promised. `false`: the faults before that
   * ended it.
   */
  async #liveAndDrain(index: number, how: 'after faults' | 'without faults'): Promise<boolean> {
    const isHealing = how === 'without faults'
    const life = new Life(index, { machine: this.#clock, draw: this.#draw.fork(), isHealing })
    this.#history.trace.write(`life ${index} begins, to drain ${how}`)
    let isOver = false
    let hasDrained = false
    life
      .run(async () => {
        const process = isHealing ? await this.#startOne(life) : await this.#faulty(life)
        if (process === undefined) return
        life.heal()
        await this.#drainAndCheck(process)
        hasDrained = true
      })
      .catch((error: unknown) => {
        if (!life.isAlive) return
        // What was on its way to the disk when the faults stopped may still have met one.
        if (how === 'after faults') outcomeOfFailure(error, this.#history)
        else this.#history.violate('everything drains', `${(error as Error).stack}`)
      })
      .finally(() => {
        isOver = true
      })
    const endMs = this.#clock.monotonicMs() + healingMsMax
    while (!isOver && life.isAlive) {
      if (this.#clock.monotonicMs() > endMs || !(await this.#step(life))) {
        if (!isOver) this.#history.violate('everything drains', 'something waits for what does not come')
        hasDrained = true
        break
      }
    }
    life.kill()
    return hasDrained
  }

  #startOne(life: Life): Promise<SimulatedProcess> {
    const { answerMsMax } = this.#plan
    return SimulatedProcess.start({ life, disks: this.#disks, workloads: this.#workloads, startCount: 1, answerMsMax })
  }

  /** A process that has worked amidst faults; `undefined`: they have ended it. */
  async #faulty(life: Life): Promise<SimulatedProcess | undefined> {
    try {
      const process = await this.#start(life)
      await Promise.race([this.#use(process), process.failed])
      return process
    } catch (error) {
      if (life.isAlive) outcomeOfFailure(error, this.#history)
      return undefined
    }
  }

  async #drainAndCheck(process: SimulatedProcess): Promise<void> {
    const { life } = process
    const app = process.app()
    for (const workload of this.#workloads) {
      workload.drain?.(process).catch((error: unknown) => outcomeOfFailure(error, this.#history))
    }
    // Twice: what is looked for, as a timer, may set off more just then, and what that sets off may be a timer.
    for (let rounds = 0; rounds < 2; ) {
      await sleep(drainLookMs, life.clock)
      await app.idle()
      const deadCount = await app.deadLetters.count()
      if (deadCount > 0) this.#history.reach('a dead letter was handled again', await app.deadLetters.redrive('all'))
      let isOver = deadCount === 0
      for (const workload of this.#workloads) isOver &&= (await workload.isOver?.(process)) ?? true
      rounds = isOver ? rounds + 1 : 0
    }
    this.#history.trace.write(`${this.#clock.monotonicMs()} everything has drained`)
    const scan = await scanTwice(process.engine, this.#history, () => {
      if (this.#history.planted === 'unstable-read') this.#disks[0]?.loseBatch()
    })
    this.#seen.hold(scan)
    for (const workload of this.#workloads) await workload.check({ engine: process.engine, app, ...scan })
    await process.stop()
  }

  /** Moves to what happens next; `false`: nothing does. */
  async #step(life: Life): Promise<boolean> {
    if (this.#plan.clockJumpMsMax > 0 && !life.isHealing && this.#draw.chance(0.005)) this.#jump()
    let hasMoved = await this.#clock.advanceToNextTimer()
    for (let turns = this.#draw.int(0, turnsPerStepMax - 1); turns > 0; turns--) await turn()
    for (let turns = 0; !hasMoved && turns < idleTurnsMax; turns++) {
      await turn()
      hasMoved = this.#clock.pendingTimerCount > 0
    }
    return hasMoved
  }

  /** The wall clock is set, forwards or back. */
  #jump(): void {
    const byMs = this.#draw.int(-this.#plan.clockJumpMsMax, this.#plan.clockJumpMsMax)
    this.#history.wallMsMax = Math.max(this.#history.wallMsMax, this.#clock.nowMs())
    this.#clock.setWallClock(this.#clock.nowMs() + byMs)
    this.#history.reach('the wall clock was set')
    this.#history.trace.write(`the wall clock is set by ${byMs} ms`)
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
