import { describe, expect, it } from 'vitest'
import type { Relation, RelationColumn } from './pgoutput.ts'
import { describeTable } from './table-description.ts'
import { type Attribute, keyIndexesOf } from './table-key.ts'

const integer = 23
const text = 25

/** `id:23` is a column of that type. */
function relationOf(...columns: readonly string[]): Relation {
  const list = columns.map((column): RelationColumn => {
    const [name = '', type] = column.split(':')
    return { name, isKey: true, typeOid: Number(type ?? integer), typeModifier: -1 }
  })
  return { id: 7, schema: 's', name: 't', replicaIdentity: 'f', columns: list }
}

/** `id*` is a part of the key, `-` was dropped. */
function attributesOf(...columns: readonly string[]): readonly Attribute[] {
  return columns.map((column) => {
    const [name = '', type] = column.replace('*', '').split(':')
    const isDropped = name === '-'
    return { name, typeOid: isDropped ? 0 : Number(type ?? integer), isDropped, isKey: column.includes('*') }
  })
}

const told = (relation: Relation, ...key: readonly number[]) => describeTable(relation, [], key)

describe('the key of a table of which the log names none', () => {
  const cases = [
    ['what the catalog says, if it shows the same columns', ['-', 'a', 'id*'], ['a', 'id'], [1]],
    ['at its place, if it has another name by now', ['oid2*', `v:${text}`], ['id', `v:${text}`], [0]],
    ['at its place, if names were swapped', ['code*', 'id'], ['id', 'code'], [0]],
    ['at its place, if it has another type by now', [`id*:${text}`, 'v', 'w'], ['id', 'v'], [0]],
    ['of several columns', ['a', 'x*', 'b', 'y*', 'c'], ['a', 'x', 'b', 'y'], [1, 3]],
    ['by its name, if columns before it were dropped', ['-', '-', 'id*', 'v'], ['a', 'id'], [1]],
    ['nothing, if it is not where it must have been', ['-', 'z', 'id*'], ['id', 'a', 'code'], undefined],
    ['nothing, if columns before it were dropped and it has another name', ['-', 'key*'], ['a', 'id'], undefined],
    ['nothing, if it has another name and another type', [`key*:${text}`, 'v', 'w'], ['id', 'v'], undefined],
    ['nothing, if it was not there yet', ['id', 'v', 'code*'], ['id', 'v'], undefined],
    ['no column, if there is none by now', ['id', 'v', 'w'], ['id', 'v'], []],
  ] as const
  it.each(cases)('is %s', (_what, attributes, columns, expected) => {
    expect(keyIndexesOf(relationOf(...columns), null, attributesOf(...attributes), true)).toEqual(expected)
  })

  it('is what it was told to be, as long as the table looks so', () => {
    const relation = relationOf('id', 'code')
    const now = attributesOf('id', 'code*')
    expect(keyIndexesOf(relation, told(relation, 0), now, true)).toEqual([0])
    const altered = relationOf('id', 'code', 'more')
    expect(keyIndexesOf(altered, told(relation, 0), now, true)).toEqual([1])
    const another = { ...relation, id: 8 }
    expect(keyIndexesOf(another, told(relation, 0), now, true)).toEqual([1])
  })

  it('goes by its name where only some columns are published, if that is the one that was told', () => {
    const relation = relationOf('id', 'v')
    const now = attributesOf('a', 'b', 'id*', 'v', 'w')
    expect(keyIndexesOf(relation, null, now, false)).toEqual([0])
    expect(keyIndexesOf(relation, told(relationOf('id'), 0), now, false)).toEqual([0])
    expect(keyIndexesOf(relation, told(relationOf('v'), 0), now, false)).toBeUndefined()
    expect(keyIndexesOf(relation, null, attributesOf('a', 'key*', 'v'), false)).toBeUndefined()
  })
})
