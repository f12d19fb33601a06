import type { StandardSchemaV1 } from '@standard-schema/spec'
import { describe, expect, it } from 'vitest'
import type { EventQuery, ExpectedVersion, WriteBatch } from '../engine/index.ts'
import {
  decodeJson,
  encodeJson as encodeMessage,
  event,
  type Message,
  sealed,
  withAttributes,
} from '../message/index.ts'
import {
  checkBatch,
  checkExpected,
  checkInteger,
  checkMessage,
  checkName,
  checkQuery,
  checkRecord,
  encodeJson,
  isShareable,
} from './write-checks.ts'

const anything: StandardSchemaV1<unknown, unknown> = {
  '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) },
}

function decoded(json: string): Message {
  const result = decodeJson(json)
  if (!result.ok) throw result.error
  return result.value
}

const invalid = expect.objectContaining({ code: 'ARGUMENT_INVALID' })
const notJson = expect.objectContaining({ code: 'JSON_INVALID' })

describe('messages', () => {
  const Placed = event('Placed', { data: anything })
  const placed = Placed({ lines: [{ price: 1 }] })

  /** As a program may put one together. */
  const byHand = (attributes: object): Message => Object.freeze({ ...placed, ...attributes })

  it.each<[string, Message]>([
    ['a definition made', placed],
    ['a decoder read', decoded(encodeMessage(placed))],
    ['were read and changed', withAttributes(decoded(encodeMessage(placed)), { partitionkey: 'k' })],
  ])('that %s are taken as they are, and may be shared', (_what, message) => {
    expect(() => checkMessage(message)).not.toThrow()
    expect(isShareable(message)).toBe(true)
  })

  it.each<[string, Message]>([
    ['copied', { ...placed }],
    ['copied and frozen', byHand({})],
    ['cloned', structuredClone(placed)],
    ['a copy with other attributes', withAttributes({ ...placed }, { subject: 's' })],
  ])('that are %s are looked at, and are not shared', (_what, message) => {
    expect(() => checkMessage(message)).not.toThrow()
    expect(isShareable(message)).toBe(false)
  })

  it('with bytes as their data are not shared: bytes cannot be frozen', () => {
    const message = sealed({ ...placed, datacontenttype: 'image/png', data: Uint8Array.of(1) })
    expect(() => checkMessage(message)).not.toThrow()
    expect(isShareable(message)).toBe(false)
  })

  it.each([
    ['a time that is none', { time: 'yesterday' }],
    ['an empty id', { id: '' }],
    ['a Date', { data: Object.freeze({ at: new Date(0) }) }],
    ['an object as an extension', { tenant: {} }],
    ['no specversion', { specversion: undefined }],
  ])('with %s are refused, though somebody froze them', (_what, part) => {
    expect(() => checkMessage(byHand(part))).toThrow(invalid)
    expect(() => checkMessage(withAttributes(byHand(part), { subject: 's' }))).toThrow(invalid)
  })

  it.each([null, undefined, 7, 'text', () => 1])('%s is none', (value) => {
    expect(() => checkMessage(value as unknown as Message)).toThrow(invalid)
  })
})

describe('names', () => {
  it.each(['a', '__proto__', 'constructor', ' ', 'ä', '😀', 'x'.repeat(1024), 'ä'.repeat(512)])('%s is one', (name) => {
    expect(() => checkName('key', name)).not.toThrow()
  })

  it.each(['', 'a\0b', '\ud800', 'a\udc00', 'x'.repeat(1025), 'ä'.repeat(513), 7, null, undefined, {}, ['a']])(
    '%j is none',
    (name) => {
      expect(() => checkName('key', name)).toThrow(invalid)
    },
  )
})

describe('numbers', () => {
  it.each([0, 1, Number.MAX_SAFE_INTEGER])('%d is whole', (value) => {
    expect(() => checkInteger('n', value, 0)).not.toThrow()
  })

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '1', 1n, null, undefined])('%s is not', (value) => {
    expect(() => checkInteger('n', value, 0)).toThrow(invalid)
  })

  it.each(['any', 'none', 'exists', 0, 7])('%s can be expected of a stream', (expected) => {
    expect(() => checkExpected('expected', expected as ExpectedVersion)).not.toThrow()
  })

  it.each(['all', -1, 1.5, null, {}, '__proto__'])('%s cannot', (expected) => {
    expect(() => checkExpected('expected', expected as ExpectedVersion)).toThrow(invalid)
  })
})

describe('queries', () => {
  const tags = Array.from({ length: 250 }, (_, i) => `tag${i}`)

  it.each([
    { items: [] },
    { items: [{}] },
    { items: [{ types: ['A'], tags: ['b'] }] },
    { items: [{ tags }, { types: tags }] },
  ])('of the right shape are taken', (query) => {
    expect(() => checkQuery('query', query)).not.toThrow()
  })

  it.each([
    null,
    {},
    { items: {} },
    { items: [null] },
    { items: ['A'] },
    { items: [{ types: 'A' }] },
    { items: [{ tags: [7] }] },
    { items: [{ tags: ['a\0'] }] },
    { items: [{ tags, types: tags }, { types: ['one more'] }] },
  ])('%j is refused', (query) => {
    expect(() => checkQuery('query', query as unknown as EventQuery)).toThrow(invalid)
  })
})

describe('records', () => {
  it.each([-1, 1.5, Number.NaN, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, '2026'])(
    'of the time %s are refused, before they share a batch with others',
    (timestampMs) => {
      const record = { key: null, value: 'a', timestampMs: timestampMs as number }
      expect(() => checkRecord(record)).toThrow(invalid)
    },
  )

  it.each([undefined, 0, 8_640_000_000_000_000])('of the time %s are taken', (timestampMs) => {
    expect(() =>
      checkRecord({ key: null, value: 'a', ...(timestampMs !== undefined && { timestampMs }) }),
    ).not.toThrow()
  })
})

describe('values', () => {
  const cycle: { self?: unknown } = {}
  cycle.self = cycle

  it.each([
    ['a cycle', cycle],
    ['a BigInt', { n: 1n }],
    ['NaN', [Number.NaN]],
    ['an infinity', Number.NEGATIVE_INFINITY],
    ['a date', { at: new Date(0) }],
    ['a map', new Map()],
    ['undefined', undefined],
    ['undefined in a list', [undefined]],
    ['a hole', Array(1)],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['bytes', Buffer.from('a')],
    ['a prototype', JSON.parse('{"__proto__":{"admin":true}}')],
  ])('%s is refused, with its place', (_, value) => {
    expect(() => encodeJson('state[0].value', value)).toThrow(notJson)
    expect(() => encodeJson('state[0].value', value)).toThrow(/state\[0\]\.value/)
  })

  it.each([null, false, 0, '', 'a\0b', [1, [2]], { a: { constructor: 1 } }])('%j is kept', (value) => {
    expect(JSON.parse(encodeJson('value', value))).toEqual(value)
  })

  it('of more than 64 Mi characters are refused', () => {
    expect(() => encodeJson('value', 'x'.repeat(64 * 1024 * 1024))).toThrow(invalid)
    expect(encodeJson('value', 'x'.repeat(64 * 1024 * 1024 - 2)).length).toBe(64 * 1024 * 1024)
  })

  it('lose properties that are undefined, as JSON has them', () => {
    expect(encodeJson('value', { a: undefined, b: 1 })).toBe('{"b":1}')
  })
})

describe('batches', () => {
  it.each([
    {},
    { publish: [], append: [], state: [], timers: [], progress: [] },
    { state: [{ kind: 'clear', namespace: 'a' }] },
  ])('of lists of objects are taken', (batch) => {
    expect(() => checkBatch(batch as WriteBatch)).not.toThrow()
  })

  it.each([
    null,
    undefined,
    'publish',
    7,
    { publish: {} },
    { append: 'x' },
    { state: [null] },
    { timers: [7] },
    { progress: [{}] },
    { progress: [{ claim: {}, done: {} }] },
  ])('%j is refused', (batch) => {
    expect(() => checkBatch(batch as unknown as WriteBatch)).toThrow(invalid)
  })
})
