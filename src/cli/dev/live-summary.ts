import type { RunningApp } from '../../app/index.ts'
import { type Clock, isoTime, sleep } from '../../kernel/index.ts'
import type { Output } from '../output.ts'
import { clipped, columnsOf, shown, shownAge } from '../text.ts'
import type { Activity, SagaTroubles } from './activity.ts'

/** How often a terminal is redrawn, in milliseconds. */
const redrawMs = 500
/** How often a line of JSON is added, in milliseconds. */
const jsonLineMs = 1_000
/** How often a line is added where lines cannot be redrawn, in milliseconds. */
const lineMs = 5_000

/** One handler or view in a summary. */
interface HandlerSummary {
  readonly handler: string
  readonly handled: number
  readonly handledPerSecond: number
  readonly failed: number
  readonly lagMessages: number
  readonly lagSeconds: number
}

/** What an app does, at one moment. */
interface Summary {
  readonly time: string
  readonly app: string
  /** Since the app started. */
  readonly handled: number
  readonly handledPerSecond: number
  /** Since the app started. */
  readonly published: number
  readonly publishedPerSecond: number
  /** Attempts that failed since the app started. */
  readonly failed: number
  readonly lagMessages: number
  readonly deadLetters: number
  readonly sagas: SagaTroubles
  readonly handlers: readonly HandlerSummary[]
}

/** Shows what an app does: a picture that moves in a terminal, else a line now and then, or JSON lines. */
export class LiveSummary {
  readonly #running: RunningApp
  readonly #activity: Activity
  readonly #clock: Clock
  readonly #output: Output
  readonly #before = new Map<string, number>()
  #beforeMs: number
  #publishedBefore = 0
  #handledBefore = 0
  #drawnLines = 0
  #lastLine = ''

  constructor(running: RunningApp, activity: Activity, clock: Clock, output: Output) {
    this.#running = running
    this.#activity = activity
    this.#clock = clock
    this.#output = output
    this.#beforeMs = activity.sinceMs
  }

  /** Shows until the signal aborts, and once more then. */
  async show(signal: AbortSignal): Promise<void> {
    const { isJson, isTerminal } = this.#output
    const intervalMs = isJson ? jsonLineMs : isTerminal ? redrawMs : lineMs
    while (!signal.aborted) {
      await sleep(intervalMs, this.#clock, signal).catch(() => undefined)
      await this.draw()
    }
  }

  /** Makes room for a note: the picture is drawn anew below it. What was typed meanwhile, such as `^C`, goes too. */
  clear(): void {
    if (this.#drawnLines > 0) this.#output.picture(`\r\u001B[${this.#drawnLines}A\u001B[0J`)
    this.#drawnLines = 0
  }

  async draw(): Promise<void> {
    const summary = await this.#take()
    if (this.#output.isJson) return this.#output.picture(`${JSON.stringify(summary)}\n`)
    if (!this.#output.isTerminal) {
      const line = asLine(summary)
      // An app at rest need not say so again and again.
      if (line !== this.#lastLine) this.#output.picture(`${summary.time} ${line}\n`)
      this.#lastLine = line
      return
    }
    const lines = this.#asPicture(summary)
    this.clear()
    this.#output.picture(`${lines.join('\n')}\n`)
    this.#drawnLines = lines.length
  }

  async #take(): Promise<Summary> {
    const [lags, deadLetters] = await Promise.all([this.#running.lag(), this.#running.deadLetters.count()])
    const nowMs = this.#clock.monotonicMs()
    const seconds = Math.max(0.001, (nowMs - this.#beforeMs) / 1000)
    const handlers = lags.map(({ handler, lagMessages, lagSeconds }) => {
      const { handled, failed } = this.#activity.of(handler)
      const handledPerSecond = Math.round((handled - (this.#before.get(handler) ?? 0)) / seconds)
      this.#before.set(handler, handled)
      return { handler, handled, handledPerSecond, failed, lagMessages, lagSeconds }
    })
    const { handled, published, failed } = this.#activity
    const handledPerSecond = Math.round((handled - this.#handledBefore) / seconds)
    const publishedPerSecond = Math.round((published - this.#publishedBefore) / seconds)
    this.#beforeMs = nowMs
    this.#publishedBefore = published
    this.#handledBefore = handled
    return {
      time: isoTime(this.#clock.nowMs()),
      app: this.#running.name,
      handled,
      handledPerSecond,
      published,
      publishedPerSecond,
      failed,
      lagMessages: handlers.reduce((sum, one) => sum + one.lagMessages, 0),
      deadLetters,
      sagas: this.#activity.sagas,
      handlers,
    }
  }

  #asPicture(summary: Summary): string[] {
    const columns = this.#output.columns ?? 80
    const rows = this.#output.rows ?? 24
    const width = Math.max(8, ...summary.handlers.map(({ handler }) => columnsOf(handler)))
    const right = (value: string | number, size: number): string => String(value).padStart(size)
    const row = (
      name: string,
      perSecond: string | number,
      lag: string | number,
      behind: string,
      failed: string | number,
    ): string =>
      clipped(
        `${name.padEnd(width)} ${right(perSecond, 10)} ${right(lag, 10)} ${right(behind, 9)} ${right(failed, 8)}`,
        columns,
      )
    const lines = [
      clipped(asLine(summary), columns),
      ...troublesOf(summary.sagas).map((line) => this.#output.styled('yellow', clipped(line, columns))),
      '',
      this.#output.styled('bold', row('HANDLER', 'HANDLED/S', 'LAG', 'BEHIND', 'FAILED')),
      ...summary.handlers.map((one) => {
        const line = row(one.handler, one.handledPerSecond, one.lagMessages, shownAge(one.lagSeconds), one.failed)
        return one.failed > 0 ? this.#output.styled('yellow', line) : line
      }),
    ]
    const fitting = Math.max(1, rows - 2)
    return lines.length <= fitting ? lines : [...lines.slice(0, fitting - 1), `… ${lines.length - fitting + 1} more`]
  }
}

/** What went wrong with sagas last, if somebody has to look at any. */
function troublesOf({ undoFailures, parked, lastProblem }: SagaTroubles): readonly string[] {
  if ((undoFailures === 0 && parked === 0) || lastProblem === null) return []
  return [shown(lastProblem)]
}

function asLine(summary: Summary): string {
  const { handledPerSecond, publishedPerSecond, lagMessages, deadLetters, failed, sagas } = summary
  return [
    `${handledPerSecond} handled/s`,
    `${publishedPerSecond} published/s`,
    `lag ${lagMessages}`,
    `dead letters ${deadLetters}`,
    `failed attempts ${failed}`,
    ...(sagas.undoFailures > 0 ? [`failed undos ${sagas.undoFailures}`] : []),
    ...(sagas.parked > 0 ? [`parked sagas ${sagas.parked}`] : []),
  ].join(' · ')
}
