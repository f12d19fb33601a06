import type { Clock } from '../../kernel/index.ts'
import {
  type CommittedReport,
  channels,
  type DeadLetteredReport,
  type FailedReport,
  type PublishedReport,
} from '../../telemetry/index.ts'
import { factsOf } from '../error-report.ts'

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

  [Symbol.dispose](): void {
    channels.committed.unsubscribe(this.#committed)
    channels.published.unsubscribe(this.#published)
    channels.failed.unsubscribe(this.#failed)
    channels.deadLettered.unsubscribe(this.#deadLettered)
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
    const { code, problem } = factsOf(error)
    const place = offset < 0 ? topic : `${topic}/${partition}/${offset}`
    this.#tellBounded(
      `${handler} failed on ${place}, attempt ${attempt}: ${code === 'UNEXPECTED' ? '' : `${code}: `}${problem}`,
    )
  }

  readonly #deadLettered = (message: unknown): void => {
    const { handler, id } = message as DeadLetteredReport
    this.#tellBounded(`${handler} gave up: dead letter ${id}`)
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
