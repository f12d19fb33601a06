import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { changeOf, recordOf, type StateRecord } from './changelog-format.ts'

const bytesOf = (text: string): Uint8Array => Buffer.from(text)

/** A record as it comes back from a partition. */
function stored(change: StateRecord): Parameters<typeof changeOf>[0] {
  const { key, value, headers = [] } = recordOf(change, 0)
  return {
    key: bytesOf(String(key)),
    value: value === null ? null : bytesOf(String(value)),
    headers: headers.map(([name, content]) => [name, bytesOf(String(content))] as const),
  }
}

describe('a record of a changelog', () => {
  it('is written as docs/formats/kafka-changelog.md says', () => {
    expect(recordOf({ namespace: 'n', key: 'a "b"/ä', value: '{"x":1}', revision: 7 }, 42)).toEqual({
      key: '["n","a \\"b\\"/ä"]',
      value: '{"x":1}',
      headers: [['revision', '7']],
      timestampMs: 42,
    })
    expect(recordOf({ namespace: 'n', key: 'k', value: null, revision: 0 }, 42)).toEqual({
      key: '["n","k"]',
      value: null,
      headers: [],
      timestampMs: 42,
    })
  })

  it('comes back as it was', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1 })
    const value = fc.option(
      fc.jsonValue().map((json) => JSON.stringify(json)),
      { nil: null },
    )
    fc.assert(
      fc.property(name, name, value, fc.integer({ min: 1, max: 2 ** 50 }), (namespace, key, json, n) => {
        const change = { namespace, key, value: json, revision: json === null ? 0 : n }
        expect(changeOf(stored(change))).toEqual(change)
      }),
    )
  })

  it.each([
    ['no key', { key: null, value: null, headers: [] }],
    ['a key of another kind', { key: bytesOf('k'), value: null, headers: [] }],
    ['a key of three parts', { key: bytesOf('["a","b","c"]'), value: null, headers: [] }],
    ['bytes that are no UTF-8', { key: new Uint8Array([0xff]), value: null, headers: [] }],
    ['no revision', { key: bytesOf('["a","b"]'), value: bytesOf('1'), headers: [] }],
    ['a revision of 0', { key: bytesOf('["a","b"]'), value: bytesOf('1'), headers: [['revision', bytesOf('0')]] }],
    [
      'a value that is no JSON',
      { key: bytesOf('["a","b"]'), value: bytesOf('{'), headers: [['revision', bytesOf('1')]] },
    ],
  ] as const)('that somebody else wrote changes nothing: %s', (_what, record) => {
    expect(changeOf(record)).toBeUndefined()
  })
})
