import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { CsvError, type Info, parse } from 'csv-parse'
import { OrdersFileError } from './errors.ts'

/** Columns that an orders file must have, in any order and among others. */
export const requiredColumns: readonly string[] = [
  'InvoiceNo',
  'StockCode',
  'Quantity',
  'InvoiceDate',
  'UnitPrice',
  'CustomerID',
]

/** A row with the line of the file on which it ends. */
export interface InvoiceRow {
  readonly line: number
  readonly cells: readonly string[]
}

/** All rows of one invoice, as text: nothing about them has been checked. */
export interface RawInvoice {
  readonly number: string
  readonly columns: readonly string[]
  readonly rows: readonly InvoiceRow[]
}

/** An orders file after {@link surveyInvoiceFile} went through it once. */
export interface InvoiceFile {
  readonly path: string
  /** SHA-256 of its bytes, in hexadecimal. */
  readonly sha256: string
  readonly bytes: number
  readonly columns: readonly string[]
  readonly invoiceCount: number
  readonly rowCount: number
  /** How many rows the invoice with this number has in the whole file. */
  rowCountOf(number: string): number
}

/** More different unreadable numbers than this, and the file is something else. */
const oddNumbersMax = 100_000
/** A longer row is taken for a quotation mark that nobody closed, in bytes. */
const rowBytesMax = 1_048_576

/**
 * Goes through an orders file once: checks its header, and counts the rows of each invoice.
 *
 * With the counts, {@link readInvoices} knows when an invoice is complete even if its rows do not stand together, and holds
 * only those that have begun and not ended. The counts take 8 MB however long the file is, since there are only two
 * million numbers of six digits with and without `C`.
 *
 * @throws OrdersFileError `SHOP_ORDERS_FILE`
 */
export async function surveyInvoiceFile(path: string): Promise<InvoiceFile> {
  const counts = new RowCounts(path)
  const hash = createHash('sha256')
  let bytes = 0
  const input = createReadStream(path, { highWaterMark: 262_144 })
  input.on('data', (chunk) => {
    hash.update(chunk)
    bytes += chunk.length
  })
  let columns: readonly string[] | undefined
  for await (const { header, row } of readRows(path, input)) {
    columns ??= header
    if (row !== undefined) counts.add(row.cells[header.indexOf('InvoiceNo')] ?? '')
  }
  if (columns === undefined) throw new OrdersFileError(path, 'it is empty, it has not even a header')
  return {
    path,
    sha256: hash.digest('hex'),
    bytes,
    columns,
    invoiceCount: counts.invoiceCount,
    rowCount: counts.rowCount,
    rowCountOf: (number) => counts.of(number),
  }
}

/**
 * The invoices of a surveyed file, each with all of its rows, in the order in which they are complete.
 *
 * @throws OrdersFileError `SHOP_ORDERS_FILE`
 */
export async function* readInvoices(file: InvoiceFile): AsyncGenerator<RawInvoice> {
  const numberColumn = file.columns.indexOf('InvoiceNo')
  const open = new Map<string, InvoiceRow[]>()
  const input = createReadStream(file.path, { highWaterMark: 262_144 })
  for await (const { row } of readRows(file.path, input)) {
    if (row === undefined) continue
    const number = row.cells[numberColumn] ?? ''
    let rows = open.get(number)
    if (rows === undefined) {
      rows = []
      open.set(number, rows)
    }
    rows.push(row)
    if (rows.length < file.rowCountOf(number)) continue
    open.delete(number)
    yield { number, columns: file.columns, rows }
  }
  if (open.size > 0) throw new OrdersFileError(file.path, 'it changed while it was read')
}

/** First the header alone, then the header with each row. */
async function* readRows(
  path: string,
  input: ReturnType<typeof createReadStream>,
): AsyncGenerator<{ readonly header: readonly string[]; readonly row?: InvoiceRow }> {
  const parser = parse({
    bom: true,
    info: true,
    // A row with too few or too many fields concerns its invoice only, not the file.
    relax_column_count: true,
    // Quotation marks inside a field that is not quoted: 5" PLATE.
    relax_quotes: true,
    skip_empty_lines: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    max_record_size: rowBytesMax,
  })
  // `pipe` does not pass errors on; without this a missing file would end the process.
  input.once('error', (error) => parser.destroy(error))
  input.pipe(parser)
  let header: readonly string[] | undefined
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: Info }>) {
      if (header === undefined) {
        header = checkedHeader(path, record)
        yield { header }
      } else {
        yield { header, row: { line: info.lines, cells: record } }
      }
    }
  } catch (error) {
    if (error instanceof OrdersFileError) throw error
    throw new OrdersFileError(path, reasonOf(error), { cause: error })
  } finally {
    input.destroy()
  }
}

function checkedHeader(path: string, cells: readonly string[]): readonly string[] {
  const header = cells.map((cell) => cell.trim())
  const missing = requiredColumns.filter((column) => !header.includes(column))
  if (missing.length > 0) throw new OrdersFileError(path, `its first line lacks ${missing.join(', ')}`)
  const twice = requiredColumns.filter((column) => header.indexOf(column) !== header.lastIndexOf(column))
  if (twice.length > 0) throw new OrdersFileError(path, `its first line names ${twice.join(', ')} twice`)
  return header
}

function reasonOf(error: unknown): string {
  if (error instanceof CsvError) return `it is no CSV (${error.message.replace(/\.$/, '')})`
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EISDIR') return 'it is a folder'
  if (code === 'EACCES') return 'you may not read it'
  return message
}

/** Rows per invoice number, in bounded memory. */
class RowCounts {
  readonly #path: string
  /** Six digits: 0 to 999,999; with `C`: 1,000,000 more. */
  readonly #counts = new Uint32Array(2_000_000)
  readonly #odd = new Map<string, number>()
  invoiceCount = 0
  rowCount = 0

  constructor(path: string) {
    this.#path = path
  }

  add(number: string): void {
    this.rowCount += 1
    const slot = slotOf(number)
    if (this.of(number) === 0) this.invoiceCount += 1
    if (slot >= 0) {
      this.#counts[slot] = (this.#counts[slot] ?? 0) + 1
      return
    }
    this.#odd.set(number, (this.#odd.get(number) ?? 0) + 1)
    if (this.#odd.size > oddNumbersMax) {
      throw new OrdersFileError(this.#path, `it has more than ${oddNumbersMax} different invoice numbers that are none`)
    }
  }

  of(number: string): number {
    const slot = slotOf(number)
    return (slot >= 0 ? this.#counts[slot] : this.#odd.get(number)) ?? 0
  }
}

/** What an invoice number looks like: six digits, or `C` and six digits. */
export const invoiceNumberPattern: RegExp = /^C?\d{6}$/

function slotOf(number: string): number {
  if (!invoiceNumberPattern.test(number)) return -1
  return number.length === 7 ? 1_000_000 + Number(number.slice(1)) : Number(number)
}
