import type { Relation, ReplicaIdentity } from './pgoutput.ts'

/** A column of a table that is captured. */
export interface ColumnDescription {
  readonly name: string
  /** As `integer` or `numeric(10,2)`; `null`: the type is no longer there. */
  readonly type: string | null
  /** Id of the type, and its modifier, in the database. */
  readonly typeOid: number
  readonly typeModifier: number
  /** Part of the key of the table's events. */
  readonly isKey: boolean
}

/** What a table that is captured looks like. */
export interface TableDescription {
  /** Id of the table in its database: another one, if a table was dropped and made anew. */
  readonly tableOid: number
  /** What `before` holds: `default` and `index`: the key; `full`: the row; `nothing`: updates and deletes are not published. */
  readonly replicaIdentity: 'default' | 'index' | 'full' | 'nothing'
  readonly columns: readonly ColumnDescription[]
}

const identityNames: Readonly<Record<ReplicaIdentity, TableDescription['replicaIdentity']>> = {
  d: 'default',
  i: 'index',
  f: 'full',
  n: 'nothing',
}

/** Whether the log itself says which columns are the key of a table. */
export function namesKey({ replicaIdentity }: Relation): boolean {
  return replicaIdentity === 'd' || replicaIdentity === 'i'
}

/**
 * Describes a table. Where its replica identity names no key, `keyIndexes` does.
 *
 * @param typeNames In the order of the columns.
 * @param keyIndexes Columns of the primary key.
 */
export function describeTable(
  relation: Relation,
  typeNames: readonly (string | null)[],
  keyIndexes: readonly number[],
): TableDescription {
  return {
    tableOid: relation.id,
    replicaIdentity: identityNames[relation.replicaIdentity],
    columns: relation.columns.map(({ name, isKey, typeOid, typeModifier }, index) => ({
      name,
      type: typeNames[index] ?? null,
      typeOid,
      typeModifier,
      isKey: namesKey(relation) ? isKey : keyIndexes.includes(index),
    })),
  }
}

/** Whether a table still has the columns that a description says, and no others, whatever its key is. */
export function isSameForm(description: TableDescription, { id, replicaIdentity, columns }: Relation): boolean {
  return (
    description.tableOid === id &&
    description.replicaIdentity === identityNames[replicaIdentity] &&
    description.columns.length === columns.length &&
    description.columns.every(({ name, typeOid, typeModifier }, index) => {
      const column = columns[index]
      return column?.name === name && column.typeOid === typeOid && column.typeModifier === typeModifier
    })
  )
}

/** Whether two descriptions name the same columns as the key. */
export function isSameKey(a: TableDescription, b: TableDescription): boolean {
  return keyNamesOf(a) === keyNamesOf(b)
}

function keyNamesOf({ columns }: TableDescription): string {
  return JSON.stringify(columns.filter(({ isKey }) => isKey).map(({ name }) => name))
}

/** Whether two descriptions say the same. What types are called does not count: somebody may have renamed one. */
export function isSameTable(a: TableDescription, b: TableDescription): boolean {
  return (
    a.tableOid === b.tableOid &&
    a.replicaIdentity === b.replicaIdentity &&
    a.columns.length === b.columns.length &&
    a.columns.every((column, index) => {
      const other = b.columns[index]
      return (
        column.name === other?.name &&
        column.typeOid === other.typeOid &&
        column.typeModifier === other.typeModifier &&
        column.isKey === other.isKey
      )
    })
  )
}
