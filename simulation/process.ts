import type { Engine, EngineSource } from '../src/engine/index.ts'
import { type App, type AppOptions, app, deployment, type RunningApp } from '../src/index.ts'
import { InvariantError } from '../src/kernel/index.ts'
import type { SimulatedDisk } from './disk.ts'
import type { History } from './history.ts'
import type { Life } from './life.ts'
import { outcomeOfFailure } from './publishing.ts'
import { withSlowAnswers } from './slow-answers.ts'
import type { Process, Workload } from './workload.ts'

/** How often dead letters are asked for in one life, at most. */
const redriveCountMax = 6

/** The program of one life: an engine, starts of the app on it, and clients at work. */
export class SimulatedProcess implements Process {
  readonly life: Life
  readonly engine: Engine
  readonly #declared: App
  readonly #apps: RunningApp[]

  private constructor(life: Life, engine: Engine, declared: App, apps: RunningApp[]) {
    this.life = life
    this.engine = engine
    this.#declared = declared
    this.#apps = apps
  }

  static async start(options: {
    readonly life: Life
    readonly disks: readonly SimulatedDisk[]
    readonly workloads: readonly Workload[]
    readonly startCount: number
    readonly answerMsMax: number
  }): Promise<SimulatedProcess> {
    const { life, disks, workloads, startCount, answerMsMax } = options
    const opened = await groundOf(disks, life).open(life)
    const engine = answerMsMax === 0 ? opened : withSlowAnswers(opened, life, answerMsMax)
    const declared = appOf(workloads, life)
    const apps: RunningApp[] = []
    for (let i = 0; i < startCount; i++) apps.push(await startOn(declared, engine, life))
    return new SimulatedProcess(life, engine, declared, apps)
  }

  app(): RunningApp {
    return this.life.draw.pick(this.#apps)
  }

  /** The first start that an engine that failed has stopped; never, if none does. */
  get failed(): Promise<never> {
    return Promise.race(this.#apps.map((one) => one.failed))
  }

  /** One start leaves and another one comes, while everything is at work. */
  async roll(history: History): Promise<void> {
    const [leaving] = this.#apps
    if (leaving === undefined || this.#apps.length < 2) return
    try {
      await this.life.pause(400)
      this.#apps.shift()
      await leaving.stop()
      this.#apps.push(await startOn(this.#declared, this.engine, this.life))
      history.reach('a start of the app left, and another one came')
    } catch (error) {
      outcomeOfFailure(error, history)
    }
  }

  /** Somebody has dead letters handled again, whoever comes and goes meanwhile. */
  async redrive(history: History): Promise<void> {
    try {
      for (let i = this.life.draw.int(0, redriveCountMax); i > 0; i--) {
        await this.life.pause(200)
        const count = await this.app().deadLetters.redrive('all')
        if (count > 0) history.reach('a dead letter was asked for amidst the work', count)
      }
    } catch (error) {
      outcomeOfFailure(error, history)
    }
  }

  async stop(): Promise<void> {
    for (const one of this.#apps) await one.stop()
    await this.engine.close()
  }
}

function groundOf(disks: readonly SimulatedDisk[], life: Life): EngineSource {
  const [topics, store] = disks
  if (topics === undefined) throw new InvariantError('a machine has a disk')
  return store === undefined
    ? topics.source(life)
    : deployment({ topics: topics.source(life), store: store.source(life) })
}

function appOf(workloads: readonly Workload[], life: Life): App {
  const parts = workloads.map((workload) => workload.parts(life))
  const options: AppOptions = {
    services: parts.flatMap(({ services = [] }) => services),
    views: parts.flatMap(({ views = [] }) => views),
    sagas: parts.flatMap(({ sagas = [] }) => sagas),
    topics: parts.flatMap(({ topics = [] }) => topics),
  }
  return app('simulated', options)
}

function startOn(declared: App, engine: Engine, life: Life): Promise<RunningApp> {
  const { clock, random } = life
  return declared.start({ engine, clock, random, stopTimeout: '2s', sessionTimeout: '10s' })
}
