import type { UnitCommand, UnitResult } from '../src/committing/commands.ts'
import type { StoreAnswer, StoreRequest } from '../src/embedded/store/protocol.ts'
import type { Store } from '../src/embedded/store/store.ts'
import { errorOf, faultOf, type StoreClient } from '../src/embedded/store-client.ts'
import { answerMessage, answerOf, buffersOf, requestMessage, requestOf } from '../src/embedded/thread-messages.ts'
import { ClosedError } from '../src/kernel/index.ts'
import { BatchBufferPool } from '../src/record/index.ts'
import { type CommitFate, failureOf } from './faulty-connection.ts'
import type { History } from './history.ts'
import { type Life, never } from './life.ts'
import { requestDigest } from './request-digest.ts'
import { Saboteur } from './saboteur.ts'
import { type DiskWeather, fairWeather } from './weather.ts'

/** So many times as often the disk is full for what something rests on already. */
const restedOnFactor = 8

/** The disk, as the client of one process writes it. */
export interface Disk {
  readonly name: string
  readonly history: History
  /** Whether requests are kept, so that their memory cannot be used again. */
  readonly keepsRequests: boolean
  /** Carries a request out, to the end that `fate` says. @throws what SQLite throws */
  carryOut(store: Store, request: StoreRequest, fate: CommitFate): unknown
  /** For a planted bug: stores something beside, and tells nobody. */
  storeAgain(store: Store, request: StoreRequest | undefined): void
  /** For a planted bug: a writer that takes a failed sync for nothing. What it stores from now on is not durable. */
  reopenCarelessly(): Store
  /** The process is dead: what its writer had begun is stored or not, in the order of the requests. */
  crash(store: Store, waiting: readonly StoreRequest[], isFailed: boolean): void
}

interface Waiting {
  readonly request: StoreRequest
  readonly answer: (answer: unknown) => void
  readonly fail: (error: Error) => void
}

/**
 * Takes the place of the writer thread: one request after the other, each after a while, and each answer after another while,
 * so that the process can die before, between and after. What travels is what travels between the threads.
 */
export class DiskClient implements StoreClient {
  readonly pool: BatchBufferPool = new BatchBufferPool()
  readonly #disk: Disk
  readonly #life: Life
  readonly #weather: DiskWeather
  readonly #saboteur: Saboteur
  readonly #queue: Waiting[] = []
  /** Answers on their way: they arrive in their order, whatever their times. */
  readonly #answers: (() => void)[] = []
  #store: Store
  #isBusy = false
  #isFailed = false
  #isClosed = false

  constructor(disk: Disk, store: Store, life: Life, weather: DiskWeather) {
    this.#disk = disk
    this.#store = store
    this.#life = life
    this.#weather = weather
    this.#saboteur = new Saboteur(disk.history.planted, life.draw.fork(), life)
    life.onDeath(() => this.#die())
  }

  request<R extends StoreRequest>(request: R): Promise<StoreAnswer<R>> {
    if (!this.#life.isAlive) return never()
    if (this.#isClosed) return Promise.reject(new ClosedError('The engine'))
    const { message, buffers } = requestMessage(request)
    // The caller's memory is gone, as it is when it moves to another thread.
    const moved = structuredClone(message, { transfer: buffers })
    const arrived = requestOf(moved)
    this.#note(arrived)
    return new Promise((resolve, reject) => {
      this.#queue.push({
        request: arrived,
        answer: (answer) => {
          if (moved.kind === 'commit-text' && !this.#disk.keepsRequests) {
            for (const buffer of buffersOf(moved)) this.pool.release(new Uint8Array(buffer))
          }
          resolve(answer as StoreAnswer<R>)
        },
        fail: reject,
      })
      this.#work()
    })
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    while (this.#queue.length > 0 || this.#answers.length > 0) await this.#life.pause(5)
  }

  #note(request: StoreRequest): void {
    const when = `${this.#life.clock.nowMs()} life ${this.#life.index}`
    this.#disk.history.trace.write(`${when} ${this.#disk.name} ${request.kind} ${requestDigest(request)}`)
  }

  #work(): void {
    if (this.#isBusy || this.#queue.length === 0) return
    this.#isBusy = true
    this.#life.clock.setTimer(() => this.#carryOut(), this.#life.draw.skewed(0.05, this.#weather.syncMsMax))
  }

  #carryOut(): void {
    this.#isBusy = false
    const [waiting] = this.#queue.splice(this.#saboteur.placeOfNext(this.#queue.length), 1)
    if (waiting === undefined) return
    if (!this.#saboteur.swallows()) this.#carryOutOne(waiting)
    this.#work()
  }

  #carryOutOne({ request, answer, fail }: Waiting): void {
    const { draw } = this.#life
    const chances = this.#life.isHealing ? fairWeather : this.#weather
    // Few commits are rested on before they are durable, and what becomes of those that are refused then is worth to be seen.
    const fullChance = chances.fullChance * (this.#isRestedOn ? restedOnFactor : 1)
    const fate = draw.chance(chances.syncFailureChance)
      ? 'sync-failed'
      : draw.chance(fullChance)
        ? 'disk-full'
        : 'stored'
    try {
      const given = this.#saboteur.tamper(request)
      const isKept = fate === 'disk-full' && this.#disk.history.planted === 'refused-but-kept'
      const result = this.#disk.carryOut(this.#store, given, isKept ? 'stored' : fate)
      if (isKept) throw failureOf('disk-full')
      this.#disk.storeAgain(this.#store, this.#saboteur.repeated(given))
      if (request.kind === 'commit') this.#noteBaseless(request.units, result as readonly UnitResult[])
      const told = answerOf(request.kind, answerMessage(request, this.#saboteur.answer(request, result)))
      this.#reply(() => answer(told))
    } catch (error) {
      const isIgnored = fate === 'sync-failed' && this.#disk.history.planted === 'sync-failure-ignored'
      // Nothing above a writer that ignores it hears that it was final.
      const reason = errorOf(faultOf(isIgnored ? failureOf('disk-full') : error), `${this.#disk.name}.db`)
      if (isIgnored) this.#store = this.#disk.reopenCarelessly()
      else if (fate === 'sync-failed') this.#isFailed = true
      this.#disk.history.reach(fate === 'disk-full' ? 'a full disk' : 'a failed sync')
      this.#disk.history.trace.write(`disk ${this.#disk.name}: ${fate}, ${reason.message}`)
      this.#reply(() => fail(reason))
    }
  }

  /** Whether what comes next was made of what is not acknowledged yet. */
  get #isRestedOn(): boolean {
    return this.#queue.some(({ request }) => request.kind === 'commit' && request.units.some(isResting))
  }

  #noteBaseless(units: readonly UnitCommand[], results: readonly UnitResult[]): void {
    const isBaseless = (unit: UnitCommand, i: number): boolean => isResting(unit) && results[i]?.kind === 'conflict'
    if (units.some(isBaseless)) this.#disk.history.reach('what was read early was taken back')
    if (units.some(isResting)) {
      this.#disk.history.reach('a message was handled before it was durable')
    }
  }

  #reply(arrive: () => void): void {
    this.#answers.push(arrive)
    this.#life.clock.setTimer(() => this.#answers.shift()?.(), this.#life.draw.skewed(0.01, 2))
  }

  #die(): void {
    const { history } = this.#disk
    if (this.#answers.length > 0) history.reach('a crash between a commit and its answer')
    this.#disk.crash(
      this.#store,
      this.#queue.map(({ request }) => request),
      this.#isFailed,
    )
  }
}

/** Whether a unit was made of what was not acknowledged when it was. */
function isResting({ progress }: UnitCommand): boolean {
  return progress.some(({ rollbackCount }) => rollbackCount !== undefined)
}
