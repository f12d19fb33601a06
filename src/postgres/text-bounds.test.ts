import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { boundOf, boundsAfter, endOfPrefix, greater, lesser } from './text-bounds.ts'

const bytesOrder = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
const character = fc.constantFrom('\u0001', '\u0002', 'a', 'b', '~', '\u007f', 'ä', '\uffff', '😀')
/** What PostgreSQL can hold. */
const name = fc.array(character, { minLength: 1, maxLength: 5 }).map((all) => all.join(''))
/** What somebody may ask for. */
const asked = fc.array(fc.oneof(character, fc.constant('\0')), { maxLength: 5 }).map((all) => all.join(''))

describe('bounds of names without NUL characters', () => {
  it('keep every name on its side of what was asked for', () => {
    const property = fc.property(name, asked, (key, bound) => {
      expect(bytesOrder(key, boundOf(bound)) < 0).toBe(bytesOrder(key, bound) < 0)
    })
    fc.assert(property, { numRuns: 2000 })
  })

  it('go on behind a name, and behind what is no name', () => {
    const property = fc.property(name, asked, (key, place) => {
      const { from, after } = boundsAfter(place)
      expect(bytesOrder(key, from) >= 0 && bytesOrder(key, after) > 0).toBe(bytesOrder(key, place) > 0)
    })
    fc.assert(property, { numRuns: 2000 })
  })

  it('end a prefix behind everything that has it, and before everything else that follows', () => {
    const property = fc.property(name, name, (key, prefix) => {
      const end = endOfPrefix(prefix)
      if (end === undefined) return
      const isWithin = bytesOrder(key, prefix) >= 0 && bytesOrder(key, end) < 0
      expect(isWithin).toBe(key.startsWith(prefix))
    })
    fc.assert(property, { numRuns: 2000 })
  })

  it('choose by bytes, which is not the order of UTF-16', () => {
    expect(greater('\uffff', '😀')).toBe('😀')
    expect(lesser('\uffff', '😀')).toBe('\uffff')
    expect(lesser(undefined, 'a')).toBe('a')
    expect(lesser('a', undefined)).toBe('a')
    expect(lesser(undefined, undefined)).toBeUndefined()
  })
})
