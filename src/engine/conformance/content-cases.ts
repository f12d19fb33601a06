import assert from 'node:assert/strict'
import { encodeKafkaBinary, type Message } from '../../message/index.ts'
import type { RecordOutcome } from '../../record/index.ts'
import { type ConformanceCase, survivesClose } from './conformance-case.ts'
import { messageOf } from './fixture.ts'

const awkwardTexts = [
  '',
  ' ',
  'é',
  '日本語',
  '😀',
  'a\u0000b',
  '\u2028',
  '"\\\n\t',
  '\ufffd',
  '\uffff',
  '__proto__',
  'x'.repeat(40_000),
]

const awkwardData: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  Number.MAX_SAFE_INTEGER,
  Number.MIN_VALUE,
  1e308,
  [],
  {},
  [[[[]]]],
  { '': 1, a: { b: [null, { c: 'd' }] } },
  ...awkwardTexts,
  ...awkwardTexts.filter((text) => text !== '__proto__').map((text) => ({ [text]: [text] })),
]

function bytesText(bytes: Uint8Array | string | null | undefined): string | null {
  return bytes === null || bytes === undefined ? null : Buffer.from(bytes).toString()
}

function rawText(record: RecordOutcome | undefined): string | null {
  assert.ok(record !== undefined && record.kind !== 'message', 'a raw record that is no CloudEvents message')
  return record.kind === 'tombstone' ? null : bytesText(record.value)
}

/** What is read is what was written: envelopes, raw records, headers, timestamps, compression. */
export const contentCases: readonly ConformanceCase[] = [
  {
    name: 'content: an envelope comes back whole',
    async run(f) {
      const topic = await f.topic()
      const message = {
        specversion: '1.0',
        id: f.name('id'),
        source: '/shop/payment?a=b',
        type: 'Payment.Received',
        time: '2026-02-03T04:05:06.789Z',
        datacontenttype: 'application/json',
        dataversion: 3,
        data: { amount: '12.50', lines: [1, 2] },
        subject: 'order/7',
        partitionkey: 'ключ',
        correlationid: 'c-1',
        causationid: 'c-2',
        traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
        tracestate: 'rojo=00f067aa0ba902b7',
        sequence: '0001',
        dataschema: 'https://example.com/schema',
        dataclassification: 'confidential',
        tenant: 'blau & weiß',
      } as const
      await f.publish(topic, [message])
      const [record] = await f.read(topic)
      assert.ok(record)
      assert.deepEqual({ ...messageOf(record) }, { ...message })
      assert.equal(bytesText(record.key), 'ключ')
    },
  },
  {
    name: 'content: any JSON data comes back unchanged',
    async run(f) {
      const topic = await f.topic()
      await f.publish(
        topic,
        awkwardData.map((data) => f.message('Awkward', data)),
      )
      assert.deepEqual(await f.data(topic), awkwardData)
    },
  },
  {
    name: 'content: data with an own key __proto__ is refused or kept as data, and never becomes a prototype',
    async run(f) {
      const topic = await f.topic()
      const data = JSON.parse('{"__proto__":{"polluted":true}}') as object
      await f.engine.commit({ publish: [{ topic, messages: [f.message('Awkward', data)] }] }).catch(() => undefined)
      for (const record of await f.read(topic)) {
        if (record.kind === 'message') assert.equal((record.message.data as { polluted?: unknown }).polluted, undefined)
      }
      assert.equal(({} as { polluted?: unknown }).polluted, undefined)
    },
  },
  {
    name: 'content: what one reader does to a message, no other reader sees',
    async run(f) {
      const topic = await f.topic()
      await f.publish(topic, [f.message('Shared', { list: [1] })])
      const spoil = (message: Message): void => {
        try {
          ;(message.data as { list: number[] }).list.push(2)
        } catch (error) {
          assert.ok(error instanceof TypeError)
        }
      }
      for (const record of await f.read(topic)) spoil(messageOf(record))
      assert.deepEqual(await f.data(topic), [{ list: [1] }])
    },
  },
  {
    name: 'content: what somebody changes after the commit, though it looked frozen, no reader sees',
    async run(f) {
      const topic = await f.topic()
      const list = [1]
      await f.publish(topic, [f.message('Shared', Object.freeze({ list }))])
      list.push(2)
      assert.deepEqual(await f.data(topic), [{ list: [1] }])
    },
  },
  {
    name: 'content: what was read may be published again, as it is, as a copy of it, and from another thread',
    async run(f) {
      const [from, to] = [await f.topic(), await f.topic()]
      const bytes = { datacontenttype: 'image/png', data: Uint8Array.of(0, 255) }
      await f.publish(from, [...f.numbered(1), f.message('Nested', { list: [{ a: 1 }] }), f.message('Bytes', 0, bytes)])
      const read = (await f.read(from)).map(messageOf)
      assert.equal(read.length, 3)
      for (const message of read) {
        const changed = { ...message, tenant: 'nl' }
        await f.publish(to, [message, { ...message }, Object.freeze({ ...message }), structuredClone(message), changed])
      }
      const expected = read.flatMap((message) => [message, message, message, message, { ...message, tenant: 'nl' }])
      assert.deepEqual((await f.read(to)).map(messageOf), expected)
    },
  },
  {
    name: 'content: raw keys, values and headers come back byte by byte',
    async run(f) {
      const topic = await f.topic()
      const value = Buffer.from([0, 255, 10, 13, 128])
      const { published } = await f.commit({
        publish: [
          {
            topic,
            records: [
              { key: 'text', value: 'plain' },
              {
                key: null,
                value,
                headers: [
                  ['a', 'b'],
                  ['a', Buffer.from([1, 0])],
                  ['', null],
                  ['ü', ''],
                ],
              },
              { key: Buffer.from([255, 254]), value: '' },
              { key: '', value: null, headers: [['why', 'gone']] },
            ],
          },
        ],
      })
      assert.deepEqual(
        published.map(({ offset }) => offset),
        [0, 1, 2, 3],
      )
      const [plain, bytes, empty, tombstone] = await f.read(topic)
      assert.deepEqual([bytesText(plain?.key), rawText(plain)], ['text', 'plain'])
      assert.ok(bytes?.kind === 'undecodable')
      assert.deepEqual([bytes.key, Buffer.from(bytes.value).toString('hex')], [null, value.toString('hex')])
      assert.deepEqual(
        bytes.headers.map(([name, content]) => [name, content && Buffer.from(content).toString('hex')]),
        [
          ['a', '62'],
          ['a', '0100'],
          ['', null],
          ['ü', ''],
        ],
      )
      assert.deepEqual([...Buffer.from(empty?.key ?? '')], [255, 254])
      assert.equal(rawText(empty), '')
      assert.ok(tombstone?.kind === 'tombstone')
      assert.deepEqual([bytesText(tombstone.key), bytesText(tombstone.headers[0]?.[1])], ['', 'gone'])
    },
  },
  {
    name: 'content: a record without a value whose headers are those of an event is that event, too',
    async run(f) {
      const topic = await f.topic()
      const { headers } = encodeKafkaBinary(f.message('Left', null, { partitionkey: 'a' }))
      await f.commit({ publish: [{ topic, partition: 0, records: [{ key: 'a', value: null, headers }] }] })
      const [record] = await f.read(topic)
      assert.ok(record?.kind === 'tombstone')
      assert.deepEqual([record.message?.type, record.message?.data], ['Left', undefined])
      assert.equal(record.headers.length, headers.length)
    },
  },
  {
    name: 'content: a record that is no message leaves its neighbours readable',
    async run(f) {
      const topic = await f.topic()
      const foreign = {
        key: 'k',
        value: Buffer.from('{"cut'),
        headers: [
          ['ce_specversion', '1.0'],
          ['ce_id', '1'],
          ['ce_source', '/x'],
          ['ce_type', 'T'],
          ['content-type', 'application/json'],
        ],
      } as const
      await f.commit({ publish: [{ topic, messages: f.numbered(1), records: [foreign] }] })
      await f.publish(topic, f.numbered(1, 1))
      assert.deepEqual(
        (await f.read(topic)).map(({ kind }) => kind),
        ['message', 'undecodable', 'message'],
      )
    },
  },
  {
    name: 'content: a raw record has the timestamp that it was given, or the time of its commit',
    async run(f) {
      const topic = await f.topic()
      const before = f.nowMs()
      await f.commit({
        publish: [
          {
            topic,
            records: [
              { key: 'a', value: '', timestampMs: 5 },
              { key: 'b', value: '' },
            ],
          },
        ],
      })
      const [given, own] = await f.read(topic)
      assert.equal(given?.timestampMs, 5)
      assert.ok(own !== undefined && own.timestampMs >= before && own.timestampMs <= f.nowMs())
    },
  },
  ...(['gzip', 'zstd'] as const).map(
    (compression): ConformanceCase => ({
      name: `content: ${compression} makes it smaller and loses nothing`,
      requires: ({ capabilities }) =>
        capabilities.topics.compression.includes(compression) || `this engine does not compress with ${compression}`,
      async run(f) {
        const plain = await f.topic()
        const packed = await f.topic({ compression })
        const messages = f.numbered(300, 0, { subject: 'the same again and again' })
        await Promise.all([f.publish(plain, messages), f.publish(packed, messages)])
        const [a, b] = [await f.read(plain), await f.read(packed)]
        assert.deepEqual(
          b.map((record) => [record.offset, messageOf(record)]),
          a.map((record) => [record.offset, messageOf(record)]),
        )
        const bytes = async (topic: string) =>
          (await f.engine.topics.describe(topic))?.partitions[0]?.bytes ?? Number.NaN
        const [plainBytes, packedBytes] = [await bytes(plain), await bytes(packed)]
        assert.ok(packedBytes > 0 && packedBytes < plainBytes / 2, `${packedBytes} bytes instead of ${plainBytes}`)
      },
    }),
  ),
  {
    name: 'content: a topic whose compression was changed reads as one',
    requires: ({ capabilities }) =>
      capabilities.topics.compression.length > 1 || 'this engine has one compression only',
    async run(f) {
      const topic = await f.topic()
      let first = 0
      for (const compression of f.engine.capabilities.topics.compression) {
        await f.engine.topics.alter(topic, { compression })
        await f.publish(topic, f.numbered(3, first))
        first += 3
      }
      assert.deepEqual(
        await f.data(topic),
        Array.from({ length: first }, (_, index) => index),
      )
    },
  },
  {
    name: 'content: two full reads agree, also after a restart',
    requires: survivesClose,
    async run(f) {
      const topic = await f.topic({ compression: 'none' })
      for (let first = 0; first < 40; first += 4) await f.publish(topic, f.numbered(4, first))
      const image = async () =>
        (await f.read(topic)).map((record) => [record.offset, record.timestampMs, messageOf(record)])
      const before = await image()
      assert.deepEqual(await image(), before)
      await f.reopen()
      assert.deepEqual(await image(), before)
    },
  },
]
