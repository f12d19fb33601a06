import type { Relation } from './pgoutput.ts'
import type { TableDescription } from './table-description.ts'
import { isSameForm } from './table-description.ts'

/** A column that a table has or had, as the catalog has it now. Its place among the others never changes. */
export interface Attribute {
  readonly name: string
  readonly typeOid: number
  readonly isDropped: boolean
  /** Part of the primary key. */
  readonly isKey: boolean
}

/**
 * Which columns of a table are its primary key, where the log does not say so: with a replica identity of the whole row, or of nothing.
 * The log may be far behind the catalog, in which columns have other names by now. So what was told of the table before counts, as long
 * as it looks like that; then the places of the columns; then names, if they have not changed since it was described.
 *
 * @param described What the table was told to look like last.
 * @param attributes All that the catalog has of it, dropped ones included, without those that are generated; empty: it is gone.
 * @param isWhole Whether all of its columns are published.
 * @returns Places in the relation; `undefined`: it cannot be told.
 */
export function keyIndexesOf(
  relation: Relation,
  described: TableDescription | null,
  attributes: readonly Attribute[],
  isWhole: boolean,
): readonly number[] | undefined {
  const { columns } = relation
  const known = described?.tableOid === relation.id ? described : null
  const describedKey = (known?.columns ?? []).filter(({ isKey }) => isKey).map(({ name }) => name)
  if (known !== null && describedKey.length > 0 && isSameForm(known, relation)) return named(describedKey)
  const key = attributes.filter(({ isKey }) => isKey)
  const keyNames = key.map(({ name }) => name)
  if (key.length === 0) return []
  const now = attributes.filter(({ isDropped }) => !isDropped)
  const looksSo = ({ name, typeOid }: Attribute, index: number): boolean =>
    columns[index]?.name === name && columns[index].typeOid === typeOid
  if (now.length === columns.length && now.every(looksSo)) return named(keyNames)
  if (isWhole) {
    const places = key.map((column) => placeOf(column))
    if (places.every((place) => place !== undefined)) return places
  }
  const isUnchanged = known === null ? !isWhole : sameNames(describedKey, keyNames)
  return isUnchanged && keyNames.every((name) => columns.some((column) => column.name === name))
    ? named(keyNames)
    : undefined

  function named(names: readonly string[]): readonly number[] {
    return columns.flatMap(({ name }, index) => (names.includes(name) ? [index] : []))
  }

  /**
   * Columns are dropped and added, but stay in their order: where none before it was dropped since who knows when, it is where it was,
   * whatever its name; else somewhere near, under its name.
   */
  function placeOf(column: Attribute): number | undefined {
    const before = attributes.slice(0, attributes.indexOf(column))
    const first = before.filter(({ isDropped }) => !isDropped).length
    const byName = columns.findIndex(({ name }) => name === column.name)
    if (byName >= first && byName <= before.length) return byName
    // One that has another name and another type may be anything.
    return first === before.length && columns[first]?.typeOid === column.typeOid ? first : undefined
  }
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name))
}
