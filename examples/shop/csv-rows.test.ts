import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineSplitter } from './csv-lines.ts'
import { type CsvRow, RowAssembler } from './csv-rows.ts'

const columnCount = 4

/** The rows of a text that comes in chunks of these sizes, again and again. */
function rowsOf(text: string, chunkSizes: readonly number[] = [1 << 20]): CsvRow[] {
  const bytes = Buffer.from(text)
  const splitter = new LineSplitter()
  const assembler = new RowAssembler((cells) => cells.length === columnCount && /^\d+$/.test(cells[0] ?? ''))
  const rows: CsvRow[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = chunkSizes[turn % chunkSizes.length] ?? 1
    rows.push(...assembler.push(splitter.push(bytes.subarray(at, at + size))))
    at += size
  }
  return [...rows, ...assembler.push(splitter.end()), ...assembler.end()]
}

const quoted = (field: string): string => `"${field.replaceAll('"', '""')}"`
const lineEnd = fc.constantFrom('\n', '\r\n', '\r')
/** What a field may hold; few letters, so that what matters comes often. */
const fieldText = fc.string({ unit: fc.constantFrom('a', ' ', ',', '"', '\n', '\r', 'é', '€', ';'), maxLength: 8 })
/** A field as it is written: in quotation marks where it must be. */
const written = fc
  .tuple(fieldText, fc.boolean())
  .map(([text, always]) => (always || /^"|[,\r\n]/.test(text) ? quoted(text) : text))
const chunkSizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 })

describe('the rows of a CSV file', () => {
  it('are those that a CSV parser finds, however the file comes in', () => {
    const files = fc.tuple(
      // A number and a fifth field: no line of such a row is a whole row by itself.
      fc.array(fc.tuple(written, written, written, written, written), { maxLength: 8 }),
      lineEnd,
      chunkSizes,
    )
    fc.assert(
      fc.property(files, ([rows, end, sizes]) => {
        const text = rows.map((cells) => `x,${cells.join(',')}${end}`).join('')
        const expected = parse(text, { relax_quotes: true, record_delimiter: ['\r\n', '\n', '\r'] })
        const found = rowsOf(text, sizes)
        expect(found.map(({ damage }) => damage)).toEqual(rows.map(() => undefined))
        expect(found.map(({ cells }) => cells)).toEqual(expected)
      }),
    )
  })

  it('but for one stay as they are when that one loses a quotation mark', () => {
    const plain = fc.string({ unit: fc.constantFrom('a', ',', '"', ' '), maxLength: 6 })
    const files = fc.tuple(
      fc.array(fc.tuple(plain, plain, fc.boolean()), { minLength: 1, maxLength: 80 }),
      fc.nat(),
      lineEnd,
      chunkSizes,
    )
    fc.assert(
      fc.property(files, ([rows, place, end, sizes]) => {
        const lines = rows.map(([a, b, inQuotes], index) =>
          [String(index), inQuotes ? quoted(`a${a}`) : 'a', quoted(`b${b}`), 'x'].join(','),
        )
        const at = place % lines.length
        lines[at] = `${at},a,"b,x`
        const found = rowsOf(lines.join(end), sizes)
        expect(found.map(({ line }) => line)).toEqual(rows.map((_, index) => index + 1))
        expect(found.map(({ cells }) => cells[0])).toEqual(rows.map((_, index) => String(index)))
        expect(found.flatMap(({ damage }, index) => (damage === undefined ? [] : [index]))).toEqual([at])
      }),
    )
  })

  it('neither vanish nor come out of nothing, whatever the file holds', () => {
    const files = fc.tuple(
      fc.array(fc.string({ unit: fc.constantFrom('1', ',', '"', 'a'), maxLength: 12 }), { maxLength: 120 }),
      chunkSizes,
    )
    fc.assert(
      fc.property(files, ([lines, sizes]) => {
        const found = rowsOf(lines.join('\n'), sizes)
        expect(found).toEqual(rowsOf(lines.join('\n')))
        // Each line that is a whole row and holds no mark is a row of the file, be it a damaged one.
        for (const [index, line] of lines.entries()) {
          if (!/^1+,[1a]*,[1a]*,[1a]*$/.test(line)) continue
          expect(found.filter((row) => row.line === index + 1)).toHaveLength(1)
        }
        expect(found.map(({ line }) => line)).toEqual(found.map(({ line }) => line).toSorted((a, b) => a - b))
      }),
    )
  })

  it('may have a quotation mark in the middle of a field, or text behind one', () => {
    const found = rowsOf('1,5" PLATE,"5" PLATE, BIG",x\n2,"a" ,"b"c,"d"\n')
    expect(found.map(({ cells, damage }) => [cells, damage])).toEqual([
      [['1', '5" PLATE', '"5" PLATE', ' BIG"', 'x'], undefined],
      [['2', '"a" ', '"b"c', 'd'], undefined],
    ])
  })

  it('are read in bounded memory, however long a line and however many fields', () => {
    const found = rowsOf(`1,${'y'.repeat(1 << 23)}\n2,${','.repeat(1 << 19)}\n3,a,b,c\n`, [1 << 16])
    expect(found.map(({ line, cells, damage }) => [line, cells.length, damage?.reason])).toEqual([
      [1, 1, 'it is longer than 1,048,576 bytes'],
      [2, (1 << 19) + 2, undefined],
      [3, 4, undefined],
    ])
    expect(found[0]?.damage?.text.length).toBeLessThan(2_000)
  })

  it('are told by the line on which they begin', () => {
    expect(rowsOf('1,"a\nb",c,d\r\r\n2,"\r\n",c,d\n\n\n3').map(({ line }) => line)).toEqual([1, 4, 8])
  })
})
