import vm from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { freezeParsedJson, frozenJson, jsonDepthMax, jsonText } from './json.ts'

function isDeepFrozen(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  return Object.isFrozen(value) && Object.values(value).every(isDeepFrozen)
}

/** Prototype keys are refused on purpose and have their own tests. */
function hasNoPrototypeKey(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, item]) => key !== '__proto__' && hasNoPrototypeKey(item))
}

function nested(levels: number): unknown {
  let value: unknown = 'core'
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { a: value }
  return value
}

class Money {
  readonly amount = 1
}

const cyclicObject: Record<string, unknown> = { name: 'x' }
cyclicObject['self'] = { back: [cyclicObject] }
const cyclicArray: unknown[] = []
cyclicArray.push(cyclicArray)

describe('frozenJson', () => {
  it('takes nothing for a property that somebody has given all objects', () => {
    const all = Object.prototype as unknown as Record<string, unknown>
    try {
      Object.assign(all, { text: 'x', number: 1, list: [1], run: () => 1, nothing: undefined })
      const copy = frozenJson({ own: { number: 2 }, left: undefined })
      expect(Object.entries(copy)).toEqual([['own', { number: 2 }]])
      expect(Object.keys(copy.own)).toEqual(['number'])
    } finally {
      for (const name of ['text', 'number', 'list', 'run', 'nothing']) delete all[name]
    }
  })

  it('is what JSON would give back, frozen, and leaves the original alone', () => {
    fc.assert(
      fc.property(fc.jsonValue().filter(hasNoPrototypeKey), (value) => {
        const before = JSON.stringify(value)
        const copy = frozenJson(value)
        expect(copy).toStrictEqual(JSON.parse(before))
        expect(isDeepFrozen(copy)).toBe(true)
        expect(JSON.stringify(value)).toBe(before)
        expect(typeof value === 'object' && value !== null && Object.isFrozen(value)).toBe(false)
      }),
    )
  })

  it('drops undefined properties, takes objects without prototype or of another realm, keeps order and lone surrogates', () => {
    const bare = Object.assign(Object.create(null), { b: 1, a: undefined })
    expect(JSON.stringify(frozenJson({ bare, none: undefined }))).toBe('{"bare":{"b":1}}')
    expect(Object.keys(frozenJson({ none: undefined }))).toEqual([])
    expect(frozenJson(vm.runInNewContext('({ list: [1, { a: 2 }] })'))).toStrictEqual({ list: [1, { a: 2 }] })
    expect(Object.is(frozenJson(-0), 0)).toBe(true)
    expect(frozenJson('\ud800')).toBe('\ud800')
  })

  it('allows the same object twice where it is no cycle', () => {
    const shared = { a: 1 }
    expect(frozenJson([shared, { shared }])).toStrictEqual([{ a: 1 }, { shared: { a: 1 } }])
  })

  it.each<[string, unknown, string]>([
    ['undefined alone', undefined, 'data is undefined.'],
    ['undefined in an array', { a: [1, undefined] }, 'data.a[1] is undefined.'],
    ['a hole', { a: Object.assign([], { length: 2 }) }, 'data.a[0] is undefined.'],
    ['NaN', { lines: [{}, {}, { price: Number.NaN }] }, 'data.lines[2].price is NaN.'],
    ['an infinity', [-Infinity], 'data[0] is -Infinity.'],
    ['a BigInt', { n: 1n }, 'data.n is a BigInt.'],
    ['a function', { f: () => 1 }, 'data.f is a function.'],
    ['a symbol', { s: Symbol('x') }, 'data.s is a symbol.'],
    ['a symbol key', { deep: { [Symbol('x')]: 1 } }, 'data.deep has a symbol as a key.'],
    ['a Date', { at: new Date(0) }, 'data.at is an instance of Date, not a plain object or array.'],
    ['a Map', new Map(), 'data is an instance of Map, not a plain object or array.'],
    ['bytes', { b: new Uint8Array(2) }, 'data.b is an instance of Uint8Array, not a plain object or array.'],
    ['a class instance', { m: new Money() }, 'data.m is an instance of Money, not a plain object or array.'],
    ['a boxed string', [new String('x')], 'data[0] is an instance of String, not a plain object or array.'],
    ['an array subclass', [new (class Lines extends Array<number> {})()], 'data[0] is an instance of Lines,'],
    ['toJSON', { a: { toJSON: () => 1 } }, 'data.a.toJSON is a function.'],
    ['__proto__', JSON.parse('{"a":{"__proto__":{"admin":true}}}'), 'data.a.__proto__ has a name that could'],
    ['__proto__ below an odd key', JSON.parse('{"odd key":[{"__proto__":1}]}'), 'data["odd key"][0].__proto__ has'],
    ['a cycle', { a: cyclicObject }, 'data.a.self.back[0] refers back to an object that contains it.'],
    ['an array in itself', cyclicArray, 'data[0] refers back to an object that contains it.'],
    ['too many levels', nested(jsonDepthMax + 1), `… is nested more than ${jsonDepthMax} levels deep.`],
  ])('refuses %s and tells the place', (_name, value, message) => {
    expect(() => frozenJson(value)).toThrow(
      expect.objectContaining({ code: 'JSON_INVALID', message: expect.stringContaining(message) }),
    )
  })

  it('takes constructor and prototype as honest field names', () => {
    const race = { constructor: 'Ferrari', prototype: { constructor: 1 } }
    expect(frozenJson(race)).toEqual(race)
    expect(freezeParsedJson(JSON.parse(JSON.stringify(race)))).toEqual(race)
  })

  it('allows as many levels as it states', () => {
    expect(isDeepFrozen(frozenJson(nested(jsonDepthMax)))).toBe(true)
  })
})

describe('jsonText', () => {
  const outcomeOf = (run: () => string): unknown => {
    try {
      return run()
    } catch (error) {
      return (error as Error).message
    }
  }

  it('is the text of the frozen copy, and refuses what that refuses', () => {
    const value = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withSparseArray: true,
    })
    fc.assert(
      fc.property(value, (one) => {
        const text = outcomeOf(() => jsonText(one, 'state'))
        expect(text).toBe(outcomeOf(() => JSON.stringify(frozenJson(one, 'state'))))
      }),
    )
  })

  it('leaves out what is undefined, and refuses keys that are symbols, cycles and too many levels', () => {
    expect(jsonText({ a: undefined, b: [{ c: undefined, d: -0 }] })).toBe('{"b":[{"d":0}]}')
    expect(() => jsonText({ [Symbol('s')]: 1 })).toThrow('has a symbol as a key')
    const cyclic: unknown[] = []
    cyclic.push(cyclic)
    expect(() => jsonText(cyclic)).toThrow('refers back')
    expect(JSON.parse(jsonText(nested(jsonDepthMax)))).toEqual(nested(jsonDepthMax))
    expect(() => jsonText(nested(jsonDepthMax + 1))).toThrow('levels deep')
  })

  it('leaves the value as it was', () => {
    const value = { a: [1] }
    jsonText(value)
    expect(Object.isFrozen(value) || Object.isFrozen(value.a)).toBe(false)
  })
})

describe('freezeParsedJson', () => {
  it('freezes in place', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        const value: unknown = JSON.parse(json)
        fc.pre(hasNoPrototypeKey(value))
        expect(freezeParsedJson(value)).toBe(value)
        expect(isDeepFrozen(value)).toBe(true)
      }),
    )
  })

  it('refuses prototype keys with their place, and depth that would exhaust the stack', () => {
    for (const [text, path] of [
      ['1e999', 'value'],
      ['{"a":[1,-1e999]}', 'value.a[1]'],
      ['{"a":{"b":1e999}}', 'value.a.b'],
    ] as const) {
      expect(() => freezeParsedJson<unknown>(JSON.parse(text), 'value')).toThrow(`${path} is a number beyond`)
    }
    expect(() => freezeParsedJson<unknown>(JSON.parse('{"a":[{"__proto__":1}]}'), 'value')).toThrow(
      /^value\.a\[0]\.__proto__ has/,
    )
    expect(() => freezeParsedJson<unknown>(JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`))).toThrow(
      expect.objectContaining({ code: 'JSON_INVALID', message: expect.stringContaining('levels deep') }),
    )
    expect(isDeepFrozen(freezeParsedJson(nested(jsonDepthMax)))).toBe(true)
    expect(() => freezeParsedJson(nested(jsonDepthMax + 1))).toThrow('levels deep')
  })
})
