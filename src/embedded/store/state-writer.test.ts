import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anyRevision, type StateCommand } from '../../committing/index.ts'
import { openForWriting } from '../connection.ts'
import { StateWriter } from './state-writer.ts'

const namespace = fc.constantFrom('n', 'm')
const key = fc.constantFrom('a', 'b', '__proto__')
const expected = fc.oneof(fc.constant(anyRevision), fc.integer({ min: 0, max: 3 }))
const command: fc.Arbitrary<StateCommand> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('set' as const),
      namespace,
      key,
      value: fc.constantFrom('1', '2'),
      expected,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), namespace, key, expected }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), namespace }) },
)

type Model = Map<string, { readonly revision: number; readonly value: string }>

/** What a unit does, one write after the other; undefined: it meets a conflict. */
function play(model: Model, unit: readonly StateCommand[]): Model | undefined {
  const next: Model = new Map(model)
  for (const one of unit) {
    if (one.kind === 'clear') {
      for (const id of [...next.keys()]) if (id.startsWith(`${one.namespace}/`)) next.delete(id)
      continue
    }
    const id = `${one.namespace}/${one.key}`
    const actual = next.get(id)?.revision ?? 0
    if (one.expected !== anyRevision && one.expected !== actual) return undefined
    if (one.kind === 'delete') next.delete(id)
    else next.set(id, { revision: actual + 1, value: one.value })
  }
  return next
}

describe('the writer of state', () => {
  it('does what one write after the other would do, unit by unit, also after a rollback', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ unit: fc.array(command, { minLength: 1, maxLength: 6 }), isRolledBack: fc.boolean() }), {
          maxLength: 25,
        }),
        (units) => {
          const db = openForWriting(':memory:')
          try {
            const writer = new StateWriter(db)
            let model: Model = new Map()
            for (const { unit, isRolledBack } of units) {
              const next = play(model, unit)
              db.exec('BEGIN')
              const conflict = writer.check(unit)
              expect(conflict === undefined).toBe(next !== undefined)
              if (conflict === undefined) for (const one of unit) writer.apply(one)
              db.exec(isRolledBack ? 'ROLLBACK' : 'COMMIT')
              if (isRolledBack) writer.forget()
              else model = next ?? model
              const rows = db
                .prepare('SELECT name, key, revision, value FROM state JOIN namespace ON id = namespace_id')
                .all()
                .map((row) => [
                  `${String(row['name'])}/${String(row['key'])}`,
                  { revision: row['revision'], value: row['value'] },
                ])
              expect(new Map(rows as never)).toEqual(model)
            }
          } finally {
            db.close()
          }
        },
      ),
      { numRuns: 150 },
    )
  })

  it('names the key, and what stood there', () => {
    const db = openForWriting(':memory:')
    const writer = new StateWriter(db)
    const set = (expected: number): StateCommand => ({ kind: 'set', namespace: 'n', key: 'k', value: '1', expected })
    writer.apply(set(anyRevision))
    writer.apply(set(anyRevision))
    expect(writer.check([set(1)])).toEqual({ kind: 'revision', namespace: 'n', key: 'k', expected: 1, actual: 2 })
    db.close()
  })

  it('leaves nothing of a namespace that was cleared, also not its name', () => {
    const db = openForWriting(':memory:')
    const writer = new StateWriter(db)
    const names = (): readonly unknown[] =>
      db
        .prepare('SELECT name FROM namespace')
        .all()
        .map(({ name }) => name)
    for (const name of ['a', 'b'])
      writer.apply({ kind: 'set', namespace: name, key: 'k', value: '1', expected: anyRevision })
    writer.apply({ kind: 'clear', namespace: 'a' })
    writer.apply({ kind: 'clear', namespace: 'never' })
    expect(names()).toEqual(['b'])
    writer.apply({ kind: 'set', namespace: 'a', key: 'k', value: '2', expected: 0 })
    expect(
      db
        .prepare(
          'SELECT key, value, revision FROM state WHERE namespace_id = (SELECT id FROM namespace WHERE name = ?)',
        )
        .all('a'),
    ).toEqual([{ key: 'k', value: '2', revision: 1 }])
    db.close()
  })
})
