import type { Machine } from './machine.ts'
import { type Figure, isMet, ratioOf, type Target } from './row.ts'

/** One line about the machine. */
export function machineLine(machine: Machine): string {
  const { cores, processor, platform, node, sqlite, syncMs } = machine
  const sync = `write + fdatasync of one event p50 ${syncMs.p50.toFixed(3)} ms, p99 ${syncMs.p99.toFixed(3)} ms`
  return `${cores} cores (${processor}), ${platform}, Node ${node}, SQLite ${sqlite}; ${sync}`
}

/** The figures of one row as an aligned table, each with its limit, ratio, target and verdict. */
export function figureTable(row: { readonly figures: readonly Figure[]; readonly failure: string | null }): string {
  if (row.failure !== null) return `  not measured: ${row.failure.split('\n').slice(0, 12).join('\n    ')}`
  const cells = row.figures.map(cellsOf)
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)))
  const lines: string[] = []
  for (const [i, line] of cells.entries()) {
    lines.push(`  ${line.map((cell, column) => padded(cell, widths[column] ?? 0, column)).join('  ')}`.trimEnd())
    for (const note of row.figures[i]?.notes ?? []) lines.push(`      ${note}`)
  }
  return lines.join('\n')
}

function cellsOf(figure: Figure): readonly string[] {
  const { what, value, unit, limit, target } = figure
  const ratio = ratioOf(figure)
  const met = isMet(figure)
  return [
    what,
    `${amount(value)} ${unit}`,
    ratio === undefined || limit === undefined ? '' : `${ratio.toFixed(2)} of ${amount(limit.value)} ${limit.what}`,
    target === undefined ? '' : `target ${targetText(target, unit)}`,
    met === undefined ? '' : met ? 'met' : 'NOT MET',
  ]
}

function targetText(target: Target, unit: string): string {
  const bound = target.atLeast === undefined ? `≤ ${amount(target.atMost ?? 0)}` : `≥ ${amount(target.atLeast)}`
  return target.of === 'ratio' ? `${bound} of it` : `${bound} ${unit}`
}

/** Numbers are read in a column, text from its beginning. */
function padded(cell: string, width: number, column: number): string {
  return column === 1 ? cell.padStart(width) : cell.padEnd(width)
}

function amount(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en-US')
  if (value >= 10) return value.toFixed(1)
  return value >= 1 || Number.isInteger(value * 100) ? String(Number(value.toFixed(2))) : value.toFixed(3)
}
