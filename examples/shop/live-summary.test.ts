import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { embedded } from '../../src/embedded/index.ts'
import { systemClock } from '../../src/index.ts'
import { InvoiceReceived } from './events.ts'
import { PaymentGateway } from './gateway.ts'
import { LiveSummary, type SummaryOutput } from './live-summary.ts'
import { shop } from './shop.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-shop-summary-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Remembers what was written, and what a terminal would show of it. */
class Screen implements SummaryOutput {
  readonly isTTY: boolean
  readonly columns: number
  readonly rows: number
  written = ''

  constructor(isTTY: boolean, columns = 80, rows = 24) {
    this.isTTY = isTTY
    this.columns = columns
    this.rows = rows
  }

  write(text: string): boolean {
    this.written += text
    return true
  }

  /** Carries out the few sequences that the summary uses; any other makes it fail. */
  get lines(): string[] {
    const lines: string[] = ['']
    let [at, column] = [0, 0]
    for (const token of tokensOf(this.written)) {
      const line = lines[at] ?? ''
      if (token === '\n') {
        at += 1
        column = 0
        lines[at] ??= ''
      } else if (token === '\r') column = 0
      else if (token === `${escapeCode}[K`) lines[at] = line.slice(0, column)
      else if (token === `${escapeCode}[0J`) lines.splice(at, lines.length, line.slice(0, column))
      else if (token.startsWith(`${escapeCode}[`) && token.endsWith('A')) at -= Number(token.slice(2, -1))
      else if (token.startsWith(escapeCode)) throw new RangeError(`Unknown sequence ${JSON.stringify(token)}`)
      else {
        lines[at] = line.slice(0, column).padEnd(column) + token + line.slice(column + 1)
        column += 1
      }
    }
    return lines
  }
}

const escapeCode = '\u001B'

/** Characters, and sequences from the escape to their letter. */
function tokensOf(text: string): string[] {
  const tokens: string[] = []
  for (const character of text) {
    const last = tokens.at(-1) ?? ''
    if (last.startsWith(escapeCode) && !/[A-Z]$/.test(last)) tokens[tokens.length - 1] = last + character
    else tokens.push(character)
  }
  return tokens
}

/** A shop with an order on each of so many days, and an invoice that cannot be read. */
async function summaryOn(output: Screen, days: number) {
  const gateway = await PaymentGateway.open({ path: join(folder, `${days}-${output.rows}.db`), clock: systemClock })
  const running = await shop(gateway).start({ engine: embedded({ path: ':memory:' }) })
  const columns = ['InvoiceNo', 'StockCode', 'Quantity', 'InvoiceDate', 'UnitPrice', 'CustomerID']
  const numbers = Array.from({ length: days }, (_, index) => `${536_365 + index}`)
  const invoices = [...numbers, 'none'].map((number, index) => {
    const day = `2010-12-${String(index + 1).padStart(2, '0')}`
    const rows = [{ line: 2, cells: [number, 'A', '2', day, '2.505', '1'] }]
    return InvoiceReceived({ invoiceId: number, number, columns, rows })
  })
  await running.publish(invoices)
  await running.idle()
  const summary = new LiveSummary({ running, clock: systemClock, output, invoiceCount: 20, hasColors: false })
  return {
    summary,
    [Symbol.asyncDispose]: async () => {
      await running.stop()
      await gateway.close()
    },
  }
}

describe('the live summary', () => {
  it('is a picture in a terminal', async () => {
    const screen = new Screen(true)
    await using live = await summaryOn(screen, 2)
    await live.summary.draw()
    expect(screen.lines).toEqual([
      'invoices      3 of 20 · orders 2 · returns 0 · stock adjustments 0',
      'events        15 · 0 a second',
      'orders        0 open · 2 confirmed · 0 cancelled',
      'dead letters  1',
      'lag                            events    seconds',
      ...['ordering', 'payment', 'inventory', 'shipping', 'notification'].map(
        (service) => `  ${service.padEnd(20)}              0        0.0`,
      ),
      ...['order-summary', 'customer-orders', 'daily-revenue'].map(
        (view) => `  ${`view:${view}`.padEnd(20)}              0        0.0`,
      ),
      'revenue                             £     orders',
      '  2010-12-01                     5.01          1',
      '  2010-12-02                     5.01          1',
      '',
    ])
  })

  it('is drawn over the one before, whatever was typed, and notes stand above it', async () => {
    const screen = new Screen(true)
    await using live = await summaryOn(screen, 1)
    await live.summary.draw()
    const first = screen.lines
    screen.write('^C')
    await live.summary.draw()
    expect(screen.lines).toEqual(first)
    live.summary.note('All invoices are in.')
    expect(screen.lines).toEqual(['All invoices are in.', ''])
    await live.summary.draw()
    expect(screen.lines).toEqual(['All invoices are in.', ...first])
  })

  it('fits the terminal and keeps the newest days', async () => {
    const screen = new Screen(true, 40, 18)
    await using live = await summaryOn(screen, 12)
    await live.summary.draw()
    const lines = screen.lines.slice(0, -1)
    expect(lines).toHaveLength(16)
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(40)
    expect(lines.slice(-3).map((line) => line.slice(0, 30).trimEnd())).toEqual([
      'revenue, newest 2 of 12 days',
      '  2010-12-11',
      '  2010-12-12',
    ])
  })

  it('is a line where lines stay, and silent while nothing changes', async () => {
    const screen = new Screen(false)
    await using live = await summaryOn(screen, 1)
    await live.summary.draw()
    await live.summary.draw()
    expect(screen.written).toBe(
      'invoices: 2 of 20 · events: 8 (0/s) · orders: 0 open · 1 confirmed · 0 cancelled · lag: 0 · dead letters: 1\n',
    )
  })
})
