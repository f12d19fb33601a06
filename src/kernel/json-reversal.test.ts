import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json } from './json.ts'
import { type Reversal, reversalOf, reversed } from './json-reversal.ts'

/** As it comes back from where it is kept: JSON knows neither -0 nor `undefined`. */
function kept<Value>(value: Value): Value {
  return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as Value)
}

/** Few keys and values, so that values that follow each other have much in common. */
const alike = fc.letrec<{ tree: Json; leaf: Json }>((tie) => ({
  leaf: fc.constantFrom<Json>(null, 0, 1, '', 'a', true),
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('leaf'),
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom('a', 'b', '', '/', '~', '~1', '0', 'length', 'constructor'), tie('tree'), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
  ),
})).tree

const state = fc.option(fc.oneof(alike, fc.jsonValue() as fc.Arbitrary<Json>), { nil: undefined, freq: 8 })

describe('a reversal', () => {
  it('tells what stood at each place that changed, and nothing else', () => {
    const before: Json = { a: 1, list: [1, 2, 3], gone: null, same: { big: ['x'] } }
    const after: Json = { a: 2, list: [1, 5], same: { big: ['x'] }, 'b/c~': {} }
    const reversal = reversalOf(before, after)
    expect(reversal).toEqual([['/a', 1], ['/list/1', 2], ['/list/2', 3], ['/gone', null], ['/b~1c~0']])
    expect(reversed(after, reversal)).toEqual(before)
  })

  it.each<[string, Json | undefined, Json | undefined]>([
    ['a value that was not there', undefined, { a: 1 }],
    ['a value that is gone', { a: 1 }, undefined],
    ['null, which is not nothing', { a: null }, {}],
    ['nothing, which is not null', {}, { a: null }],
    ['a list that grew', [], [1, [2], 3]],
    ['a list that shrank', [1, [2], 3], [1]],
    ['a list that lost its first', [{ a: 1 }, { a: 2 }, { a: 3 }], [{ a: 2 }, { a: 3 }]],
    ['a list in the place of a record', { a: { 0: 1 } }, { a: [1] }],
    ['another kind of value', { a: [1] }, 7],
    ['an empty key', { '': { '': 1 } }, { '': { '': 2 } }],
  ])('brings back %s', (_, before, after) => {
    const back = reversed(after, kept(reversalOf(before, after)))
    expect(back).toEqual(before)
    expect(JSON.stringify(back)?.length).toBe(JSON.stringify(before)?.length)
  })

  it('brings back all that was, one after the other', () => {
    fc.assert(
      fc.property(fc.array(state, { minLength: 1, maxLength: 8 }), (given) => {
        const states = given.map(kept)
        const reversals: Reversal[] = []
        for (const [index, one] of states.slice(1).entries()) reversals.push(kept(reversalOf(states[index], one)))
        let back = states.at(-1)
        const text = JSON.stringify(back)
        for (let index = reversals.length - 1; index >= 0; index--) {
          const frozen = Object.freeze(back)
          back = reversed(frozen, reversals[index] as Reversal)
          // `toEqual` takes a field `constructor` for a type.
          expect(isDeepStrictEqual(back, states[index])).toBe(true)
        }
        // What it begins with stays as it is.
        expect(JSON.stringify(states.at(-1))).toBe(text)
      }),
      { numRuns: 2000, verbose: 1 },
    )
  })

  it('says that it belongs to another value', () => {
    expect(() => reversed({ a: 1 }, [['/a/b', 2]])).toThrow(expect.objectContaining({ code: 'INVARIANT_BROKEN' }))
  })
})
