import { styleText } from 'node:util'
import { type Clock, type RunningApp, sleep } from '../../src/index.ts'
import { InvoiceReceived } from './events.ts'
import { countEvents } from './figures.ts'
import { printMoney } from './money.ts'
import { type Day, dailyRevenue } from './views.ts'

/** Where a summary is written: a terminal, or anything else that takes lines. */
export interface SummaryOutput {
  readonly isTTY?: boolean
  /** Size of the terminal; 0 or missing where it is unknown. */
  readonly columns?: number
  readonly rows?: number
  write(text: string): boolean
}

/** Where and how the summary is shown. */
export interface LiveSummaryOptions {
  readonly running: RunningApp
  readonly clock: Clock
  readonly output: SummaryOutput
  /** How many invoices there are to import. */
  readonly invoiceCount: number
  /** Emphasis by colour and weight. */
  readonly hasColors: boolean
}

/** How often a terminal is redrawn, in milliseconds. */
const redrawMs = 500
/** How often a line is added where lines cannot be redrawn, in milliseconds. */
const lineMs = 5_000
/** Days shown; the newest. */
const daysMax = 10

interface Snapshot {
  readonly invoices: number
  readonly eventsPerSecond: number
  readonly events: number
  readonly days: readonly (readonly [string, Day])[]
  readonly lag: readonly { readonly service: string; readonly events: number; readonly seconds: number }[]
  readonly deadLetters: number
}

/** Shows what the shop does: a picture that moves in a terminal, else a line when something changed. */
export class LiveSummary {
  readonly #options: LiveSummaryOptions
  #earlier: { readonly atMs: number; readonly events: number } | undefined
  #drawnLines = 0
  #lastLine = ''

  constructor(options: LiveSummaryOptions) {
    this.#options = options
  }

  /** Shows until the signal aborts, and once more then: the last picture is what the shop stopped with. */
  async show(signal: AbortSignal): Promise<void> {
    const { running, clock, output } = this.#options
    this.#earlier = { atMs: clock.monotonicMs(), events: await countEvents(running) }
    while (!signal.aborted) {
      await sleep(output.isTTY ? redrawMs : lineMs, clock, signal).catch(() => undefined)
      await this.draw()
    }
  }

  /** Tells something once, above the picture. */
  note(text: string): void {
    const erased = this.#drawnLines > 0 ? `${upAgain(this.#drawnLines)}\u001B[0J` : ''
    this.#options.output.write(`${erased}${text}\n`)
    this.#drawnLines = 0
  }

  /** Shows how things stand. */
  async draw(): Promise<void> {
    const { output } = this.#options
    const snapshot = await this.#take()
    if (!output.isTTY) {
      const line = asLine(snapshot, this.#options)
      // A shop at rest need not say so again and again.
      if (line !== this.#lastLine) output.write(`${line}\n`)
      this.#lastLine = line
      return
    }
    const lines = asPicture(snapshot, this.#options)
    // Each line is written over the old one and only its rest erased, so that nothing flickers.
    const written = lines.map((line) => `${line}\u001B[K\n`).join('')
    output.write(`${upAgain(this.#drawnLines)}${written}\u001B[0J`)
    this.#drawnLines = lines.length
  }

  async #take(): Promise<Snapshot> {
    const { running, clock } = this.#options
    const events = await countEvents(running)
    const days: [string, Day][] = []
    for await (const { key, value } of running.view(dailyRevenue).list()) days.push([key, value])
    const nowMs = clock.monotonicMs()
    const earlier = this.#earlier ?? { atMs: nowMs, events }
    this.#earlier = { atMs: nowMs, events }
    return {
      invoices: await countEvents(running, [InvoiceReceived.topic]),
      events,
      eventsPerSecond: Math.round(((events - earlier.events) * 1000) / Math.max(1, nowMs - earlier.atMs)),
      days,
      lag: await lagByService(running),
      deadLetters: await running.deadLetters.count(),
    }
  }
}

/** To the start of the line so many lines up; what was typed meanwhile, such as `^C`, may have moved the cursor. */
function upAgain(lines: number): string {
  return lines > 0 ? `\r\u001B[${lines}A` : ''
}

/** Handlers of one service together, `shop.payment.charge` under `payment`; each view for itself. */
async function lagByService(running: RunningApp): Promise<Snapshot['lag']> {
  const services = new Map<string, { service: string; events: number; seconds: number }>()
  for (const { handler, lagMessages, lagSeconds } of await running.lag()) {
    const service = handler.split('.')[1] ?? handler
    const sofar = services.get(service) ?? { service, events: 0, seconds: 0 }
    sofar.events += lagMessages
    sofar.seconds = Math.max(sofar.seconds, lagSeconds)
    services.set(service, sofar)
  }
  return [...services.values()]
}

function sumOf(
  { days }: Snapshot,
  field: 'placed' | 'confirmed' | 'cancelled' | 'returns' | 'stockAdjustments',
): number {
  return days.reduce((sum, [, day]) => sum + day[field], 0)
}

function ordersText(snapshot: Snapshot): string {
  const [confirmed, cancelled] = [sumOf(snapshot, 'confirmed'), sumOf(snapshot, 'cancelled')]
  return `${sumOf(snapshot, 'placed') - confirmed - cancelled} open · ${confirmed} confirmed · ${cancelled} cancelled`
}

function asLine(snapshot: Snapshot, { invoiceCount }: LiveSummaryOptions): string {
  return [
    `invoices: ${snapshot.invoices} of ${invoiceCount}`,
    `events: ${snapshot.events} (${snapshot.eventsPerSecond}/s)`,
    `orders: ${ordersText(snapshot)}`,
    `lag: ${snapshot.lag.reduce((sum, { events }) => sum + events, 0)}`,
    `dead letters: ${snapshot.deadLetters}`,
  ].join(' · ')
}

function asPicture(snapshot: Snapshot, { output, invoiceCount, hasColors }: LiveSummaryOptions): string[] {
  const styled = (style: 'bold' | 'yellow', text: string): string =>
    hasColors ? styleText(style, text, { validateStream: false }) : text
  // A line that wraps would take two, and the next picture would leave a piece of this one behind.
  const [columns, linesMax] = [output.columns || 80, Math.max(1, (output.rows || 24) - 2)]
  const row = (name: string, text: string, style?: 'yellow'): string => {
    const fitting = text.slice(0, Math.max(0, columns - 14))
    return styled('bold', name.padEnd(14).slice(0, columns)) + (style === undefined ? fitting : styled(style, fitting))
  }
  const cells = (name: string, first: string | number, second: string | number): string =>
    `${name.padEnd(22)} ${String(first).padStart(14)} ${String(second).padStart(10)}`.slice(0, columns)
  const { deadLetters, lag, days } = snapshot
  const lines = [
    row(
      'invoices',
      `${snapshot.invoices} of ${invoiceCount} · orders ${sumOf(snapshot, 'placed')} · returns ${sumOf(snapshot, 'returns')} · stock adjustments ${sumOf(snapshot, 'stockAdjustments')}`,
    ),
    row('events', `${snapshot.events} · ${snapshot.eventsPerSecond} a second`),
    row('orders', ordersText(snapshot)),
    row('dead letters', String(deadLetters), deadLetters > 0 ? 'yellow' : undefined),
    styled('bold', cells('lag', 'events', 'seconds')),
    ...lag.map(({ service, events, seconds }) => cells(`  ${service}`, events, seconds.toFixed(1))),
  ]
  const daysShown = Math.min(daysMax, days.length, Math.max(1, linesMax - lines.length - 1))
  const revenue = daysShown < days.length ? `revenue, newest ${daysShown} of ${days.length} days` : 'revenue'
  lines.push(
    styled('bold', cells(revenue, '£', 'orders').trimEnd()),
    ...days
      .slice(days.length - daysShown)
      .map(([day, { revenue: sum, confirmed }]) => cells(`  ${day}`, printMoney(sum), confirmed)),
  )
  return lines.slice(0, linesMax)
}
