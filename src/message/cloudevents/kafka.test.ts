import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  type Decoded,
  decodeKafka,
  encodeKafkaBinary,
  encodeKafkaStructured,
  event,
  type KafkaSource,
  knownAttributes,
  type Message,
} from '../index.ts'
import { arbitraryMessage } from './arbitrary-message.test-support.ts'

const headers: readonly (readonly [string, string])[] = [
  ['ce_specversion', '1.0'],
  ['ce_type', 'com.example.someevent'],
  ['ce_source', '/mycontext'],
  ['ce_id', '1234'],
  ['ce_time', '2018-04-05T03:56:24Z'],
]
const Placed = event('OrderPlaced', { data: z.object({ id: z.string() }), key: (d) => d.id, version: 2 })

function value(result: Decoded<Message | null>): Message | null {
  if (!result.ok) throw result.error
  return result.value
}

function read(record: Partial<KafkaSource>): Message {
  return value(decodeKafka({ value: 'null', headers, ...record })) as Message
}

describe('Kafka binary mode', () => {
  it('brings every message back, with headers as text or as bytes', () => {
    fc.assert(
      fc.property(arbitraryMessage(false), fc.boolean(), (message, asBytes) => {
        const content = encodeKafkaBinary(message)
        expect(content.key).toBe(message.partitionkey ?? null)
        const sent = content.headers.map(([name, text]) => [name, asBytes ? Buffer.from(text) : text] as const)
        expect(value(decodeKafka({ ...content, headers: sent }))).toStrictEqual(message)
      }),
    )
  })

  it('names headers as the table of attributes does, in its order', () => {
    const message = Placed(
      { id: '7' },
      { id: 'm', time: '2026-01-01T00:00:00.000Z', source: '/s', extensions: { tenant: 'nl' } },
    )
    const { headers: written, value: bytes } = encodeKafkaBinary(message)
    expect(written).toEqual([
      ['ce_specversion', '1.0'],
      ['ce_id', 'm'],
      ['ce_source', '/s'],
      ['ce_type', 'OrderPlaced'],
      ['ce_time', '2026-01-01T00:00:00.000Z'],
      ['content-type', 'application/json'],
      ['ce_dataversion', '2'],
      ['ce_partitionkey', '7'],
      ['ce_tenant', 'nl'],
    ])
    expect(Buffer.from(bytes).toString()).toBe('{"id":"7"}')
    const order = knownAttributes.map((attribute) => attribute.kafkaHeader)
    const known = written.map(([name]) => name).filter((name) => order.includes(name))
    expect(known).toEqual(order.filter((name) => known.includes(name)))
  })

  it('takes a record without a value for an event without data, if its headers say all of it', () => {
    const message = { ...Placed({ id: '1' }), data: undefined }
    expect(value(decodeKafka({ ...encodeKafkaBinary(message), value: null }))).toStrictEqual(message)
    expect(read({ key: 'k', value: null })).toMatchObject({ id: '1234', partitionkey: 'k', data: undefined })
  })

  it('takes any other record without a value for a tombstone', () => {
    const isTombstone = (given: KafkaSource['headers']): boolean =>
      value(decodeKafka({ key: 'k', value: null, headers: given })) === null
    expect(isTombstone([])).toBe(true)
    for (const missing of ['ce_specversion', 'ce_type', 'ce_source', 'ce_id']) {
      expect(isTombstone(headers.filter(([name]) => name !== missing))).toBe(true)
    }
    expect(isTombstone([...headers, ['ce_time', 'at noon']])).toBe(true)
    expect(isTombstone([...headers, ['ce_subject', Uint8Array.of(0xff)]])).toBe(true)
    expect(isTombstone([...headers, ['content-type', 'application/cloudevents+json']])).toBe(true)
  })

  it('gives a message without data an empty value and reads it back', () => {
    const message = { ...Placed({ id: '1' }), data: undefined }
    const content = encodeKafkaBinary(message)
    expect(content.value).toHaveLength(0)
    expect(value(decodeKafka(content))).toStrictEqual(message)
  })

  it('reads the plain trace headers of OpenTelemetry, header names in any case, and the last of several', () => {
    expect(
      read({ headers: [...headers, ['traceparent', Buffer.from('t')], ['CE_Subject', 'a'], ['ce_subject', 'b']] }),
    ).toMatchObject({
      traceparent: 't',
      subject: 'b',
    })
    expect(read({ headers: [['traceparent', 'plain'], ...headers, ['ce_traceparent', 'own']] }).traceparent).toBe('own')
  })

  it('keeps unknown extensions as text, passes over null and foreign headers, and what is no attribute by its name', () => {
    const message = read({
      headers: [
        ...headers,
        ['ce_tenant', 'nl'],
        ['ce_none', null],
        ['other', 'x'],
        ['ce_my-ext', 'x'],
        ['ce_data', 'x'],
      ],
    })
    expect(message).toMatchObject({ tenant: 'nl', data: null })
    for (const name of ['none', 'other', 'my-ext']) expect(message).not.toHaveProperty(name)
  })

  it('takes the key of the record for the partition key that the event does not have', () => {
    expect(read({ key: 'k' }).partitionkey).toBe('k')
    expect(read({ key: Buffer.from('kö') }).partitionkey).toBe('kö')
    expect(read({ key: 'k', headers: [...headers, ['ce_partitionkey', 'own']] }).partitionkey).toBe('own')
    expect(read({ key: 'k', headers: [...headers, ['ce_partitionkey', '']] }).partitionkey).toBe('k')
    for (const key of [undefined, null, '', 'a\n', Buffer.from([0xff, 0x00])]) {
      expect(read({ ...(key !== undefined && { key }) })).not.toHaveProperty('partitionkey')
    }
  })

  it('reads ce_datacontenttype where there is no content-type, and else passes over it', () => {
    const of = (...more: readonly (readonly [string, string])[]): Message =>
      read({ value: '{"a":1}', headers: [...headers, ...more] })
    const misnamed = ['ce_datacontenttype', 'text/plain'] as const
    expect(of(misnamed)).toMatchObject({ datacontenttype: 'text/plain', data: Buffer.from('{"a":1}') })
    const document = of(['ce_datacontenttype', 'application/cloudevents+json'])
    expect(document).toMatchObject({ type: 'com.example.someevent', data: { a: 1 } })
    for (const both of [
      of(misnamed, ['content-type', 'application/json']),
      of(['content-type', 'application/json'], misnamed),
    ]) {
      expect(both).toMatchObject({ datacontenttype: 'application/json', data: { a: 1 } })
    }
  })

  it('decides by the content type what data is', () => {
    const of = (contentType: string | undefined, bytes: string | Uint8Array): unknown =>
      read({ value: bytes, headers: contentType === undefined ? headers : [...headers, ['content-type', contentType]] })
        .data
    expect(of('application/json;charset=utf-8', '{"a":1}')).toEqual({ a: 1 })
    expect(of('application/avro', '{"a":1}')).toStrictEqual(Buffer.from('{"a":1}'))
    expect(of(undefined, '{"a":1}')).toEqual({ a: 1 })
    expect(of(undefined, new Uint8Array([0]))).toStrictEqual(new Uint8Array([0]))
  })

  it.each<[string, Partial<KafkaSource>, string]>([
    ['a record that is no event', { headers: [] }, 'specversion'],
    [
      'a value that is not JSON',
      { value: '{', headers: [...headers, ['content-type', 'application/json']] },
      'the value',
    ],
    [
      'a header that is not UTF-8',
      { headers: [...headers, ['ce_subject', new Uint8Array([0xff])]] },
      'header ce_subject',
    ],
    ['a version that is no number', { headers: [...headers, ['ce_dataversion', 'two']] }, 'dataversion'],
    ['an unknown format', { headers: [['content-type', 'application/cloudevents+avro']] }, 'header content-type'],
  ])('answers %s with an error value', (_name, record, place) => {
    const result = decodeKafka({ value: 'null', headers, ...record })
    expect(result).toMatchObject({ ok: false, error: { code: 'MESSAGE_UNDECODABLE', details: { place } } })
  })
})

describe('Kafka structured mode', () => {
  it('brings every message back', () => {
    fc.assert(
      fc.property(arbitraryMessage(true), (message) => {
        const content = encodeKafkaStructured(message)
        expect(content.key).toBe(message.partitionkey ?? null)
        expect(value(decodeKafka(content))).toStrictEqual(message)
      }),
    )
  })

  it('takes the key of the record for the partition key that the document does not have', () => {
    const keyless = event('Keyless', { data: z.object({ id: z.string() }) })
    const { value: document, headers: written } = encodeKafkaStructured(keyless({ id: '1' }))
    const decodedAs = (key: string): Message =>
      value(decodeKafka({ key, value: document, headers: written })) as Message
    expect(decodedAs('k').partitionkey).toBe('k')
    const own = encodeKafkaStructured(Placed({ id: '1' }))
    expect(value(decodeKafka({ ...own, key: 'k' }))?.partitionkey).toBe('1')
  })

  it('has a value also for a message without data, so it is no tombstone', () => {
    const message = { ...Placed({ id: '1' }), data: undefined }
    expect(value(decodeKafka(encodeKafkaStructured(message)))).toStrictEqual(message)
  })
})
