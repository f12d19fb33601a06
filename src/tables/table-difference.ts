import { ArgumentInvalidError } from '../engine/index.ts'
import { quoted } from '../sql/index.ts'
import type { DifferingRow, RowDifference, TableComparison, TableRow } from './table-versions.ts'
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
interface Chosen {
  readonly columns: readonly string[]
  readonly key: readonly string[]
}

/**
 * Which columns of two tables are compared.
 *
 * @throws ArgumentInvalidError `ARGUMENT_INVALID`
 */
export function chosenColumns(live: ComparedTable, other: ComparedTable, what: TableComparison): Chosen {
  const common = live.columns.map(({ name }) => name).filter((name) => other.columns.some((one) => one.name === name))
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
  return { columns, key }
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
        row_number() OVER (ORDER BY ${ordered.join(', ')}) AS place
      FROM counted WHERE l <> o)
    SELECT * FROM sums LEFT JOIN unlike ON place <= ${2 * limit} ORDER BY place`
}

/** Where the types of the two differ, values are compared as texts. */
function comparedSql(name: string, table: ComparedTable, beside: ComparedTable, text: SqlWords['text']): string {
  const column = table.columns.find((one) => one.name === name) as TableColumn
  const other = beside.columns.find((one) => one.name === name)
  return other?.type === column.type ? column.valueSql : text(quoted(name))
}

/** What {@link differenceSql} answers. */
export function differenceIn(
  answer: readonly Readonly<Record<string, unknown>>[],
  { columns, key }: Chosen,
  limit: number,
): RowDifference {
  const sums = answer[0] ?? {}
  const first: { key: TableRow; live: TableRow | undefined; other: TableRow | undefined }[] = []
  for (const found of answer.filter(({ place }) => place !== null)) {
    const row = Object.fromEntries(columns.map((name, index) => [name, found[`tc${index}`] as string | null]))
    const keyed = Object.fromEntries(key.map((name) => [name, row[name] ?? null]))
    const more = Number(found['more'])
    const side = more > 0 ? 'live' : 'other'
    for (let n = 0; n < Math.abs(more) && first.length <= 2 * limit; n++) {
      const pair = key.length === 0 ? undefined : first.find((one) => one[side] === undefined && isSame(one.key, keyed))
      if (pair === undefined) first.push({ key: keyed, live: undefined, other: undefined, [side]: row })
      else pair[side] = row
    }
  }
  return {
    columns,
    key,
    sameCount: Number(sums['same']),
    differingCount: Number(sums['differing']),
    onlyLiveCount: Number(sums['only_live']),
    onlyOtherCount: Number(sums['only_other']),
    first: first.slice(0, limit) satisfies readonly DifferingRow[],
  }
}

function isSame(a: TableRow, b: TableRow): boolean {
  return Object.keys(a).every((name) => a[name] === b[name])
}
