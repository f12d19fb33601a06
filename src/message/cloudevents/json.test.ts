import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../kernel/index.ts'
import { decodeJson, decodeJsonBatch, encodeJson, encodeJsonBatch, event, type Message } from '../index.ts'
import { arbitraryMessage } from './arbitrary-message.test-support.ts'

const clock = new VirtualClock(Date.UTC(2026, 0, 1))
const minimal = { specversion: '1.0', type: 'com.example.someevent', source: '/mycontext', id: 'A234-1234-1234' }

function read(json: object): Message {
  const result = decodeJson(JSON.stringify(json), { clock })
  if (!result.ok) throw result.error
  return result.value
}

describe('the JSON event format', () => {
  it('brings every message back, shape, order and all', () => {
    fc.assert(
      fc.property(arbitraryMessage(true), (message) => {
        const result = decodeJson(encodeJson(message))
        expect(result).toStrictEqual({ ok: true, value: message })
      }),
    )
  })

  it('reads an event of another producer with nothing but the required attributes', () => {
    expect(read(minimal)).toStrictEqual({
      ...minimal,
      time: '2026-01-01T00:00:00.000Z',
      datacontenttype: 'application/json',
      dataversion: 1,
      data: undefined,
    })
  })

  it('treats null and empty attributes as missing, and keeps unknown ones with their types', () => {
    const message = read({
      ...minimal,
      subject: null,
      dataschema: '',
      comexampleother: 5,
      flag: true,
      note: 'x',
      unset: null,
    })
    expect(message).toMatchObject({ comexampleother: 5, flag: true, note: 'x' })
    for (const name of ['subject', 'dataschema', 'unset']) expect(message).not.toHaveProperty(name)
  })

  it('reads attributes in the wrong case, and the right one first', () => {
    expect(read({ ...minimal, partitionKey: 'a', traceParent: 't' })).toMatchObject({
      partitionkey: 'a',
      traceparent: 't',
    })
    expect(read({ ...minimal, partitionkey: 'right', partitionKey: 'wrong' }).partitionkey).toBe('right')
  })

  it('takes numbers for text where producers write them, and leaves out what is no attribute by name', () => {
    const message = read({ ...minimal, id: 42, partitionkey: 7, my_ext: 'x', 'a-b': 'y' })
    expect(message).toMatchObject({ id: '42', partitionkey: '7' })
    expect(Object.keys(message)).not.toContain('my_ext')
  })

  it('leaves a string a string, also where it looks like JSON (§3.1.2)', () => {
    expect(read({ ...minimal, datacontenttype: 'application/json', data: '{"a":1}' }).data).toBe('{"a":1}')
    expect(read({ ...minimal, datacontenttype: 'application/xml', data: '<much wow="xml"/>' }).data).toBe(
      '<much wow="xml"/>',
    )
    expect(read({ ...minimal, data: null }).data).toBeNull()
  })

  it('reads data_base64 as bytes, or as JSON where the content type says so, and writes bytes back', () => {
    const bytes = Buffer.from([0, 255, 128, 7])
    const message = read({
      ...minimal,
      datacontenttype: 'application/octet-stream',
      data_base64: bytes.toString('base64'),
    })
    expect(message.data).toStrictEqual(new Uint8Array(bytes))
    expect(JSON.parse(encodeJson(message))).toMatchObject({ data_base64: bytes.toString('base64') })
    expect(JSON.parse(encodeJson(message))).not.toHaveProperty('data')
    const base64 = Buffer.from('{"a":1}').toString('base64')
    expect(read({ ...minimal, datacontenttype: 'application/json; charset=utf-8', data_base64: base64 }).data).toEqual({
      a: 1,
    })
    expect(read({ ...minimal, data_base64: `${base64.slice(0, 4)}\r\n${base64.slice(4)}` })).toMatchObject({
      data: new Uint8Array(Buffer.from('{"a":1}')),
      datacontenttype: 'application/octet-stream',
    })
  })

  it.each<[string, unknown, string, string]>([
    ['no JSON', '{"specversion":', 'the text', 'is not JSON'],
    ['bytes that are not UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 'the text', 'is not valid utf-8'],
    ['an array', [], 'the text', 'is not an object'],
    ['no specversion', { ...minimal, specversion: undefined }, 'specversion', 'is missing'],
    ['another specversion', { ...minimal, specversion: '0.3' }, 'specversion', 'is not 1.0'],
    ['no id', { ...minimal, id: '' }, 'id', 'is missing'],
    ['no source', { ...minimal, source: null }, 'source', 'is missing'],
    ['no type', { ...minimal, type: undefined }, 'type', 'is missing'],
    ['a bad time', { ...minimal, time: '2018-04-05 17:31' }, 'time', 'is not an RFC 3339 timestamp'],
    ['an object as an attribute', { ...minimal, subject: {} }, 'subject', 'is neither text nor a number'],
    ['an object as an extension', { ...minimal, tenant: {} }, 'tenant', 'is neither text, a number nor a boolean'],
    [
      'a content type that breaks headers',
      { ...minimal, datacontenttype: 'a/b\r\nx: y' },
      'datacontenttype',
      'is not printable ASCII',
    ],
    ['a bad version', { ...minimal, dataversion: 0 }, 'dataversion', 'is not a whole number from 1'],
    ['data twice', { ...minimal, data: 1, data_base64: 'AA==' }, 'data', 'and data_base64 are both there'],
    ['bad Base64', { ...minimal, data_base64: 'A?' }, 'data_base64', 'is not Base64'],
    [
      'bad JSON in Base64',
      { ...minimal, datacontenttype: 'text/json', data_base64: 'e30x' },
      'data_base64',
      'is not JSON',
    ],
    [
      'too many levels',
      '['.repeat(1000) + ']'.repeat(1000),
      `${'[0]'.repeat(24)}…`,
      'is nested more than 256 levels deep',
    ],
    [
      'a prototype key',
      '{"data":{"a":{"__proto__":{}}}}',
      'data.a.__proto__',
      'has a name that could reach into prototypes',
    ],
  ])('answers %s with an error value', (_name, input, place, reason) => {
    const json = typeof input === 'string' || input instanceof Uint8Array ? input : JSON.stringify(input)
    const result = decodeJson(json)
    expect(result).toMatchObject({ ok: false, error: { code: 'MESSAGE_UNDECODABLE', details: { place, reason } } })
  })

  it('never throws, whatever comes in', () => {
    const anything = fc.oneof(
      fc.json(),
      fc.string(),
      fc.uint8Array(),
      fc.object().map((o) => JSON.stringify({ ...minimal, ...o })),
    )
    fc.assert(
      fc.property(anything, (input) => {
        const result = decodeJson(input)
        expect(result.ok || result.error.code === 'MESSAGE_UNDECODABLE').toBe(true)
      }),
    )
  })
})

describe('the JSON batch format', () => {
  const Ticked = event('Ticked')

  it('brings any number of messages back', () => {
    for (const batch of [[], [Ticked()], [Ticked(), Ticked()]]) {
      expect(decodeJsonBatch(encodeJsonBatch(batch))).toStrictEqual({ ok: true, value: batch })
    }
  })

  it('names the place of what is bad', () => {
    const batch = JSON.stringify([minimal, { ...minimal, id: null }])
    expect(decodeJsonBatch(batch)).toMatchObject({ ok: false, error: { details: { place: '[1].id' } } })
    expect(decodeJsonBatch('[{"data":{"__proto__":1}}]')).toMatchObject({
      ok: false,
      error: { details: { place: '[0].data.__proto__' } },
    })
    expect(decodeJsonBatch('[7]')).toMatchObject({ ok: false, error: { details: { place: '[0]' } } })
    expect(decodeJsonBatch('{}')).toMatchObject({ ok: false, error: { details: { reason: 'is not an array' } } })
  })
})
