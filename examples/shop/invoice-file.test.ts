import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { OrdersFileError } from './errors.ts'
import { type RawInvoice, readInvoices, surveyInvoiceFile } from './invoice-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-invoice-file-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let files = 0

function fileOf(text: string | Buffer): string {
  const path = join(folder, `${files++}.csv`)
  writeFileSync(path, text)
  return path
}

async function invoicesOf(text: string | Buffer): Promise<RawInvoice[]> {
  return Array.fromAsync(readInvoices(await surveyInvoiceFile(fileOf(text))))
}

const header = 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country'
const row = (number: string, article: string): string =>
  `${number},${article},THING,1,2010-12-01 08:26:00,2.55,17850,UK`
const articlesOf = (invoices: RawInvoice[]): [string | null, (string | undefined)[]][] =>
  invoices.map(({ number, rows }) => [number, rows.map(({ cells }) => cells[1])])

describe('an orders file', () => {
  it('is read invoice by invoice, with the lines of its rows', async () => {
    const invoices = await invoicesOf(
      `${header}\n${row('536365', 'A')}\n${row('536365', 'B')}\n${row('C536366', 'C')}\n`,
    )
    expect(articlesOf(invoices)).toEqual([
      ['536365', ['A', 'B']],
      ['C536366', ['C']],
    ])
    expect(invoices.flatMap(({ rows }) => rows.map(({ line }) => line))).toEqual([2, 3, 4])
  })

  it('may have a byte order mark, other line ends, quotes, empty lines and no last line end', async () => {
    const text = `\uFEFF${header}\r\n536365,A,"5"" PLATE, ""SMALL""\r\nAND ROUND",1,2010-12-01,1,,UK\r\n\r\n${row('536366', 'B')}\n${row('536367', 'C')}`
    const invoices = await invoicesOf(text)
    expect(articlesOf(invoices)).toEqual([
      ['536365', ['A']],
      ['536366', ['B']],
      ['536367', ['C']],
    ])
    expect(invoices[0]?.rows[0]?.cells[2]).toBe('5" PLATE, "SMALL"\r\nAND ROUND')
  })

  it.each(['\n', '\r\n', '\r'])('may end its lines with %j', async (end) => {
    // More than one chunk of the file, so that an end may be cut in two.
    const rows = Array.from({ length: 7_000 }, (_, index) => row(String(536_365 + index), 'A'))
    const invoices = await invoicesOf([header, ...rows, ''].join(end))
    expect(invoices).toHaveLength(7_000)
    expect(invoices.at(-1)).toMatchObject({ number: '543364', rows: [{ line: 7_001 }] })
  })

  it('may hold quotation marks that mean nothing', async () => {
    const invoices = await invoicesOf(`${header}\n536365,A,5" PLATE,1,2010-12-01,1,,UK\n`)
    expect(invoices[0]?.rows[0]?.cells[2]).toBe('5" PLATE')
  })

  it('may have its columns in another order and more of them', async () => {
    const path = fileOf(
      'Till,CustomerID,UnitPrice,InvoiceNo,Quantity,InvoiceDate,StockCode\n1,,2.55,536365,6,2010-12-01,A\n',
    )
    const file = await surveyInvoiceFile(path)
    const [invoice] = await Array.fromAsync(readInvoices(file))
    expect(invoice).toMatchObject({ number: '536365', columns: file.columns })
  })

  it('keeps the rows of an invoice together that do not stand together', async () => {
    const numbers = ['536365', '536366', 'odd', '536365', 'C536365', 'odd', '536366', '536367', '536365']
    const lines = numbers.map((number, index) => row(number, String(index)))
    expect(articlesOf(await invoicesOf([header, ...lines].join('\n')))).toEqual([
      ['C536365', ['4']],
      ['odd', ['2', '5']],
      ['536366', ['1', '6']],
      ['536367', ['7']],
      ['536365', ['0', '3', '8']],
    ])
  })

  it('keeps rows that are too short or too long', async () => {
    const invoices = await invoicesOf(`${header}\n536365,A\n,,\n${row('536366', 'B')},more\n`)
    expect(invoices.map(({ number, rows }) => [number, rows[0]?.cells.length])).toEqual([
      ['536365', 2],
      ['', 3],
      ['536366', 9],
    ])
  })

  it('may have no rows at all', async () => {
    const file = await surveyInvoiceFile(fileOf(`${header}\n`))
    expect([file.invoiceCount, file.rowCount]).toEqual([0, 0])
    expect(await Array.fromAsync(readInvoices(file))).toEqual([])
  })

  it('is known by its contents', async () => {
    const [a, b, c] = await Promise.all(
      ['A', 'A', 'B'].map((article) => surveyInvoiceFile(fileOf(`${header}\n${row('536365', article)}\n`))),
    )
    expect(a?.sha256).toBe(b?.sha256)
    expect(a?.sha256).not.toBe(c?.sha256)
  })

  it.each([
    ['empty', '', 'it is empty'],
    ['without a header', `${row('536365', 'A')}\n`, 'its first line lacks InvoiceNo, StockCode'],
    ['without two columns', 'InvoiceNo,StockCode,Description,InvoiceDate,UnitPrice\n', 'lacks Quantity, CustomerID'],
    ['with a column twice', `${header},InvoiceNo\n`, 'names InvoiceNo twice'],
    [
      'with an open quote in its header',
      `"${header}\n536365,"A,1\n`,
      'its first line cannot be read: the quotation mark',
    ],
    [
      'no text',
      Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 0, 0xff, 0xfe]),
      'its first line cannot be read: it is not UTF-8',
    ],
    ['UTF-16', Buffer.from(`\uFEFF${header}\n`, 'utf16le'), 'its first line cannot be read: it is not UTF-8'],
    ['nothing but zeros', Buffer.alloc(2_000), 'its first line cannot be read: it holds a NUL character'],
    ['one endless line', 'x'.repeat(2_000_000), 'its first line cannot be read: it is longer than 1,048,576 bytes'],
  ])('that is %s is refused', async (_name, text, problem) => {
    await expect(surveyInvoiceFile(fileOf(text))).rejects.toThrow(problem)
    await expect(surveyInvoiceFile(fileOf(text))).rejects.toBeInstanceOf(OrdersFileError)
  })

  it('that is not there, or a folder, is refused', async () => {
    await expect(surveyInvoiceFile(join(folder, 'missing.csv'))).rejects.toThrow('there is no such file')
    await expect(surveyInvoiceFile(folder)).rejects.toThrow('it is a folder')
  })

  it('that changes while it is read is refused', async () => {
    const path = fileOf(`${header}\n${row('536365', 'A')}\n${row('536365', 'B')}\n`)
    const file = await surveyInvoiceFile(path)
    writeFileSync(path, `${header}\n${row('536365', 'A')}\n`)
    await expect(Array.fromAsync(readInvoices(file))).rejects.toThrow('it changed while it was read')
    writeFileSync(path, `${header}\n${`${row('536365', 'A')}\n`.repeat(4)}`)
    await expect(Array.fromAsync(readInvoices(file))).rejects.toThrow('it changed while it was read')
  })

  it('with nothing but strange numbers is something else', async () => {
    const lines = Array.from({ length: 100_001 }, (_, index) => row(`x${index}`, 'A'))
    await expect(surveyInvoiceFile(fileOf([header, ...lines].join('\n')))).rejects.toThrow(
      'invoice numbers that are none',
    )
  })
})

describe('a damaged orders file', () => {
  /** Numbers, lines and damages of all invoices of a file, whose first line is its header. */
  async function foundBelow(...lines: (string | Buffer)[]): Promise<unknown[]> {
    const end = Buffer.from('\n')
    const invoices = await invoicesOf(Buffer.concat(lines.flatMap((line) => [Buffer.from(line as string), end])))
    return invoices.map(({ number, rows }) => [number, ...rows.map(({ line, damage }) => [line, damage ?? 'read'])])
  }
  const foundIn = (...lines: (string | Buffer)[]): Promise<unknown[]> => foundBelow(header, ...lines)
  const unclosed = 'the quotation mark that opens its column 3 is not closed'
  const open = (number: string): string => `${number},A,"THING,1,2010-12-01 08:26:00,2.55,17850,UK`

  it('loses one row to a quotation mark that nobody closed', async () => {
    const others = Array.from({ length: 60 }, (_, index) => row(String(536_400 + index), 'A'))
    const found = await foundIn(row('536365', 'A'), open('536366'), row('536366', 'B'), ...others)
    expect(found.slice(0, 2)).toEqual([
      ['536365', [2, 'read']],
      ['536366', [3, unclosed], [4, 'read']],
    ])
    expect(found).toHaveLength(62)
    // So near to the end, the end of the file tells.
    expect(await foundIn(row('536365', 'A'), open('536366'), row('536367', 'B'))).toEqual([
      ['536365', [2, 'read']],
      ['536366', [3, unclosed]],
      ['536367', [4, 'read']],
    ])
  })

  it('loses one row to it also where the next one has quotation marks', async () => {
    const quoted = '536367,A,"PLATE, BLUE",1,2010-12-01,1,,UK'
    expect(await foundIn(open('536365'), row('536366', 'A'), quoted, open('536368'), quoted)).toEqual([
      ['536365', [2, unclosed]],
      ['536366', [3, 'read']],
      ['536368', [5, unclosed]],
      ['536367', [4, 'read'], [6, 'read']],
    ])
  })

  it('takes no row for text and no text for a row where two marks may be missing', async () => {
    const reason = 'it is one of lines 2 to 4, which stand between two quotation marks and hold whole rows'
    expect(
      await foundIn(open('536365'), row('536366', 'A'), '536367,A,THING",1,2010-12-01,1,,UK', row('536368', 'A')),
    ).toEqual([
      ['536365', [2, reason]],
      ['536366', [3, reason]],
      ['536367', [4, reason]],
      ['536368', [5, 'read']],
    ])
  })

  it('takes text over some lines for what it is in the first column, too', async () => {
    const noted = 'Note,InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID'
    const rest = 'A,2,2010-12-01,1.50,1'
    expect(await foundBelow(noted, '"a', `b",536365,${rest}`, `,536366,${rest}`)).toEqual([
      ['536365', [2, 'read']],
      ['536366', [4, 'read']],
    ])
    // Two marks may be missing here.
    const reason = 'it is one of lines 2 to 3, which stand between two quotation marks and hold whole rows'
    expect(await foundBelow(noted, `"5,536365,${rest}`, `5",536366,${rest}`)).toEqual([
      [null, [2, reason]],
      ['536366', [3, reason]],
    ])
  })

  it('takes text over some lines for what it is, up to a bound', async () => {
    const tall = (lines: number): string => `536365,A,"${'TALL\n'.repeat(lines - 1)}THING",1,2010-12-01,1,,UK`
    expect(await foundIn(tall(50), row('536366', 'A'))).toEqual([
      ['536365', [2, 'read']],
      ['536366', [52, 'read']],
    ])
    expect((await foundIn(tall(51), row('536366', 'A')))[0]).toEqual(['536365', [2, unclosed]])
  })

  it('loses one row to bytes that are no UTF-8, to a NUL and to a line without end', async () => {
    const latin1 = Buffer.from(row('536366', 'CAF\u00C9'), 'latin1')
    expect(
      await foundIn(
        row('536365', 'A'),
        latin1,
        row('536367', '\0\0'),
        `536368,A,${'x'.repeat(3_000_000)}`,
        row('536369', 'A'),
      ),
    ).toEqual([
      ['536365', [2, 'read']],
      ['536366', [3, 'it is not UTF-8']],
      ['536367', [4, 'it holds a NUL character']],
      ['536368', [5, 'it is longer than 1,048,576 bytes']],
      ['536369', [6, 'read']],
    ])
  })

  it('parks rows by themselves whose number is damaged too', async () => {
    const hole = `5363${'\0'.repeat(2)}`
    const found = await foundIn(`${hole},A`, '"536365,A', `${hole},A`, 'x'.repeat(2_000_000), row('536366', 'A'))
    expect(found).toEqual([
      [null, [2, 'it holds a NUL character']],
      [null, [3, 'the quotation mark that opens its column 1 is not closed']],
      [null, [4, 'it holds a NUL character']],
      [null, [5, 'it is longer than 1,048,576 bytes']],
      ['536366', [6, 'read']],
    ])
  })

  it('parks rows by themselves that end before their number', async () => {
    const text = `StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID,InvoiceNo\nA,1\nB\nC,1,2010-12-01,1,,536365\n`
    expect((await invoicesOf(text)).map(({ number, rows }) => [number, rows[0]?.line])).toEqual([
      [null, 2],
      [null, 3],
      ['536365', 4],
    ])
  })

  it('that is cut in the middle loses its last row only', async () => {
    const whole = `${header}\n${row('536365', 'A')}\n${row('536366', 'B')}`
    expect(articlesOf(await invoicesOf(whole.slice(0, -30)))).toEqual([
      ['536365', ['A']],
      ['536366', ['B']],
    ])
    expect((await invoicesOf(whole.slice(0, -30)))[1]?.rows[0]?.cells).toHaveLength(5)
  })

  it('keeps an invoice that is too long for a message as one row that says so', async () => {
    const long = `536365,A,${'x'.repeat(900_000)},1,2010-12-01,1,,UK`
    const invoices = await invoicesOf(
      [header, ...Array.from({ length: 10 }, () => long), row('536366', 'A')].join('\n'),
    )
    expect(invoices[0]).toMatchObject({
      number: '536365',
      rows: [{ line: 11, cells: [], damage: 'with it the invoice is longer than 8,388,608 characters' }],
    })
    expect(invoices[0]?.rows).toHaveLength(1)
    expect(invoices[1]?.number).toBe('536366')
  })
})
