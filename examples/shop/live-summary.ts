import { styleText } from 'node:util'
import { type Clock, type RunningApp, sleep } from '../../src/index.ts'
import { countEvents } from './figures.ts'
import { printMoney } from './money.ts'
import { type Day, dailyRevenue } from './views.ts'

/** Where and how the summary is shown. */
export interface LiveSummaryOptions {
  readonly running: RunningApp
  readonly clock: Clock
  readonly output: NodeJS.WriteStream
  /** How many invoices there are to import. */
  readonly invoiceCount: number
  readonly signal: AbortSignal
}

/** How often a terminal is redrawn, in milliseconds. */
const redrawMs = 500
/** How often a line is added where lines cannot be redrawn, in milliseconds. */
const lineMs = 5_000
/** Days shown; the newest. */
const daysMax = 10

interface Snapshot {
  readonly eventsPerSecond: number
  readonly events: number
  readonly days: readonly (readonly [string, Day])[]
  readonly lag: readonly { readonly service: string; readonly messages: number; readonly seconds: number }[]
  readonly deadLetters: number
}

/** Shows what the shop does until the signal aborts: a picture that moves in a terminal, else a line now and then. */
export async function showLive(options: LiveSummaryOptions): Promise<void> {
  const { running, clock, output, signal } = options
  let earlier = { atMs: clock.monotonicMs(), events: await countEvents(running) }
  let drawnLines = 0
  while (!signal.aborted) {
    try {
      await sleep(output.isTTY ? redrawMs : lineMs, clock, signal)
    } catch {
      return
    }
    const snapshot = await take(running, clock, earlier)
    earlier = { atMs: clock.monotonicMs(), events: snapshot.events }
    if (!output.isTTY) {
      output.write(`${asLine(snapshot)}\n`)
      continue
    }
    const lines = asPicture(snapshot, options)
    const up = drawnLines > 0 ? `\u001B[${drawnLines}A\u001B[0J` : ''
    output.write(`${up}${lines.join('\n')}\n`)
    drawnLines = lines.length
  }
}

async function take(
  running: RunningApp,
  clock: Clock,
  earlier: { readonly atMs: number; readonly events: number },
): Promise<Snapshot> {
  const events = await countEvents(running)
  const days: [string, Day][] = []
  for await (const { key, value } of running.view(dailyRevenue).list()) days.push([key, value])
  const seconds = Math.max(0.001, (clock.monotonicMs() - earlier.atMs) / 1000)
  return {
    events,
    eventsPerSecond: Math.round((events - earlier.events) / seconds),
    days,
    lag: await lagByService(running),
    deadLetters: await running.deadLetters.count(),
  }
}

/** Handlers of one service together, `shop.payment.charge` under `payment`; each view for itself. */
async function lagByService(running: RunningApp): Promise<Snapshot['lag']> {
  const services = new Map<string, { service: string; messages: number; seconds: number }>()
  for (const { handler, lagMessages, lagSeconds } of await running.lag()) {
    const service = handler.split('.')[1] ?? handler
    const sofar = services.get(service) ?? { service, messages: 0, seconds: 0 }
    sofar.messages += lagMessages
    sofar.seconds = Math.max(sofar.seconds, lagSeconds)
    services.set(service, sofar)
  }
  return [...services.values()]
}

interface OrdersByState {
  readonly open: number
  readonly confirmed: number
  readonly cancelled: number
}

function ordersOf({ days }: Snapshot): OrdersByState {
  let [placed, confirmed, cancelled] = [0, 0, 0]
  for (const [, day] of days) {
    placed += day.placed
    confirmed += day.confirmed
    cancelled += day.cancelled
  }
  return { open: placed - confirmed - cancelled, confirmed, cancelled }
}

function asLine(snapshot: Snapshot): string {
  const { open, confirmed, cancelled } = ordersOf(snapshot)
  const behind = snapshot.lag.reduce((sum, { messages }) => sum + messages, 0)
  return [
    `${snapshot.eventsPerSecond} events/s`,
    `orders: ${open} open, ${confirmed} confirmed, ${cancelled} cancelled`,
    `lag: ${behind}`,
    `dead letters: ${snapshot.deadLetters}`,
  ].join(' · ')
}

function asPicture(snapshot: Snapshot, { output, invoiceCount }: LiveSummaryOptions): string[] {
  const bold = (text: string): string => styleText('bold', text, { stream: output })
  const warn = (text: string): string => styleText('yellow', text, { stream: output })
  const { open, confirmed, cancelled } = ordersOf(snapshot)
  const { deadLetters } = snapshot
  const lines = [
    `${bold('events')}        ${snapshot.events} (${snapshot.eventsPerSecond}/s) from ${invoiceCount} invoices`,
    `${bold('orders')}        ${open} open · ${confirmed} confirmed · ${cancelled} cancelled`,
    `${bold('dead letters')}  ${deadLetters > 0 ? warn(String(deadLetters)) : '0'}`,
    bold('lag'),
    ...snapshot.lag.map(
      ({ service, messages, seconds }) =>
        `  ${service.padEnd(22)} ${String(messages).padStart(8)}  ${seconds.toFixed(1)} s`,
    ),
    bold('revenue'),
    ...snapshot.days
      .slice(-daysMax)
      .map(
        ([day, { revenue, confirmed: orders }]) =>
          `  ${day} ${`£${printMoney(revenue)}`.padStart(16)}  ${orders} orders`,
      ),
  ]
  // A line that wraps would take two, and the next picture would leave a piece of this one behind.
  return lines.slice(0, Math.max(1, output.rows - 2))
}
