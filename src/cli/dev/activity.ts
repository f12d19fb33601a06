import type { Clock } from '../../kernel/index.ts'
import {
  type CommittedReport,
  channels,
  type DeadLetteredReport,
  type EngineWaitingReport,
  type FailedReport,
  type PublishedReport,
  type RelayFailedReport,
  type SagaReport,
  type UndoFailedReport,
  type WaitingReport,
} from '../../telemetry/index.ts'
import { factsOf } from '../error-report.ts'
import { shownAge } from '../text.ts'

/** What one handler or view did since the app started. */
export interface HandlerActivity {
  readonly handled: number
  readonly published: number
  readonly failed: number
}

interface Counts {
  handled: number
  published: number
  failed: number
}

/** What went wrong with the sagas of an app since it started, and is nobody's but a person's to put right. */
export interface SagaTroubles {
  /** Attempts to undo a step that failed. */
  readonly undoFailures: number
  /** Instances that were parked and are parked still. */
  readonly parked: number
  /** What was told last; `null`: nothing. */
  readonly lastProblem: string | null
}

/** Parked instances that are counted at most. */
const parkedMax = 10_000

/** Failures are told one by one up to this many in a second; the rest is counted. */
const failuresPerSecondMax = 5

/** Listens to what the handlers of a running app report. */
export class Activity implements Disposable {
  /** When it began to listen, by the monotonic clock. */
  readonly sinceMs: number
  readonly #clock: Clock
  readonly #tell: (text: string) => void
  readonly #handlers = new Map<string, Counts>()
  #publishedByProgram = 0
  #undoFailures = 0
  #lastProblem: string | null = null
  readonly #parked = new Set<string>()
  #secondStartMs = 0
  #told = 0
  #untold = 0

  /** `tell` gets a line for each failure that is told. */
  constructor(clock: Clock, tell: (text: string) => void) {
    this.sinceMs = clock.monotonicMs()
    this.#clock = clock
    this.#tell = tell
    channels.committed.subscribe(this.#committed)
    channels.published.subscribe(this.#published)
    channels.failed.subscribe(this.#failed)
    channels.deadLettered.subscribe(this.#deadLettered)
    channels.saga.subscribe(this.#saga)
    channels.undoFailed.subscribe(this.#undoFailed)
    channels.waiting.subscribe(this.#waiting)
    channels.engineWaiting.subscribe(this.#engineWaiting)
    channels.relayFailed.subscribe(this.#relayFailed)
  }

  of(handler: string): HandlerActivity {
    return this.#counts(handler)
  }

  get handled(): number {
    return [...this.#handlers.values()].reduce((sum, { handled }) => sum + handled, 0)
  }

  get failed(): number {
    return [...this.#handlers.values()].reduce((sum, { failed }) => sum + failed, 0)
  }

  get published(): number {
    return [...this.#handlers.values()].reduce((sum, { published }) => sum + published, this.#publishedByProgram)
  }

  get sagas(): SagaTroubles {
    return { undoFailures: this.#undoFailures, parked: this.#parked.size, lastProblem: this.#lastProblem }
  }

  [Symbol.dispose](): void {
    channels.committed.unsubscribe(this.#committed)
    channels.published.unsubscribe(this.#published)
    channels.failed.unsubscribe(this.#failed)
    channels.deadLettered.unsubscribe(this.#deadLettered)
    channels.saga.unsubscribe(this.#saga)
    channels.undoFailed.unsubscribe(this.#undoFailed)
    channels.waiting.unsubscribe(this.#waiting)
    channels.engineWaiting.unsubscribe(this.#engineWaiting)
    channels.relayFailed.unsubscribe(this.#relayFailed)
  }

  readonly #committed = (message: unknown): void => {
    const { handler, messageCount, publishedCount } = message as CommittedReport
    const counts = this.#counts(handler)
    counts.handled += messageCount
    counts.published += publishedCount
  }

  /** What handlers publish is counted when it is committed. */
  readonly #published = (message: unknown): void => {
    const { handler, messageCount } = message as PublishedReport
    if (handler === null) this.#publishedByProgram += messageCount
  }

  readonly #failed = (message: unknown): void => {
    const { handler, topic, partition, offset, attempt, error } = message as FailedReport
    this.#counts(handler).failed++
    const place = offset < 0 ? topic : `${topic}/${partition}/${offset}`
    this.#tellBounded(`${handler} failed on ${place}, attempt ${attempt}: ${told(error)}`)
  }

  readonly #deadLettered = (message: unknown): void => {
    const { handler, id } = message as DeadLetteredReport
    this.#tellBounded(`${handler} gave up: dead letter ${id}`)
  }

  readonly #saga = (message: unknown): void => {
    const { handler, key, status, problem } = message as SagaReport
    const instance = `${handler} ${key}`
    if (status !== 'parked') {
      this.#parked.delete(instance)
      return
    }
    if (this.#parked.size < parkedMax) this.#parked.add(instance)
    this.#lastProblem = `${instance} is parked: ${problem ?? ''}`
    this.#tellBounded(this.#lastProblem)
  }

  readonly #undoFailed = (message: unknown): void => {
    const { handler, key, step, attempt, error, delayMs } = message as UndoFailedReport
    this.#undoFailures++
    const { problem } = factsOf(error)
    this.#lastProblem = `${handler} ${key} could not undo ${step}, attempt ${attempt}, next in ${shownAge(delayMs / 1000)}: ${problem}`
    this.#tellBounded(this.#lastProblem)
  }

  readonly #waiting = (message: unknown): void => {
    const { app, handler, error, delayMs } = message as WaitingReport
    this.#tellBounded(`${handler ?? app} waits, next try in ${shownAge(delayMs / 1000)}: ${told(error)}`)
  }

  readonly #engineWaiting = (message: unknown): void => {
    const { engine, error, waitedMs } = message as EngineWaitingReport
    this.#tellBounded(`${engine} has waited for ${shownAge(waitedMs / 1000)}: ${told(error)}`)
  }

  readonly #relayFailed = (message: unknown): void => {
    const { topic, error, delayMs } = message as RelayFailedReport
    const next = shownAge(delayMs / 1000)
    this.#tellBounded(`messages for ${topic} wait in the outbox, next try in ${next}: ${told(error)}`)
  }

  #counts(handler: string): Counts {
    let counts = this.#handlers.get(handler)
    if (counts === undefined) {
      counts = { handled: 0, published: 0, failed: 0 }
      this.#handlers.set(handler, counts)
    }
    return counts
  }

  #tellBounded(text: string): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#secondStartMs >= 1000) {
      if (this.#untold > 0) this.#tell(`… and ${this.#untold} more`)
      this.#secondStartMs = nowMs
      this.#told = 0
      this.#untold = 0
    }
    if (this.#told++ < failuresPerSecondMax) this.#tell(text)
    else this.#untold++
  }
}

function told(error: unknown): string {
  const { code, problem } = factsOf(error)
  return code === 'UNEXPECTED' ? problem : `${code}: ${problem}`
}
