import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeKafka,
  encodeKafkaBinary,
  encodeKafkaStructured,
  event,
  type Message,
  sealMessage,
} from '../message/index.ts'
import {
  type Compression,
  decodeBatch,
  decodeMessages,
  RecordBatchBuilder,
  type RecordInput,
  type RecordOutcome,
} from './index.ts'

const timestampMs = 1_764_547_200_000

function outcomesOf(batch: Uint8Array, fromOffset = 0): RecordOutcome[] {
  const outcomes: RecordOutcome[] = []
  decodeMessages(batch, (outcome) => outcomes.push(outcome), { fromOffset })
  return outcomes
}

function throughBatch(messages: readonly Message[], compression: Compression = 'none'): RecordOutcome[] {
  const builder = new RecordBatchBuilder()
  for (const message of messages) builder.appendMessage(message, timestampMs)
  return outcomesOf(builder.seal({ compression }))
}

function throughRecord(record: Partial<RecordInput>): RecordOutcome | undefined {
  const builder = new RecordBatchBuilder()
  builder.appendRaw({ key: null, value: null, timestampMs, ...record })
  return outcomesOf(builder.seal())[0]
}

function isDeepFrozen(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  return Object.isFrozen(value) && Object.values(value).every(isDeepFrozen)
}

const text = fc.string({
  unit: fc.constantFrom('a', 'b', '1', '-', 'é', '東', '🚲', '\ufffd'),
  minLength: 1,
  maxLength: 80,
})
const optionalText = fc.option(text, { nil: undefined })
const json = fc
  .jsonValue({ stringUnit: 'binary', maxDepth: 4 })
  .filter((value) => !JSON.stringify(value).includes('"__proto__"'))
const messages: fc.Arbitrary<Message> = fc
  .record({
    type: fc.oneof(fc.constantFrom('OrderPlaced', 'OrderPaid'), text),
    id: text,
    source: fc.constantFrom('/shop', '/shop/東', `/${'long'.repeat(30)}`),
    time: fc.constantFrom('2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.001Z'),
    dataversion: fc.constantFrom(1, 2, 12, 2_147_483_647),
    data: json,
    optional: fc.record({
      subject: optionalText,
      partitionkey: optionalText,
      correlationid: optionalText,
      causationid: optionalText,
      traceparent: optionalText,
      tracestate: fc.option(fc.constant('v'.repeat(300)), { nil: undefined }),
      sequence: optionalText,
      dataschema: optionalText,
      dataclassification: optionalText,
    }),
    extensions: fc.option(fc.dictionary(fc.stringMatching(/^x[a-z0-9]{0,15}$/), text, { maxKeys: 70 }), {
      nil: undefined,
    }),
  })
  .map(({ type, id, source, time, dataversion, data, optional, extensions }) =>
    sealMessage(type, id, source, time, 'application/json', dataversion, data, optional, extensions),
  )

describe('messages of Millrace', () => {
  it('come back as they were, frozen, whatever is in them', () => {
    fc.assert(
      fc.property(fc.array(messages, { minLength: 1, maxLength: 12 }), fc.constantFrom('none', 'zstd'), (all, kind) => {
        const outcomes = throughBatch(all, kind)
        expect(outcomes).toHaveLength(all.length)
        for (const [index, outcome] of outcomes.entries()) {
          const message = all[index] as Message
          // Texts show what deep equality does not: the order of properties. JSON has no -0.
          expect(JSON.stringify(outcome)).toBe(
            JSON.stringify({
              kind: 'message',
              offset: index,
              timestampMs,
              key: message.partitionkey ?? null,
              message: { ...message },
            }),
          )
          expect(outcome.kind === 'message' && isDeepFrozen(outcome.message)).toBe(true)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('are read the same by the tolerant codec, so both agree on names and values', () => {
    fc.assert(
      fc.property(messages, (message) => {
        const builder = new RecordBatchBuilder()
        builder.appendMessage(message, timestampMs)
        const [record] = decodeBatch(builder.seal())
        const decoded = decodeKafka({ value: record?.value ?? null, headers: record?.headers ?? [] })
        const plain = (one: unknown): unknown => JSON.parse(JSON.stringify(one))
        expect(decoded.ok && plain(decoded.value)).toEqual(plain(message))
      }),
      { numRuns: 200 },
    )
  })

  it('that another Millrace encoded by the tolerant codec are read the same', () => {
    fc.assert(
      fc.property(messages, fc.boolean(), (message, isBinary) => {
        const outcome = throughRecord(isBinary ? encodeKafkaBinary(message) : encodeKafkaStructured(message))
        const plain = (one: unknown): unknown => JSON.parse(JSON.stringify(one))
        expect(outcome?.kind === 'message' && plain(outcome.message)).toEqual(plain(message))
      }),
      { numRuns: 200 },
    )
  })

  it('have the same properties in the same order, read or created', () => {
    const Placed = event('Placed', {
      data: { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value: value as object }) } },
      key: () => 'k',
    })
    const created = Placed({ a: 1 })
    const [read] = throughBatch([created])
    expect(read?.kind === 'message' && Object.keys(read.message)).toEqual(Object.keys(created))
    expect(read?.kind === 'message' && read.message).toEqual(created)
  })

  it('may be of many types and sources in turn', () => {
    const all = Array.from({ length: 3000 }, (_, index) => {
      const [type, source] = [`Type${index % 700}`, `/source/${index % 13}`]
      return sealMessage(
        type,
        `${index}`,
        source,
        '2026-01-01T00:00:00.000Z',
        'application/json',
        1,
        index,
        {},
        undefined,
      )
    })
    const read = throughBatch(all).map((outcome) => outcome.kind === 'message' && outcome.message)
    expect(read).toEqual(all)
  })

  it.each([
    ...['x'.repeat(63), 'x'.repeat(64), 'é'.repeat(31), 'é'.repeat(32), 'é'.repeat(63), '東'.repeat(64)],
    ...['x'.repeat(8191), 'x'.repeat(8192), '東'.repeat(2730), '東'.repeat(2731)],
  ])('come back whole where a length takes one byte more (%#)', (subject) => {
    const time = '2026-01-01T00:00:00.000Z'
    const optional = { subject, partitionkey: subject, causationid: 'after' }
    const message = sealMessage('T', subject, '/s', time, 'application/json', 1, subject, optional, undefined)
    expect(throughBatch([message])).toMatchObject([{ kind: 'message', key: subject, message }])
  })

  it('keep extensions as text, which is all that headers can carry', () => {
    const extensions = { flag: true, count: 7, name: 'x' }
    const [outcome] = throughBatch([
      sealMessage('T', '1', '/s', '2026-01-01T00:00:00.000Z', 'application/json', 1, null, {}, extensions),
    ])
    expect(outcome).toMatchObject({ message: { flag: 'true', count: '7', name: 'x', data: null } })
  })

  it('without data have an empty value, other than a tombstone', () => {
    const message = sealMessage(
      'T',
      '1',
      '/s',
      '2026-01-01T00:00:00.000Z',
      'application/json',
      1,
      undefined,
      {},
      undefined,
    )
    expect(throughBatch([message])).toMatchObject([{ kind: 'message', message: { type: 'T', data: undefined } }])
  })

  it('of foreign media types keep their bytes or text', () => {
    const time = '2026-01-01T00:00:00.000Z'
    const bytes = sealMessage('T', '1', '/s', time, 'image/png', 1, Uint8Array.of(1, 255), {}, undefined)
    const plainText = sealMessage('T', '2', '/s', time, 'text/plain', 1, 'grüezi', {}, undefined)
    const [first, second] = throughBatch([bytes, plainText])
    expect(first).toMatchObject({
      kind: 'message',
      message: { datacontenttype: 'image/png', data: Uint8Array.of(1, 255) },
    })
    expect(second).toMatchObject({ kind: 'message', message: { data: Uint8Array.from(Buffer.from('grüezi')) } })
  })
})

describe('decodeMessages', () => {
  function batchOfFive(): Uint8Array {
    const builder = new RecordBatchBuilder()
    for (let index = 0; index < 5; index++) builder.appendRaw({ key: `${index}`, value: null, timestampMs })
    return builder.seal({ baseOffset: 10 })
  }

  it('starts at an offset, stops when told, and says where to go on', () => {
    const seen: number[] = []
    const next = decodeMessages(batchOfFive(), (outcome) => seen.push(outcome.offset) < 2, { fromOffset: 12 })
    expect(seen).toEqual([12, 13])
    expect(next).toBe(14)
    expect(decodeMessages(batchOfFive(), () => true)).toBe(15)
    expect(decodeMessages(batchOfFive(), () => false, { fromOffset: 15 })).toBe(15)
  })

  it('passes over control batches', () => {
    const batch = batchOfFive()
    const control = Buffer.from(batch)
    control.writeInt16BE(0x30, 21)
    const seen: RecordOutcome[] = []
    expect(decodeMessages(control, (outcome) => seen.push(outcome), { verifyCrc: false })).toBe(15)
    expect(seen).toEqual([])
  })

  it('gives out nothing that changes when the batch’s memory is used again', () => {
    const builder = new RecordBatchBuilder()
    builder.appendRaw({ key: Uint8Array.of(0xff), value: 'x', headers: [['h', 'y']], timestampMs })
    builder.appendRaw({ key: 'k', value: null, headers: [['h', 'y']], timestampMs })
    const headers = [
      ['ce_specversion', '1.0'],
      ['ce_id', '1'],
      ['ce_source', '/s'],
      ['ce_type', 'T'],
    ] as const
    builder.appendRaw({ key: 'k', value: 'png', headers: [...headers, ['content-type', 'image/png']], timestampMs })
    const batch = builder.seal()
    const outcomes = outcomesOf(batch)
    const before = JSON.stringify(outcomes)
    batch.fill(0)
    expect(JSON.stringify(outcomes)).toBe(before)
  })

  it('can be called from within its own sink', () => {
    const good = sealMessage('T', '1', '/s', '2026-01-01T00:00:00.000Z', 'application/json', 1, 1, {}, undefined)
    const other = sealMessage('U', '2', '/t', '2026-01-01T00:00:00.000Z', 'application/json', 1, 2, {}, undefined)
    const builder = new RecordBatchBuilder()
    for (let index = 0; index < 3; index++) builder.appendMessage(good, timestampMs)
    const outer = builder.seal()
    builder.appendMessage(other, timestampMs)
    const inner = builder.seal()
    const types: string[] = []
    const take = (outcome: RecordOutcome): void => {
      if (outcome.kind === 'message') types.push(outcome.message.type)
    }
    decodeMessages(outer, (outcome) => {
      take(outcome)
      decodeMessages(inner, take)
    })
    expect(types).toEqual(['T', 'U', 'T', 'U', 'T', 'U'])
  })
})
