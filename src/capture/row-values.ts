import type { Json } from '../kernel/index.ts'
import { attributeTextProblem } from '../message/index.ts'
import type { CapturedTable } from './captured-table.ts'
import type { Row, RowChange } from './change-data.ts'
import { type Change, type OldTuple, type Tuple, unchanged } from './pgoutput.ts'

/** A row with its values; what was not sent is taken from the row before, if that is whole. */
export function rowOf(
  table: CapturedTable,
  values: Tuple,
  before?: OldTuple,
): { readonly after: Row; readonly unchanged?: readonly string[] } {
  const row: Record<string, Json> = {}
  let missing: string[] | undefined
  for (const [index, { name, isKey, read }] of table.columns.entries()) {
    let value = values[index]
    if (value === unchanged && (before?.holds === 'row' || isKey)) value = before?.values[index] ?? value
    if (value === unchanged) {
      missing ??= []
      missing.push(name)
    } else row[name] = typeof value === 'string' ? read(value) : null
  }
  const after = Object.freeze(row)
  return missing === undefined ? { after } : { after, unchanged: Object.freeze(missing) }
}

export function oldRowOf(table: CapturedTable, { holds, values }: OldTuple): Row {
  const row: Record<string, Json> = {}
  for (const [index, { name, isKey, read }] of table.columns.entries()) {
    // Where only the key is known, all other columns are sent as NULL.
    if (holds === 'key' && !isKey) continue
    const value = values[index]
    if (value !== unchanged) row[name] = typeof value === 'string' ? read(value) : null
  }
  return Object.freeze(row)
}

export function keyOf({ columns, keyIndexes }: CapturedTable, row: Row): Row | null {
  if (keyIndexes.length === 0) return null
  const key: Record<string, Json> = {}
  for (const index of keyIndexes) {
    const { name } = columns[index] as { readonly name: string }
    key[name] = row[name] ?? null
  }
  return Object.freeze(key)
}

/** Text by which rows are kept apart, and in order: the value of a key of one column, the values in JSON of any other. */
export function partitionKeyOf(table: CapturedTable, key: Row | null): string {
  if (key === null) return table.fullName
  const values = Object.values(key)
  const [value] = values
  if (values.length === 1 && (typeof value === 'string' || typeof value === 'number')) {
    const text = String(value)
    if (attributeTextProblem(text) === undefined) return text
  }
  const text = JSON.stringify(values)
  return attributeTextProblem(text) === undefined ? text : encodeURIComponent(text)
}

/** The keys that a change touches, as {@link partitionKeyOf} writes them. */
export function keysOf(table: CapturedTable, change: Exclude<Change, { kind: 'truncate' }>): readonly string[] {
  const old = change.kind === 'insert' ? undefined : change.before
  const rows: Row[] = old === undefined ? [] : [oldRowOf(table, old)]
  if (change.kind !== 'delete') rows.push(rowOf(table, change.after, old).after)
  return rows.map((row) => partitionKeyOf(table, keyOf(table, row)))
}

/** A row as the snapshot read it. */
export interface FoundRow {
  /** As {@link partitionKeyOf} writes it. */
  readonly key: string
  readonly row: Row
  readonly bytes: number
}

/** Makes a row of what a statement answered. */
export function foundRow(table: CapturedTable, values: Tuple): FoundRow {
  const { after } = rowOf(table, values)
  const bytes = values.reduce<number>((sum, value) => sum + (typeof value === 'string' ? value.length * 3 : 1), 0)
  return { key: partitionKeyOf(table, keyOf(table, after)), row: after, bytes }
}

/** Leaves the longest values out, until the event is small enough. */
export function shortened(data: RowChange, bytesMax: number): RowChange {
  if (Buffer.byteLength(JSON.stringify(data)) <= bytesMax) return data
  const isKey = (name: string): boolean => data.key !== null && Object.hasOwn(data.key, name)
  const before = { ...data.before }
  const after = { ...data.after }
  const lengthOf = (name: string): number =>
    Buffer.byteLength(JSON.stringify([before[name] ?? null, after[name] ?? null]))
  const byLength = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((name) => !isKey(name))
    .map((name) => ({ name, length: lengthOf(name) }))
    .toSorted((a, b) => b.length - a.length)
  const omitted: string[] = []
  for (const { name } of byLength) {
    delete before[name]
    delete after[name]
    omitted.push(name)
    const smaller: RowChange = {
      ...data,
      before: data.before === null ? null : Object.freeze({ ...before }),
      after: data.after === null ? null : Object.freeze({ ...after }),
      omitted: Object.freeze([...omitted]),
    }
    if (Buffer.byteLength(JSON.stringify(smaller)) <= bytesMax) return smaller
  }
  return data
}
