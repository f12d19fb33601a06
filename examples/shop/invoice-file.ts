import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type Line, LineSplitter } from './csv-lines.ts'
import { type CsvRow, type IsWholeRow, RowAssembler } from './csv-rows.ts'
import { OrdersFileError } from './errors.ts'
import { invoiceNumberPattern, RowCounts } from './row-counts.ts'

/** Columns that an orders file must have, in any order and among others. */
export const requiredColumns: readonly string[] = [
  'InvoiceNo',
  'StockCode',
  'Quantity',
  'InvoiceDate',
  'UnitPrice',
  'CustomerID',
]

/** A row with the line of the file on which it begins. */
export interface InvoiceRow {
  readonly line: number
  readonly cells: readonly string[]
  /** Why this row cannot be read at all; its cells then show its text. */
  readonly damage?: string
}

/** All rows of one invoice, as text: nothing about them has been checked. */
export interface RawInvoice {
  /** What stands in its number column; `null`: a damaged row by itself, whose number cannot be read. */
  readonly number: string | null
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

/** Read at once, in bytes. */
const chunkBytes = 262_144
/** More text than this cannot be one invoice, in characters: it must fit into a message, with room for JSON. */
const invoiceCharsMax = 8_388_608

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
  const sha256 = createHash('sha256')
  let bytes = 0
  const input = createReadStream(path, { highWaterMark: chunkBytes })
  input.on('data', (chunk) => {
    sha256.update(chunk)
    bytes += chunk.length
  })
  let columns: readonly string[] | undefined
  for await (const { header, row } of readRows(path, input)) {
    columns ??= header
    if (row !== undefined) counts.add(numberOf(row, header.indexOf('InvoiceNo')))
  }
  if (columns === undefined) throw new OrdersFileError(path, 'it is empty, it has not even a header')
  return {
    path,
    sha256: sha256.digest('hex'),
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
  const { path, columns } = file
  const numberColumn = columns.indexOf('InvoiceNo')
  const open = new Map<string, OpenInvoice>()
  let rowCount = 0
  for await (const { row } of readRows(path, createReadStream(path, { highWaterMark: chunkBytes }))) {
    if (row === undefined) continue
    rowCount += 1
    const number = numberOf(row, numberColumn)
    if (number === null) {
      yield { number, columns, rows: [rowOf(row)] }
      continue
    }
    let invoice = open.get(number)
    if (invoice === undefined) {
      invoice = new OpenInvoice()
      open.set(number, invoice)
    }
    invoice.add(rowOf(row))
    if (invoice.rowCount < file.rowCountOf(number)) continue
    open.delete(number)
    yield { number, columns, rows: invoice.rows }
  }
  if (open.size > 0 || rowCount !== file.rowCount) throw new OrdersFileError(path, 'it changed while it was read')
}

/** An invoice whose rows are not all read yet. */
class OpenInvoice {
  rows: InvoiceRow[] = []
  rowCount = 0
  #chars = 0

  add(row: InvoiceRow): void {
    this.rowCount += 1
    if (this.#chars > invoiceCharsMax) return
    for (const cell of row.cells) this.#chars += cell.length + 1
    // Its rows go, so that memory and the message stay bounded; it will be parked for this one.
    if (this.#chars > invoiceCharsMax) {
      const damage = `with it the invoice is longer than ${invoiceCharsMax.toLocaleString('en')} characters`
      this.rows = [{ line: row.line, cells: [], damage }]
    } else {
      this.rows.push(row)
    }
  }
}

/**
 * The invoice that a row belongs to. Of a damaged row only a number that is one counts: anything else may be part of
 * the damage, and rows must not become one invoice because they are damaged in the same way.
 */
function numberOf({ cells, damage }: CsvRow, column: number): string | null {
  const number = cells[column]
  if (number === undefined || (damage !== undefined && !invoiceNumberPattern.test(number))) return null
  return number
}

function rowOf({ line, cells, damage }: CsvRow): InvoiceRow {
  return damage === undefined ? { line, cells } : { line, cells: [damage.text], damage: damage.reason }
}

/** First the header alone, then the header with each row. */
async function* readRows(
  path: string,
  input: ReturnType<typeof createReadStream>,
): AsyncGenerator<{ readonly header: readonly string[]; readonly row?: CsvRow }> {
  let header: readonly string[] | undefined
  try {
    for await (const row of csvRows(input, (cells) => header !== undefined && isWholeRow(cells, header))) {
      if (header === undefined) {
        header = checkedHeader(path, row)
        yield { header }
      } else {
        yield { header, row }
      }
    }
  } catch (error) {
    if (error instanceof OrdersFileError) throw error
    throw new OrdersFileError(path, reasonOf(error), { cause: error })
  } finally {
    input.destroy()
  }
}

async function* csvRows(input: AsyncIterable<Buffer>, isWhole: IsWholeRow): AsyncGenerator<CsvRow> {
  const splitter = new LineSplitter()
  const assembler = new RowAssembler(isWhole)
  for await (const chunk of input) yield* assembler.push(splitter.push(chunk).map(withoutMark))
  yield* assembler.push(splitter.end().map(withoutMark))
  yield* assembler.end()
}

/** The byte order mark, with which some programs begin a file, is no part of the first column's name. */
function withoutMark(line: Line): Line {
  return line.number === 1 && line.text.startsWith('\uFEFF') ? { ...line, text: line.text.slice(1) } : line
}

function isWholeRow(cells: readonly string[], header: readonly string[]): boolean {
  return cells.length === header.length && invoiceNumberPattern.test(cells[header.indexOf('InvoiceNo')] ?? '')
}

function checkedHeader(path: string, { cells, damage }: CsvRow): readonly string[] {
  if (damage !== undefined) throw new OrdersFileError(path, `its first line cannot be read: ${damage.reason}`)
  const header = cells.map((cell) => cell.trim())
  const missing = requiredColumns.filter((column) => !header.includes(column))
  if (missing.length > 0) throw new OrdersFileError(path, `its first line lacks ${missing.join(', ')}`)
  const twice = requiredColumns.filter((column) => header.indexOf(column) !== header.lastIndexOf(column))
  if (twice.length > 0) throw new OrdersFileError(path, `its first line names ${twice.join(', ')} twice`)
  return header
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EISDIR') return 'it is a folder'
  if (code === 'EACCES') return 'you may not read it'
  return message
}
