import { readFileSync } from 'node:fs'
import { parse } from 'csv-parse/sync'
import { shareOf } from './gateway-ledger.ts'

/** What a run must end with, but for what depends on the machine. */
export interface ExpectedFigures {
  readonly orders: { readonly placed: number; readonly confirmed: number; readonly cancelled: number }
  readonly returns: number
  readonly stockAdjustments: number
  readonly grossOrderValue: string
  readonly confirmedRevenue: string
  readonly refunded: string
  readonly charged: string
  readonly dailyRevenue: Readonly<Record<string, string>>
}

/**
 * The figures of a file without a fault, by a plain loop over its rows in whole pence: no events, no services, none of the
 * shop's own reading. Only the hash that decides whose card is declined is the gateway's.
 */
export function expectedFigures(
  path: string,
  options: { stock?: number; decline?: number; repeat?: number },
): ExpectedFigures {
  const rows: Record<string, string>[] = parse(readFileSync(path), { columns: true })
  const invoices = Object.entries(Object.groupBy(rows, (row) => `n${row['InvoiceNo']}`))
  const shelves = new Map<string, number>()
  const left = (article: string): number => shelves.get(article) ?? options.stock ?? Number.POSITIVE_INFINITY
  const days = new Map<string, number>()
  const sums = { gross: 0, confirmed: 0, charged: 0, refunded: 0 }
  const counts = { placed: 0, confirmed: 0, cancelled: 0, returns: 0, adjustments: 0 }
  for (let pass = 1; pass <= (options.repeat ?? 1); pass++) {
    for (const [name, lines = []] of invoices) {
      const number = name.slice(1)
      const goods = new Map<string, number>()
      const isReturn = number.startsWith('C')
      const isAdjustment = !isReturn && lines.every((line) => Number(line['Quantity']) < 0)
      let pence = 0
      for (const line of lines) {
        const quantity = isReturn ? Math.abs(Number(line['Quantity'])) : Number(line['Quantity'])
        if (!isAdjustment && quantity <= 0) continue
        goods.set(line['StockCode'] ?? '', (goods.get(line['StockCode'] ?? '') ?? 0) + quantity)
        pence += quantity * Math.round(Number(line['UnitPrice']) * 100)
      }
      if (isReturn || isAdjustment) {
        counts[isReturn ? 'returns' : 'adjustments'] += 1
        for (const [article, quantity] of goods) shelves.set(article, Math.max(0, left(article) + quantity))
        continue
      }
      counts.placed += 1
      sums.gross += pence
      const id = pass === 1 ? number : `${number}-${pass}`
      const paid = shareOf(id) >= (options.decline ?? 0)
      const there = [...goods].every(([article, quantity]) => left(article) >= quantity)
      if (paid) sums.charged += pence
      if (paid && there) {
        for (const [article, quantity] of goods) shelves.set(article, left(article) - quantity)
        const day = lines[0]?.['InvoiceDate']?.slice(0, 10) ?? ''
        days.set(day, (days.get(day) ?? 0) + pence)
        counts.confirmed += 1
        sums.confirmed += pence
      } else {
        counts.cancelled += 1
        if (paid) sums.refunded += pence
      }
    }
  }
  const pounds = (pence: number): string => (pence / 100).toFixed(2)
  return {
    orders: { placed: counts.placed, confirmed: counts.confirmed, cancelled: counts.cancelled },
    returns: counts.returns,
    stockAdjustments: counts.adjustments,
    grossOrderValue: pounds(sums.gross),
    confirmedRevenue: pounds(sums.confirmed),
    refunded: pounds(sums.refunded),
    charged: pounds(sums.charged),
    dailyRevenue: Object.fromEntries([...days].map(([day, pence]) => [day, pounds(pence)])),
  }
}
