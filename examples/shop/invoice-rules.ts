import type { RowProblem } from './errors.ts'
import type { RawInvoice } from './invoice-file.ts'
import { type Money, pricePattern, totalOf } from './money.ts'
import { invoiceNumberPattern } from './row-counts.ts'

/** One article of an invoice. */
export interface InvoiceLine {
  readonly article: string
  /** Pieces: positive in an order and a return, negative in a stock adjustment. */
  readonly quantity: number
  readonly unitPrice: Money
}

/** What every readable invoice has. */
interface InvoiceFacts {
  /** `null`: a guest. */
  readonly customerId: string | null
  /** Day of the invoice, `YYYY-MM-DD`. */
  readonly day: string
  readonly lines: readonly InvoiceLine[]
}

/** What an invoice turned out to be. */
export type ReadInvoice =
  | ({ readonly kind: 'order'; readonly total: Money } & InvoiceFacts)
  | ({ readonly kind: 'return'; readonly value: Money } & InvoiceFacts)
  | ({ readonly kind: 'adjustment' } & InvoiceFacts)
  | { readonly kind: 'unreadable'; readonly problems: readonly RowProblem[] }

interface ReadRow {
  readonly line: InvoiceLine
  readonly day: string
  readonly customerId: string
}

/**
 * Reads the rows of one invoice by the rules of README.md ("What the rows mean").
 *
 * @example
 * ```ts
 * const invoice = readInvoice(raw)
 * if (invoice.kind === 'order') console.log(invoice.total)
 * ```
 */
export function readInvoice(raw: RawInvoice): ReadInvoice {
  const problems: RowProblem[] = []
  const rows: ReadRow[] = []
  const at = columnPlaces(raw.columns)
  let pieces = 0
  for (const { line, cells, damage } of raw.rows) {
    const found = damage === undefined ? readRow(raw, at, cells) : [damage]
    if (Array.isArray(found)) {
      problems.push({ line, reason: found.join(', ') })
      continue
    }
    // Whoever adds up the articles of an invoice must get a whole number again.
    pieces += Math.abs(found.line.quantity)
    if (pieces > Number.MAX_SAFE_INTEGER) problems.push({ line, reason: 'the invoice has more than 2⁵³ − 1 pieces' })
    rows.push(found)
  }
  const [first] = rows
  if (problems.length > 0 || first === undefined) return { kind: 'unreadable', problems }
  const customerId = rows.find((row) => row.customerId !== '')?.customerId ?? null
  return kindOf(raw.number ?? '', { customerId, day: first.day, lines: rows.map((row) => row.line) })
}

function kindOf(number: string, facts: InvoiceFacts): ReadInvoice {
  if (number.startsWith('C')) {
    const lines = facts.lines
      .filter((line) => line.quantity !== 0)
      .map((line) => ({ ...line, quantity: Math.abs(line.quantity) }))
    return { kind: 'return', ...facts, lines, value: totalOf(lines) }
  }
  if (facts.lines.every((line) => line.quantity < 0)) return { kind: 'adjustment', ...facts }
  const lines = facts.lines.filter((line) => line.quantity > 0)
  return { kind: 'order', ...facts, lines, total: totalOf(lines) }
}

interface ColumnPlaces {
  readonly count: number
  readonly article: number
  readonly quantity: number
  readonly date: number
  readonly price: number
  readonly customer: number
}

function columnPlaces(columns: readonly string[]): ColumnPlaces {
  return {
    count: columns.length,
    article: columns.indexOf('StockCode'),
    quantity: columns.indexOf('Quantity'),
    date: columns.indexOf('InvoiceDate'),
    price: columns.indexOf('UnitPrice'),
    customer: columns.indexOf('CustomerID'),
  }
}

/** The row, or everything that is wrong with it. */
function readRow(raw: RawInvoice, at: ColumnPlaces, cells: readonly string[]): ReadRow | string[] {
  const reasons: string[] = []
  if (raw.number !== null && !invoiceNumberPattern.test(raw.number)) {
    reasons.push(`invoice number ${shown(raw.number)} is neither six digits nor C and six digits`)
  }
  if (cells.length !== at.count) {
    // Which of its fields is missing cannot be told, so the others mean nothing.
    reasons.push(`it has ${cells.length} ${cells.length === 1 ? 'column' : 'columns'} where the header has ${at.count}`)
    return reasons
  }
  const quantity = cells[at.quantity] ?? ''
  const unitPrice = cells[at.price] ?? ''
  const date = cells[at.date] ?? ''
  const customerId = (cells[at.customer] ?? '').trim()
  const quantityFault = faultOfQuantity(quantity)
  if (quantityFault !== undefined) reasons.push(`quantity ${shown(quantity)} ${quantityFault}`)
  const priceFault = faultOfPrice(unitPrice)
  if (priceFault !== undefined) reasons.push(`price ${shown(unitPrice)} ${priceFault}`)
  const day = dayOf(date)
  if (day === undefined) reasons.push(`date ${shown(date)} is no date`)
  if (reasons.length > 0 || day === undefined) return reasons
  return { line: { article: cells[at.article] ?? '', quantity: Number(quantity), unitPrice }, day, customerId }
}

function faultOfQuantity(text: string): string | undefined {
  if (!/^-?\d+$/.test(text)) return 'is no integer'
  return Number.isSafeInteger(Number(text)) ? undefined : 'is beyond 2⁵³ − 1'
}

function faultOfPrice(text: string): string | undefined {
  if (!/^\d+(?:\.\d+)?$/.test(text)) return 'is no non-negative decimal'
  return pricePattern.test(text) ? undefined : 'has more than 30 digits before or behind the point'
}

const datePattern =
  /^(\d{4})-(\d\d)-(\d\d)(?:[ T]([01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-]([01]\d|2[0-3]):[0-5]\d)?)?$/
const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** The day of an ISO 8601 date, alone or with a time of day, as the till wrote it, if the calendar has it. */
function dayOf(text: string): string | undefined {
  const match = datePattern.exec(text)
  if (match === null) return undefined
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const lastDay = month === 2 && leap ? 29 : (monthDays[month - 1] ?? 0)
  return day >= 1 && day <= lastDay ? text.slice(0, 10) : undefined
}

const shownCharsMax = 40

function shown(text: string): string {
  return JSON.stringify(text.length > shownCharsMax ? `${text.slice(0, shownCharsMax)}…` : text)
}
