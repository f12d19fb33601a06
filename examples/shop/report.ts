import type { Figures } from './figures.ts'

/** The figures for people. */
export function reportText(figures: Figures): string {
  const { orders } = figures
  const days = Object.entries(figures.dailyRevenue).map(([day, revenue]) => [`  ${day}`, `£${revenue}`] as const)
  const rows: readonly (readonly [string, string])[] = [
    ['invoices', String(figures.invoices)],
    ['  orders', `${orders.placed}: ${orders.confirmed} confirmed, ${orders.cancelled} cancelled`],
    ['  returns', String(figures.returns)],
    ['  stock adjustments', String(figures.stockAdjustments)],
    ['  parked in the dead letters', String(figures.parkedInvoices)],
    ['customers with orders', String(figures.customersWithOrders)],
    ['ordered', `£${figures.grossOrderValue}`],
    ['charged', `£${figures.charged}`],
    ['refunded for cancelled orders', `£${figures.refunded}`],
    ['value of returns', `£${figures.returned}`],
    ['revenue', `£${figures.confirmedRevenue}`],
    ...days,
    ['events', `${figures.events} in ${figures.elapsedSeconds} s: ${figures.eventsPerSecond} a second`],
  ]
  return rows.map(([name, value]) => `${name.padEnd(30)} ${value}`).join('\n')
}
