import { ArgumentInvalidError } from '../engine/index.ts'
import { quoted } from '../sql/index.ts'
import type { DifferingRow, RowDifference, TableComparison } from './table-versions.ts'
import { tableSql } from './table-versions.ts'

/** A column of a table. */
export interface TableColumn {
  readonly name: string
  /** As its table declares it. */
  readonly type: string
  /** Its place in the primary key, from 1; 0: it is not part of it. */
  readonly keyPlace: number
  /** SQL of its value, so that equal ones can be told and put in order. */
  readonly valueSql: string
  /** The same where the other column has another type, if both hold numbers. */
  readonly numberSql?: string | undefined
}

/** How a database writes what the others write otherwise. */
export interface SqlWords {
  /** The function that answers the smaller of two numbers. */
  readonly least: string
  /** SQL of a value as text. */
  readonly text: (valueSql: string) => string
}

/** One side of a comparison. */
export interface ComparedTable {
  readonly table: string
  readonly columns: readonly TableColumn[]
}

/** Columns that are compared, in the order of the live table, and those of them that are the key. */
type Chosen = Pick<RowDifference, 'columns' | 'key' | 'onlyLiveColumns' | 'onlyOtherColumns'>

/**
 * Which columns of two tables are compared.
 *
 * @throws ArgumentInvalidError `ARGUMENT_INVALID`
 */
export function chosenColumns(live: ComparedTable, other: ComparedTable, what: TableComparison): Chosen {
  const [names, otherNames] = [live, other].map(({ columns }) => columns.map(({ name }) => name)) as [
    string[],
    string[],
  ]
  const common = names.filter((name) => otherNames.includes(name))
  const wanted = [...(what.columns ?? common), ...(what.key ?? [])]
  const missing = wanted.find((name) => !common.includes(name))
  if (missing !== undefined) {
    throw new ArgumentInvalidError(
      'options',
      `name column ${missing}, which not both of ${live.table} and ${other.table} have`,
    )
  }
  const key = what.key ?? [keyOf(live), keyOf(other)].find((one) => isKeyIn(one, common)) ?? []
  const columns = common.filter((name) => wanted.includes(name) || key.includes(name))
  if (columns.length === 0) {
    throw new ArgumentInvalidError('tables', `${live.table} and ${other.table} have no column in common`)
  }
  const onlyLiveColumns = names.filter((name) => !common.includes(name))
  const onlyOtherColumns = otherNames.filter((name) => !common.includes(name))
  return { columns, key, onlyLiveColumns, onlyOtherColumns }
}

function keyOf({ columns }: ComparedTable): readonly string[] {
  return columns
    .filter(({ keyPlace }) => keyPlace > 0)
    .toSorted((a, b) => a.keyPlace - b.keyPlace)
    .map(({ name }) => name)
}

function isKeyIn(key: readonly string[], columns: readonly string[]): boolean {
  return key.length > 0 && key.every((name) => columns.includes(name))
}

/**
 * One statement that counts how two tables differ, and gives the first rows that do: so it is of one moment. Rows that are in
 * both, as often, are the same; of the others those of one key are a pair. Nulls are equal.
 */
export function differenceSql(
  live: ComparedTable,
  other: ComparedTable,
  { columns, key }: Chosen,
  limit: number,
  { least, text }: SqlWords,
): string {
  const places = columns.map((_, index) => `c${index}`)
  const keys = key.length === 0 ? places : key.map((name) => `c${columns.indexOf(name)}`)
  const ordered = [...keys, ...places.filter((place) => !keys.includes(place))]
  const side = (table: ComparedTable, beside: ComparedTable, counts: string): string => {
    const values = columns.map((name, index) => `${comparedSql(name, table, beside, text)} AS c${index}`)
    return `SELECT ${values.join(', ')}, ${counts} FROM ${tableSql(table.table)}`
  }
  const both = `${least}(l, o)`
  const all = places.join(', ')
  return `WITH counted AS MATERIALIZED (
      SELECT ${all}, sum(l) AS l, sum(o) AS o
      FROM (${side(live, other, '1 AS l, 0 AS o')} UNION ALL ${side(other, live, '0, 1')}) AS everything
      GROUP BY ${all}),
    keyed AS (
      SELECT sum(${both}) AS same, sum(l - ${both}) AS l, sum(o - ${both}) AS o FROM counted GROUP BY ${keys.join(', ')}),
    sums AS (
      SELECT coalesce(sum(same), 0) AS same, coalesce(sum(${both}), 0) AS differing,
        coalesce(sum(l - ${both}), 0) AS only_live, coalesce(sum(o - ${both}), 0) AS only_other
      FROM keyed),
    unlike AS (
      SELECT ${places.map((place) => `${text(place)} AS t${place}`).join(', ')}, l - o AS more,
        dense_rank() OVER (ORDER BY ${keys.join(', ')}) AS pair, row_number() OVER (ORDER BY ${ordered.join(', ')}) AS place
      FROM counted WHERE l <> o)
    SELECT * FROM sums LEFT JOIN unlike ON place <= ${2 * limit} ORDER BY place`
}

/** Where the types of the two differ, values are compared as numbers if both are, else as texts. */
function comparedSql(name: string, table: ComparedTable, beside: ComparedTable, text: SqlWords['text']): string {
  const column = table.columns.find((one) => one.name === name) as TableColumn
  const other = beside.columns.find((one) => one.name === name)
  if (other?.type === column.type) return column.valueSql
  return other?.numberSql === undefined ? text(quoted(name)) : (column.numberSql ?? text(quoted(name)))
}

/** A row that differs, as long as its other side may still come. */
type OpenRow = { -readonly [Part in keyof DifferingRow]: DifferingRow[Part] }

/** What {@link differenceSql} answers: rows of one key come one after the other. */
export function differenceIn(
  answer: readonly Readonly<Record<string, unknown>>[],
  { columns, key, onlyLiveColumns, onlyOtherColumns }: Chosen,
  limit: number,
): RowDifference {
  const sums = answer[0] ?? {}
  const first: OpenRow[] = []
  let pair: number | undefined
  /** Rows of this key of which the other side has not come. */
  let open: OpenRow[] = []
  for (const found of answer.filter(({ place }) => place !== null)) {
    const row = Object.fromEntries(columns.map((name, index) => [name, found[`tc${index}`] as string | null]))
    const more = Number(found['more'])
    const side = more > 0 ? 'live' : 'other'
    if (key.length === 0 || Number(found['pair']) !== pair) open = []
    pair = Number(found['pair'])
    for (let n = 0; n < Math.abs(more) && first.length <= 2 * limit; n++) {
      if (open[0] !== undefined && open[0][side] === undefined) {
        open[0][side] = row
        open.shift()
        continue
      }
      const keyed = Object.fromEntries(key.map((name) => [name, row[name] ?? null]))
      const added: OpenRow = { key: keyed, live: undefined, other: undefined, [side]: row }
      first.push(added)
      open.push(added)
    }
  }
  return {
    columns,
    key,
    onlyLiveColumns,
    onlyOtherColumns,
    sameCount: Number(sums['same']),
    differingCount: Number(sums['differing']),
    onlyLiveCount: Number(sums['only_live']),
    onlyOtherCount: Number(sums['only_other']),
    first: first.slice(0, limit),
  }
}
