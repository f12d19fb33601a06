import { type Line, lineBytesMax } from './csv-lines.ts'

/** One row of a CSV file. */
export interface CsvRow {
  /** Line of the file on which it begins, from 1. */
  readonly line: number
  /** Its fields; of a damaged row those before the damage. */
  readonly cells: readonly string[]
  /** Why it cannot be read, with its text as far as that helps; `undefined`: it can. */
  readonly damage: { readonly reason: string; readonly text: string } | undefined
}

/** A quoted field over more lines than this is taken for a quotation mark that nobody closed. */
export const rowLinesMax = 50
/** So much of a damaged row is shown, in characters. */
const shownCharsMax = 1_000

/** Whether a line that stands inside a quoted field would by itself be a whole row of the file. */
export type IsWholeRow = (cells: readonly string[]) => boolean

/**
 * Puts lines together to rows (RFC 4180), and loses no more than it must where a quotation mark is missing.
 *
 * A CSV parser takes everything behind an open quotation mark for one field, up to the next mark or the end of the file,
 * and so swallows rows that nothing is wrong with. Here a line whose quotation mark is not closed in time, or is closed
 * where no field can end, is one damaged row, and reading goes on with the next line. Where a quoted field is closed
 * as it should be but holds whole rows, two marks may be missing, or somebody may have quoted rows: which of it is meant
 * nobody can tell, so each of its lines is a damaged row. No row vanishes in silence and none is made out of text.
 *
 * Quotation marks inside a field that does not begin with one mean nothing: `5" PLATE`.
 */
export class RowAssembler {
  readonly #isWholeRow: IsWholeRow
  /** Lines that belong to no row yet; the first is the one that the next row begins with. */
  #waiting: Line[] = []
  #hasEnded = false

  constructor(isWholeRow: IsWholeRow) {
    this.#isWholeRow = isWholeRow
  }

  /**
   * The rows that are complete with these lines, one after the other: what a row is may depend on the header before it. All
   * must be taken before more lines come.
   */
  *push(lines: readonly Line[]): Generator<CsvRow> {
    this.#waiting = this.#waiting.concat(lines)
    let taken = 0
    while (taken < this.#waiting.length) {
      const step = this.#next(taken)
      if (step === undefined) break
      yield* step.rows
      taken += step.lines
    }
    this.#waiting.splice(0, taken)
  }

  /** The rows that are left when there are no more lines. */
  *end(): Generator<CsvRow> {
    this.#hasEnded = true
    yield* this.push([])
  }

  /** The row or rows that begin with this line; `undefined`: the lines that are here do not tell yet. */
  #next(first: number): { readonly rows: readonly CsvRow[]; readonly lines: number } | undefined {
    const line = this.#waiting[first] as Line
    if (line.text === '' && line.damage === undefined) return { rows: [], lines: 1 }
    if (line.isTooLong) return { rows: [damagedRow(line, line.damage ?? '', true)], lines: 1 }
    const fields = new FieldReader()
    let chars = 0
    for (let count = 1; ; count++) {
      const next = this.#waiting[first + count - 1]
      if (next === undefined && !this.#hasEnded) return undefined
      chars += next?.text.length ?? 0
      const isBeyond = next === undefined || next.isTooLong || count > rowLinesMax || chars > lineBytesMax
      const state = isBeyond ? 'unclosed' : fields.read(next.text)
      if (state === 'unclosed') {
        const reason = `the quotation mark that opens its column ${fields.cells.length + 1} is not closed`
        return { rows: [damagedRow(line, line.damage ?? reason, false)], lines: 1 }
      }
      if (state === 'complete') {
        const lines = this.#waiting.slice(first, first + count)
        return { rows: this.#rowsOf(lines, fields.cells), lines: count }
      }
      fields.goOn(next?.end ?? '')
    }
  }

  #rowsOf(lines: readonly Line[], cells: readonly string[]): readonly CsvRow[] {
    const first = lines[0] as Line
    if (this.#holdWholeRows(lines)) {
      const last = (lines.at(-1) as Line).number
      const reason = `it is one of lines ${first.number} to ${last}, which stand between two quotation marks and hold whole rows`
      return lines.map((line) => damagedRow(line, reason, false))
    }
    const damaged = lines.find(({ damage }) => damage !== undefined)
    if (damaged?.damage === undefined) return [{ line: first.number, cells, damage: undefined }]
    const text = lines.map((line) => line.text + line.end).join('')
    return [{ line: first.number, cells, damage: { reason: damaged.damage, text: shownOf(text.trimEnd()) } }]
  }

  /** Whether lines that make one row hold others: the first one begins it and does not count. */
  #holdWholeRows([first, ...others]: readonly Line[]): boolean {
    const last = others.pop()
    if (first === undefined || last === undefined) return false
    if (others.some(({ text }) => this.#isWholeRow(cellsOf(text)))) return true
    const cells = cellsOf(last.text)
    if (!this.#isWholeRow(cells)) return false
    // Behind a first field over some lines all others stand on the last of them, so that it looks like a row: it is none
    // where its first field holds the closing mark, unless the opening one may stand in a row by mistake, too.
    return !cells[0]?.includes('"') || this.#isWholeRow(first.text.split(','))
  }
}

/** A line that is a damaged row by itself; `isCut`: its last field is not all here. */
function damagedRow(line: Line, reason: string, isCut: boolean): CsvRow {
  const fields = new FieldReader()
  const state = fields.read(line.text)
  const cells = isCut && state === 'complete' ? fields.cells.slice(0, -1) : fields.cells
  return { line: line.number, cells, damage: { reason, text: shownOf(line.text) } }
}

/** The fields of a line by itself; an open one at its end is left out. */
function cellsOf(text: string): readonly string[] {
  const fields = new FieldReader()
  fields.read(text)
  return fields.cells
}

function shownOf(text: string): string {
  return text.length > shownCharsMax ? `${text.slice(0, shownCharsMax)}…` : text
}

/** Parts the lines of one row into fields. */
class FieldReader {
  /** The fields that are complete. */
  cells: string[] = []
  /** Where the last `stray` mark stands. */
  #strayAt = 0
  /** The field that was quoted on an earlier line and is still open. */
  #open: string | undefined

  /** The row goes on with the next line: so the end of this one is part of the open field. */
  goOn(lineEnd: string): void {
    this.#open = `${this.#open ?? ''}${lineEnd}`
  }

  /**
   * Reads a line: `complete`: the row ends with it; `open`: it ends inside a quoted field; `unclosed`: a field that was
   * quoted on an earlier line is closed where no field can end, so that mark was meant for something else.
   */
  read(text: string): 'complete' | 'open' | 'unclosed' {
    if (this.#open === undefined && !text.includes('"')) {
      this.cells = text.split(',')
      return 'complete'
    }
    let at = 0
    while (at <= text.length) {
      const wasOpen = this.#open !== undefined
      const isQuoted = wasOpen || text[at] === '"'
      const field = isQuoted ? this.#quoted(text, wasOpen ? at : at + 1) : undefined
      if (field === 'open') return 'open'
      if (field !== undefined && field !== 'stray') {
        at = field.next
        continue
      }
      if (wasOpen) return 'unclosed'
      // Not quoted after all: `"5" PLATE` is what it looks like.
      const from = field === 'stray' ? this.#strayAt : at
      const end = text.indexOf(',', from)
      this.cells.push(text.slice(at, end < 0 ? text.length : end))
      if (end < 0) return 'complete'
      at = end + 1
    }
    return 'complete'
  }

  /** Reads a quoted field on from a place behind its first mark; `stray`: something stands behind its last. */
  #quoted(text: string, from: number): { readonly next: number } | 'open' | 'stray' {
    let field = this.#open ?? ''
    let at = from
    for (;;) {
      const mark = text.indexOf('"', at)
      if (mark < 0) {
        this.#open = field + text.slice(at)
        return 'open'
      }
      field += text.slice(at, mark)
      const behind = text[mark + 1]
      if (behind === '"') {
        field += '"'
        at = mark + 2
        continue
      }
      if (behind !== undefined && behind !== ',') {
        this.#strayAt = mark
        return 'stray'
      }
      this.#open = undefined
      this.cells.push(field)
      // Behind the end of the line nothing follows; behind a comma at least an empty field.
      return { next: behind === undefined ? text.length + 1 : mark + 2 }
    }
  }
}
