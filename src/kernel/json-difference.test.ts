import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json } from './json.ts'
import { differences } from './json-difference.ts'

describe('differences', () => {
  it('names the places by JSON Pointer, from the outside in', () => {
    const before: Json = { a: 1, 'b/c': { '~': [1, 2] }, gone: null, same: { x: [] } }
    const after: Json = { a: 2, 'b/c': { '~': [1, 3, 4] }, same: { x: [] }, kind: {} }
    expect(differences(before, after)).toEqual([
      { path: '/a', before: 1, after: 2 },
      { path: '/b~1c/~0/1', before: 2, after: 3 },
      { path: '/b~1c/~0/2', before: undefined, after: 4 },
      { path: '/gone', before: null, after: undefined },
      { path: '/kind', before: undefined, after: {} },
    ])
    expect(differences([1], { 0: 1 })).toEqual([{ path: '', before: [1], after: { 0: 1 } }])
  })

  it('are none between equal values, and some between others', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
        // JSON knows no -0.
        const [left, right] = [one, other].map((value) => JSON.parse(JSON.stringify(value)) as Json)
        expect(differences(left, structuredClone(left))).toEqual([])
        expect(differences(left, right).length === 0).toBe(isDeepStrictEqual(left, right))
      }),
    )
  })
})
