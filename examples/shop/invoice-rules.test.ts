import { describe, expect, it } from 'vitest'
import { InvoiceUnreadableError } from './errors.ts'
import { readInvoice } from './invoice-rules.ts'

const columns = [
  'InvoiceNo',
  'StockCode',
  'Description',
  'Quantity',
  'InvoiceDate',
  'UnitPrice',
  'CustomerID',
  'Country',
]

interface Row {
  article?: string
  quantity?: string
  date?: string
  price?: string
  customer?: string
}

function invoice(number: string, ...rows: (Row | string[])[]): ReturnType<typeof readInvoice> {
  return readInvoice({
    number,
    columns,
    rows: rows.map((row, index) => ({
      line: index + 2,
      cells: Array.isArray(row)
        ? row
        : [
            number,
            row.article ?? '85123A',
            'HEART',
            row.quantity ?? '6',
            row.date ?? '2010-12-01 08:26:00',
            row.price ?? '2.55',
            row.customer ?? '17850',
            'United Kingdom',
          ],
    })),
  })
}

function reasonOf(number: string, row: Row | string[]): string {
  const read = invoice(number, {}, row)
  return read.kind === 'unreadable'
    ? read.problems.map(({ line, reason }) => `${line}: ${reason}`).join('; ')
    : read.kind
}

describe('the rules of invoices', () => {
  it('an order is worth its lines with positive quantity', () => {
    expect(invoice('536365', { quantity: '6' }, { quantity: '-2' }, { quantity: '0' }, { price: '0' })).toEqual({
      kind: 'order',
      customerId: '17850',
      day: '2010-12-01',
      total: '15.3',
      lines: [
        { article: '85123A', quantity: 6, unitPrice: '2.55' },
        { article: '85123A', quantity: 6, unitPrice: '0' },
      ],
    })
  })

  it('a number with C is a return, worth what its quantities are without their sign', () => {
    expect(invoice('C536365', { quantity: '-6' }, { quantity: '2' }, { quantity: '0' })).toMatchObject({
      kind: 'return',
      value: '20.4',
      lines: [{ quantity: 6 }, { quantity: 2 }],
    })
  })

  it('only negative quantities without C are a stock adjustment', () => {
    expect(invoice('536365', { quantity: '-6', price: '0' }, { quantity: '-1' })).toMatchObject({
      kind: 'adjustment',
      lines: [{ quantity: -6 }, { quantity: -1 }],
    })
  })

  it('without a positive quantity, but not only negative ones, it is an order of nothing', () => {
    expect(invoice('536365', { quantity: '0' })).toMatchObject({ kind: 'order', total: '0', lines: [] })
    expect(invoice('536365', { quantity: '0' }, { quantity: '-1' })).toMatchObject({ kind: 'order', total: '0' })
  })

  it('the first row tells the day, the first customer named is the customer, none is a guest', () => {
    expect(
      invoice('536365', { customer: '', date: '2010-12-01 23:59:00' }, { date: '2010-12-02 00:00:00' }),
    ).toMatchObject({
      day: '2010-12-01',
      customerId: '17850',
    })
    expect(invoice('536365', { customer: '' }, { customer: ' ' })).toMatchObject({ customerId: null })
  })

  it.each([
    ['quantity', { quantity: 'six' }, 'quantity "six" is no integer'],
    ['no quantity', { quantity: '' }, 'quantity "" is no integer'],
    ['a fraction', { quantity: '6.0' }, 'quantity "6.0" is no integer'],
    ['an exponent', { quantity: '1e3' }, 'quantity "1e3" is no integer'],
    ['a plus', { quantity: '+6' }, 'quantity "+6" is no integer'],
    ['a blank', { quantity: ' 6 ' }, 'quantity " 6 " is no integer'],
    ['hexadecimal', { quantity: '0x10' }, 'quantity "0x10" is no integer'],
    ['more than a number holds', { quantity: '9007199254740993' }, 'quantity "9007199254740993" is beyond 2⁵³ − 1'],
    ['less than a number holds', { quantity: '-9007199254740992' }, 'quantity "-9007199254740992" is beyond 2⁵³ − 1'],
    ['a negative price', { price: '-2.55' }, 'price "-2.55" is no non-negative decimal'],
    ['a comma', { price: '2,55' }, 'price "2,55" is no non-negative decimal'],
    ['no price', { price: '' }, 'price "" is no non-negative decimal'],
    ['an exponent in the price', { price: '1e3' }, 'price "1e3" is no non-negative decimal'],
    [
      'a price without end',
      { price: '1'.repeat(31) },
      `price "${'1'.repeat(31)}" has more than 30 digits before or behind the point`,
    ],
    [
      'more decimals than are kept',
      { price: `0.${'1'.repeat(31)}` },
      `price "0.${'1'.repeat(31)}" has more than 30 digits before or behind the point`,
    ],
    ['no number', { price: 'NaN' }, 'price "NaN" is no non-negative decimal'],
    ['a day that no calendar has', { date: '2010-02-30 08:26:00' }, 'date "2010-02-30 08:26:00" is no date'],
    ['29 February', { date: '1900-02-29' }, 'date "1900-02-29" is no date'],
    ['month 13', { date: '2010-13-01 08:26:00' }, 'date "2010-13-01 08:26:00" is no date'],
    ['day 0', { date: '2010-12-00 08:26:00' }, 'date "2010-12-00 08:26:00" is no date'],
    ['hour 24', { date: '2010-12-01 24:00:00' }, 'date "2010-12-01 24:00:00" is no date'],
    ['no date', { date: '' }, 'date "" is no date'],
    ['a word', { date: 'yesterday' }, 'date "yesterday" is no date'],
    ['another order', { date: '12/1/2010 8:26' }, 'date "12/1/2010 8:26" is no date'],
    ['something after it', { date: '2010-12-01 08:26:00 UTC' }, 'date "2010-12-01 08:26:00 UTC" is no date'],
    ['a zone without a time', { date: '2010-12-01Z' }, 'date "2010-12-01Z" is no date'],
    ['a zone of its own', { date: '2010-12-01 08:26+24:00' }, 'date "2010-12-01 08:26+24:00" is no date'],
  ])('a row with %s parks the invoice', (_name, row, reason) => {
    expect(reasonOf('536365', row)).toBe(`3: ${reason}`)
  })

  it.each([
    '2000-02-29',
    '2012-02-29 00:00',
    '2010-12-31T23:59:59',
    '2010-12-31T23:59:59.999Z',
    '2010-12-31T23:59-05:00',
  ])('%s is a date, and its day that of the till', (date) => {
    expect(invoice('536365', { date })).toMatchObject({ kind: 'order', day: date.slice(0, 10) })
  })

  it.each(['0006', `${'0'.repeat(30)}6`])('%s is a quantity', (quantity) => {
    expect(invoice('536365', { quantity })).toMatchObject({ lines: [{ quantity: 6 }] })
  })

  it.each(['0', '0.0', '12', '2.555', '0007.10'])('%s is a price', (price) => {
    expect(reasonOf('536365', { price })).toBe('order')
  })

  it('names all that is wrong with a row, and each row', () => {
    expect(reasonOf('536365', { quantity: 'x', price: 'y', date: 'z' })).toBe(
      '3: quantity "x" is no integer, price "y" is no non-negative decimal, date "z" is no date',
    )
    expect(invoice('536365', { quantity: 'x' }, {}, { price: 'y' })).toEqual({
      kind: 'unreadable',
      problems: [
        { line: 2, reason: 'quantity "x" is no integer' },
        { line: 4, reason: 'price "y" is no non-negative decimal' },
      ],
    })
  })

  it('a row with too few or too many columns cannot be read', () => {
    expect(reasonOf('536365', ['536365', '85123A'])).toBe('3: it has 2 columns where the header has 8')
    expect(reasonOf('536365', ['536365'])).toBe('3: it has 1 column where the header has 8')
    expect(reasonOf('536365', ['536365', '85123A', 'A', 'B', '6', '2010-12-01', '1', '', 'UK'])).toBe(
      '3: it has 9 columns where the header has 8',
    )
  })

  it.each(['', '53636', '5363650', 'c536365', 'A536365', ' 536365', '536365 ', 'C53636', '٥٣٦٣٦٥'])(
    '%j is no invoice number',
    (number) => {
      expect(reasonOf(number, {})).toContain('is neither six digits nor C and six digits')
    },
  )

  it('parks an invoice whose pieces together are no exact number any more', () => {
    expect(invoice('536365', { quantity: '9007199254740990' }, { quantity: '1' })).toMatchObject({ kind: 'order' })
    expect(reasonOf('536365', { quantity: '9007199254740991' })).toBe('3: the invoice has more than 2⁵³ − 1 pieces')
    expect(reasonOf('C536365', { quantity: '-9007199254740991' })).toBe('3: the invoice has more than 2⁵³ − 1 pieces')
  })

  it('parks an invoice with a row that the file could not give', () => {
    const damaged = { line: 2, cells: ['\0\0\0'], damage: 'it holds a NUL character' }
    const intact = { line: 3, cells: ['536365', 'A', 'X', '1', '2010-12-01', '1', '', ''] }
    const problems = [{ line: 2, reason: 'it holds a NUL character' }]
    expect(readInvoice({ number: '536365', columns, rows: [damaged, intact] })).toEqual({
      kind: 'unreadable',
      problems,
    })
    expect(readInvoice({ number: null, columns, rows: [damaged] })).toEqual({ kind: 'unreadable', problems })
  })

  it('counts the reasons that a dead letter has no room for', () => {
    const problems = Array.from({ length: 5_000 }, (_, index) => ({
      line: index + 2,
      reason: 'quantity "x" is no integer',
    }))
    const { message } = new InvoiceUnreadableError('536365', problems)
    const told = [...message.matchAll(/line \d+:/g)].length
    expect(message.length).toBeLessThan(16_000)
    expect(message).toContain(`; and ${5_000 - told} more rows.`)
    expect(new InvoiceUnreadableError(null, problems).message).toMatch(
      /^An invoice without a readable number cannot be read: line 2/,
    )
  })

  it('shows a long value cut', () => {
    expect(reasonOf('536365', { quantity: 'x'.repeat(1000) }).length).toBeLessThan(100)
  })
})
