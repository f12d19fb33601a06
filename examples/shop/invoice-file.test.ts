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
const articlesOf = (invoices: RawInvoice[]): [string, (string | undefined)[]][] =>
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
    ['with an open quote', `${header}\n536365,"A,1\n`, 'it is no CSV'],
    ['no text', Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 0, 0xff, 0xfe]), 'its first line lacks'],
    ['one endless line', `${header}\n536365,"${'x'.repeat(2_000_000)}`, 'it is no CSV'],
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
  })

  it('with nothing but strange numbers is something else', async () => {
    const lines = Array.from({ length: 100_001 }, (_, index) => row(`x${index}`, 'A'))
    await expect(surveyInvoiceFile(fileOf([header, ...lines].join('\n')))).rejects.toThrow(
      'invoice numbers that are none',
    )
  })
})
