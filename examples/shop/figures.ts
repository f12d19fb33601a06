import type { RunningApp } from '../../src/index.ts'
import { shopTopics } from './events.ts'
import type { GatewayTotals } from './gateway-ledger.ts'
import { countOpenOrders, countParkedInvoices, countStockViolations, isConducting } from './inspection.ts'
import { addMoney, type Money, printMoney, sameMoney, subtractMoney, zeroMoney } from './money.ts'
import { customerOrders, type Day, dailyRevenue } from './views.ts'

/** What the shop did, for machines. Money has two decimals; it is rounded here and nowhere before. */
export interface Figures {
  readonly invoices: number
  readonly orders: { readonly placed: number; readonly confirmed: number; readonly cancelled: number }
  readonly returns: number
  readonly stockAdjustments: number
  readonly parkedInvoices: number
  readonly customersWithOrders: number
  /** Value of all orders placed. */
  readonly grossOrderValue: string
  /** Value of the confirmed orders. */
  readonly confirmedRevenue: string
  /** What the gateway gave back for cancelled orders. */
  readonly refunded: string
  /** Value of the return invoices. */
  readonly returned: string
  /** Value of the confirmed orders by invoice day. */
  readonly dailyRevenue: Readonly<Record<string, string>>
  /** Value of the return invoices by invoice day. */
  readonly dailyReturned: Readonly<Record<string, string>>
  /** What the gateway captured. */
  readonly charged: string
  readonly stockViolations: number
  readonly openOrders: number
  /** All events that were ever published to the topics of the shop. */
  readonly events: number
  /** Duration of this run. */
  readonly elapsedSeconds: number
  /** Events published in this run, by its duration. */
  readonly eventsPerSecond: number
}

/** A run as it was timed. */
export interface Timing {
  readonly elapsedMs: number
  /** Events that were there when it began. */
  readonly eventsBefore: number
}

/** Reads the figures from views, state and the gateway's books; no order is held in memory. */
export async function readFigures(running: RunningApp, gateway: GatewayTotals, timing: Timing): Promise<Figures> {
  const byDay: [string, Day][] = []
  for await (const { key, value } of running.view(dailyRevenue).list()) byDay.push([key, value])
  const days = byDay.map(([, day]) => day)
  const placed = sum(days, 'placed')
  const returns = sum(days, 'returns')
  const stockAdjustments = sum(days, 'stockAdjustments')
  const parkedInvoices = await countParkedInvoices(running)
  const events = await readEventCount(running)
  return {
    invoices: placed + returns + stockAdjustments + parkedInvoices,
    orders: { placed, confirmed: sum(days, 'confirmed'), cancelled: sum(days, 'cancelled') },
    returns,
    stockAdjustments,
    parkedInvoices,
    customersWithOrders: await running.view(customerOrders).count(),
    grossOrderValue: printMoney(addUp(days, 'ordered')),
    confirmedRevenue: printMoney(addUp(days, 'revenue')),
    refunded: printMoney(gateway.refunded),
    returned: printMoney(addUp(days, 'returned')),
    dailyRevenue: Object.fromEntries(
      byDay.filter(([, day]) => day.confirmed > 0).map(([key, day]) => [key, printMoney(day.revenue)]),
    ),
    dailyReturned: Object.fromEntries(
      byDay.filter(([, day]) => day.returns > 0).map(([key, day]) => [key, printMoney(day.returned)]),
    ),
    charged: printMoney(gateway.charged),
    stockViolations: await countStockViolations(running),
    openOrders: await countOpenOrders(running),
    events,
    elapsedSeconds: Math.round(timing.elapsedMs) / 1000,
    eventsPerSecond: Math.round(((events - timing.eventsBefore) * 1000) / Math.max(1, timing.elapsedMs)),
  }
}

/** What must hold when nothing is left to do, and does not; empty in a shop that works. */
export async function brokenPromises(running: RunningApp, gateway: GatewayTotals): Promise<string[]> {
  const days: Day[] = []
  for await (const { value } of running.view(dailyRevenue).list()) days.push(value)
  const [placed, confirmed, cancelled] = [sum(days, 'placed'), sum(days, 'confirmed'), sum(days, 'cancelled')]
  const broken: string[] = []
  if (placed !== confirmed + cancelled) {
    broken.push(`${placed} orders were placed, but ${confirmed} confirmed and ${cancelled} cancelled`)
  }
  const kept = subtractMoney(gateway.charged, gateway.refunded)
  const revenue = addUp(days, 'revenue')
  if (!sameMoney(kept, revenue)) broken.push(`the gateway kept ${kept}, but confirmed orders are worth ${revenue}`)
  const returned = addUp(days, 'returned')
  if (!sameMoney(gateway.returned, returned)) {
    broken.push(`the gateway paid out ${gateway.returned} for returns that are worth ${returned}`)
  }
  const open = await countOpenOrders(running)
  if (open > 0) broken.push(`${open} orders are open`)
  const violations = await countStockViolations(running)
  if (violations > 0) broken.push(`${violations} articles have less than nothing on their shelves`)
  return broken
}

/** All events that were ever published to the topics of the shop, counted one by one where offsets do not tell. */
export async function readEventCount({ engine }: Pick<RunningApp, 'engine'>): Promise<number> {
  if (engine.capabilities.topics.offsetGaps !== true) return countEvents({ engine })
  let count = 0
  for (const { name, partitions } of await engine.topics.list()) {
    if (!shopTopics.includes(name)) continue
    for (const { partition, earliest, latest } of partitions) {
      for (let offset = earliest; offset < latest; ) {
        const { records, nextOffset } = await engine.topics.read({ topic: name, partition, offset })
        count += records.length
        if (nextOffset === offset) break
        offset = nextOffset
      }
    }
  }
  return count
}

/**
 * Length of these topics, by default of all topics of the shop: the events that were ever published to them, and on engines
 * that leave offsets out a little more.
 */
export async function countEvents(
  { engine }: Pick<RunningApp, 'engine'>,
  names: readonly string[] = shopTopics,
): Promise<number> {
  const topics = await engine.topics.list()
  return topics
    .filter(({ name }) => names.includes(name))
    .flatMap(({ partitions }) => partitions)
    .reduce((count, { latest }) => count + latest, 0)
}

/**
 * Invoices that something more will happen to by itself, as far as money goes: those that ordering has not read yet, and orders that are
 * neither confirmed nor cancelled. What is on its way to the view counts too; where nothing is on its way, nothing will happen.
 */
export async function countUnsettled(running: RunningApp): Promise<number> {
  const lags = await running.lag()
  if (lags.every(({ lagMessages }) => lagMessages === 0) && !(await isConducting(running))) return 0
  let count = 0
  for (const { handler, lagMessages } of lags) {
    if (handler === readingGroup || handler.startsWith(dailyRevenueGroups)) count += lagMessages
  }
  for await (const { value: day } of running.view(dailyRevenue).list()) {
    count += day.placed - day.confirmed - day.cancelled
  }
  return count
}

/** Consumer group of the handler that reads invoices, and how those of the view begin. */
const readingGroup = 'shop.ordering.invoices'
const dailyRevenueGroups = 'shop.view:daily-revenue.'

type CountOf = 'placed' | 'confirmed' | 'cancelled' | 'returns' | 'stockAdjustments'
type MoneyOf = 'ordered' | 'revenue' | 'returned'

function sum(days: readonly Day[], field: CountOf): number {
  return days.reduce((total, day) => total + day[field], 0)
}

function addUp(days: readonly Day[], field: MoneyOf): Money {
  return days.reduce((total, day) => addMoney(total, day[field]), zeroMoney)
}
