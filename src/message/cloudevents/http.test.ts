import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../kernel/index.ts'
import { decodeHttp, encodeHttpBatch, encodeHttpBinary, encodeHttpStructured, event, type Message } from '../index.ts'
import { arbitraryMessage } from './arbitrary-message.test-support.ts'
import { percentDecode, percentEncode } from './percent.ts'

const clock = new VirtualClock(Date.UTC(2026, 0, 1))
const headers = {
  'ce-specversion': '1.0',
  'ce-type': 'com.example.someevent',
  'ce-source': '/mycontext',
  'ce-id': '1234',
}

function read(content: Parameters<typeof decodeHttp>[0]): Message {
  const result = decodeHttp(content, { clock })
  if (!result.ok) throw result.error
  expect(result.value).toHaveLength(1)
  return result.value[0] as Message
}

describe('HTTP binary mode', () => {
  it('brings every message back through headers of printable ASCII', () => {
    fc.assert(
      fc.property(arbitraryMessage(false), (message) => {
        const content = encodeHttpBinary(message)
        for (const value of Object.values(content.headers)) expect(value).toMatch(/^[\x21-\x7e]+$/)
        expect(read(content)).toStrictEqual(message)
      }),
    )
  })

  it('writes headers that fetch accepts', () => {
    const message = event('Ticked')(null, { subject: 'Euro € 😀', extensions: { retries: 3, test: true } })
    const content = new Headers(encodeHttpBinary(message).headers)
    expect(content.get('ce-subject')).toBe('Euro%20%E2%82%AC%20%F0%9F%98%80')
    expect([content.get('ce-retries'), content.get('ce-test'), content.get('content-type')]).toEqual([
      '3',
      'true',
      'application/json',
    ])
    expect(content.has('ce-datacontenttype')).toBe(false)
    expect(read({ headers: content, body: 'null' })).toMatchObject({ subject: 'Euro € 😀', retries: '3', data: null })
  })

  it('reads names in any case, several forms of headers, and plain trace headers', () => {
    const upper = Object.entries(headers).map(([name, value]): [string, string] => [name.toUpperCase(), value])
    const trace: [string, string][] = [
      ['Traceparent', 't'],
      ['tracestate', 's'],
      ['CE-Tracestate', 'own'],
    ]
    expect(read({ headers: [...upper, ...trace], body: '' })).toMatchObject({
      id: '1234',
      traceparent: 't',
      tracestate: 'own',
    })
    const loose = { ...headers, 'ce-list': ['a', 'b'], 'ce-none': undefined, 'ce-gone': null, 'ce-count': 5 }
    const message = read({ headers: loose as never, body: '' })
    expect(message).toMatchObject({ list: 'a, b', count: '5' })
    expect(message).not.toHaveProperty('gone')
  })

  it('decides by the content type what data is', () => {
    const body = Buffer.from('{"a":"ä"}')
    const of = (contentType: string | undefined, bytes: Uint8Array = body): unknown =>
      read({ headers: { ...headers, 'content-type': contentType }, body: bytes }).data
    expect(of('application/json; charset=UTF-8')).toEqual({ a: 'ä' })
    expect(of('Application/vnd.shop+JSON')).toEqual({ a: 'ä' })
    expect(of('application/json; charset="iso-8859-1"', Buffer.from('{"a":"ä"}', 'latin1'))).toEqual({ a: 'ä' })
    expect(of(undefined)).toEqual({ a: 'ä' })
    expect(of('text/plain')).toStrictEqual(body)
    expect(of(undefined, Buffer.from([1, 2]))).toStrictEqual(Buffer.from([1, 2]))
    expect(of('application/json', new Uint8Array(0))).toBeUndefined()
  })

  it('keeps bytes and text of other types as they are, both ways', () => {
    const xml = read({ headers: { ...headers, 'content-type': 'application/xml' }, body: '<a/>' })
    expect(Buffer.from(encodeHttpBinary(xml).body).toString()).toBe('<a/>')
    const text = { ...xml, data: '<b/>' }
    expect(Buffer.from(encodeHttpBinary(text).body).toString()).toBe('<b/>')
    expect(encodeHttpBinary({ ...xml, data: undefined }).body).toHaveLength(0)
  })

  it.each<[string, Parameters<typeof decodeHttp>[0], string]>([
    ['no CloudEvents headers', { headers: { 'content-type': 'application/json' }, body: '{}' }, 'specversion'],
    ['a body that is not JSON', { headers: { ...headers, 'content-type': 'application/json' }, body: '{' }, 'the body'],
    [
      'a body that is not UTF-8',
      { headers: { ...headers, 'content-type': 'application/json' }, body: new Uint8Array([0xff]) },
      'the body',
    ],
    [
      'an unknown charset',
      { headers: { ...headers, 'content-type': 'text/json; charset=klingon' }, body: '{}' },
      'the body',
    ],
    ['overlong percent-encoding', { headers: { ...headers, 'ce-subject': '%C0%A0' }, body: '' }, 'header ce-subject'],
    [
      'an unknown format',
      { headers: { 'content-type': 'application/cloudevents+avro' }, body: '' },
      'header content-type',
    ],
  ])('answers %s with an error value', (_name, content, place) => {
    expect(decodeHttp(content)).toMatchObject({ ok: false, error: { code: 'MESSAGE_UNDECODABLE', details: { place } } })
  })

  it('never throws, whatever comes in', () => {
    const headerName = fc.oneof(fc.constantFrom(...Object.keys(headers), 'content-type', 'ce-time'), fc.string())
    const value = fc.oneof(fc.constantFrom('1.0', 'application/json', 'application/cloudevents+json', '%'), fc.string())
    fc.assert(
      fc.property(fc.array(fc.tuple(headerName, value)), fc.uint8Array(), (pairs, body) => {
        const result = decodeHttp({ headers: pairs, body })
        expect(result.ok || result.error.code === 'MESSAGE_UNDECODABLE').toBe(true)
      }),
    )
  })
})

describe('HTTP structured and batched mode', () => {
  it('bring every message back', () => {
    fc.assert(
      fc.property(arbitraryMessage(true), arbitraryMessage(true), (one, two) => {
        expect(read(encodeHttpStructured(one))).toStrictEqual(one)
        expect(decodeHttp(encodeHttpBatch([one, two]))).toStrictEqual({ ok: true, value: [one, two] })
      }),
      { numRuns: 40 },
    )
    expect(encodeHttpStructured(event('Ticked')()).headers).toEqual({
      'content-type': 'application/cloudevents+json; charset=utf-8',
    })
    expect(decodeHttp(encodeHttpBatch([]))).toEqual({ ok: true, value: [] })
  })

  it('read the content type in any case and without a charset', () => {
    const body = JSON.stringify({ specversion: '1.0', type: 't', source: '/s', id: '1' })
    expect(read({ headers: { 'Content-Type': 'Application/CloudEvents+JSON' }, body }).id).toBe('1')
    expect(read({ headers: { 'content-type': 'application/cloudevents' }, body }).id).toBe('1')
  })
})

describe('percent-encoding', () => {
  it.each([
    ['Euro € 😀', 'Euro%20%E2%82%AC%20%F0%9F%98%80'],
    ['100% "sure"', '100%25%20%22sure%22'],
    ["!#$&'()*+,-./:;<=>?@[\\]^_`{|}~", "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"],
    ['', ''],
  ])('of %s', (text, encoded) => {
    expect(percentEncode(text)).toBe(encoded)
    expect(percentDecode(encoded, 'ce-x')).toBe(text)
  })

  it('reads what older producers send: quoted strings, raw percent signs, needless and lower-case escapes', () => {
    expect(percentDecode('"a \\"b\\" %e2%82%ac"', 'ce-x')).toBe('a "b" €')
    expect(percentDecode('100% of %41%zz', 'ce-x')).toBe('100% of A%zz')
    expect(percentDecode('  a ', 'ce-x')).toBe('a')
  })

  it('replaces half a surrogate pair, which a foreign message may hold, instead of failing', () => {
    expect(percentEncode('a\ud800')).toBe('a%EF%BF%BD')
  })

  it('brings all text back', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
        (text) => {
          expect(percentDecode(percentEncode(text), 'ce-x')).toBe(text)
        },
      ),
    )
  })
})
