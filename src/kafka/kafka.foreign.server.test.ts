import { Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Engine } from '../engine/index.ts'
import type { Message } from '../message/index.ts'
import { DecompressedTooLargeError } from '../record/index.ts'
import { kafka } from './index.ts'
import {
  eventually,
  firstAssignment,
  freshName,
  joining,
  serversWanted,
  sharedServer,
  texts,
  valuesOf,
} from './real-server.test-support.ts'

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('beside other clients', () => {
  let brokers: string[] = []
  let engine: Engine
  beforeAll(async () => {
    brokers = [...(await sharedServer()).bootstrapBrokers]
    engine = await kafka({ brokers, heartbeatIntervalMs: 100 }).open()
  }, 600_000)
  afterAll(() => engine?.close())

  const topicOf = async (partitions = 1): Promise<string> => {
    const topic = freshName('foreign')
    await engine.topics.create(topic, { partitions })
    return topic
  }
  const kafkajs = (): Kafka => new Kafka({ brokers, clientId: 'foreign', logLevel: logLevel.NOTHING })

  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)(
    'reads what a producer compressed with %s',
    async (compression) => {
      const topic = await topicOf()
      const producer = new Producer({
        clientId: 'foreign',
        bootstrapBrokers: brokers,
        serializers: stringSerializers,
        compression,
      })
      const values = Array.from({ length: 50 }, (_, n) => `value ${n} `.repeat(20))
      await producer.send({ messages: values.map((value) => ({ topic, key: 'k', value })), acks: -1 })
      await producer.close()
      expect(await valuesOf(engine, topic)).toEqual(values)
    },
  )

  it.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)(
    'takes a bomb of %s for one undecodable record, and reads on behind it',
    async (compression) => {
      const topic = freshName('foreign')
      // The best that snappy does is 21 to 1.
      await engine.topics.create(topic, { partitions: 1, recordBytesMax: 16 * 1024 * 1024 })
      const producer = new Producer({ clientId: 'foreign', bootstrapBrokers: brokers, compression })
      const send = (value: Buffer) => producer.send({ messages: [{ topic, key: Buffer.from('k'), value }], acks: -1 })
      await send(Buffer.from('before'))
      // The broker takes it: what counts there is its size on the wire.
      await send(Buffer.alloc(129 * 1024 * 1024))
      await send(Buffer.from('behind'))
      await producer.close()
      const found: string[] = []
      for (let offset = 0; offset < 3; ) {
        const page = await engine.topics.read({ topic, partition: 0, offset })
        for (const record of page.records) {
          if (record.kind !== 'undecodable') throw new Error(`found a ${record.kind}`)
          const { cause } = record.error
          found.push(cause instanceof DecompressedTooLargeError ? 'bomb' : Buffer.from(record.value).toString())
        }
        offset = page.nextOffset
      }
      expect(found).toEqual(['before', 'bomb', 'behind'])
    },
    120_000,
  )

  it('writes CloudEvents in structured mode if it is told to, and reads them', async () => {
    const topic = await topicOf()
    const message: Message = {
      specversion: '1.0',
      id: 'e1',
      source: '/shop',
      type: 'Placed',
      time: '2026-01-01T00:00:00.000Z',
      datacontenttype: 'application/json',
      dataversion: 2,
      partitionkey: 'k1',
      data: { total: 7 },
    }
    await using structured = await kafka({ brokers, contentMode: 'structured' }).open()
    const publish = [{ topic, messages: [message], records: texts('beside') }]
    expect(await structured.commit({ publish })).toMatchObject({ ok: true })
    await expect(structured.commit({ publish: [{ topic, messages: [{} as Message] }] })).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    })
    const { records } = await engine.topics.read({ topic, partition: 0, offset: 0 })
    expect(records.map((record) => record.kind)).toEqual(['message', 'undecodable'])
    expect(records[0]).toMatchObject({ key: 'k1', message })
    const consumer = kafkajs().consumer({ groupId: freshName('group') })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const seen: [type: string | undefined, document: Record<string, unknown>][] = []
    await consumer.run({
      eachMessage: async ({ message: { key, headers, value } }) => {
        if (key === null) return
        seen.push([headers?.['content-type']?.toString(), JSON.parse(String(value)) as Record<string, unknown>])
      },
    })
    await eventually('it is there', () => seen.length > 0)
    await consumer.disconnect()
    expect(seen).toEqual([['application/cloudevents+json; charset=utf-8', expect.objectContaining({ ...message })]])
  })

  it('reads CloudEvents in structured mode and in binary mode', async () => {
    const topic = await topicOf()
    const producer = kafkajs().producer()
    await producer.connect()
    const event = { specversion: '1.0', id: 'e1', source: '/elsewhere', type: 'Placed', data: { total: 7 } }
    await producer.send({
      topic,
      messages: [
        { value: JSON.stringify(event), headers: { 'content-type': 'application/cloudevents+json; charset=UTF-8' } },
        {
          key: 'k',
          value: '{"total":8}',
          headers: {
            ce_specversion: '1.0',
            ce_id: 'e2',
            ce_source: '/elsewhere',
            ce_type: 'Placed',
            'content-type': 'application/json',
          },
        },
        { key: 'k', value: null },
      ],
    })
    await producer.disconnect()
    const { records } = await engine.topics.read({ topic, partition: 0, offset: 0 })
    expect(
      records.map((record) => (record.kind === 'message' ? [record.message.id, record.message.data] : record.kind)),
    ).toEqual([['e1', { total: 7 }], ['e2', { total: 8 }], 'tombstone'])
  })

  it('reads nothing of a transaction that was aborted, and waits for one that is open', async () => {
    const topic = await topicOf()
    const producer = kafkajs().producer({ transactionalId: freshName('txn'), maxInFlightRequests: 1, idempotent: true })
    await producer.connect()
    const aborted = await producer.transaction()
    await aborted.send({ topic, messages: [{ value: 'aborted' }] })
    await aborted.abort()
    const open = await producer.transaction()
    await open.send({ topic, messages: [{ value: 'late' }] })
    await engine.commit({ publish: [{ topic, records: texts('ours') }] })
    const offset = await engine.topics.locate(topic, 0, 'earliest')
    const reading = engine.topics.read({ topic, partition: 0, offset, waitMs: 60_000 })
    await new Promise((resolve) => setTimeout(resolve, 300))
    await open.commit()
    await reading
    expect(await valuesOf(engine, topic)).toEqual(['late', 'ours'])
    await producer.disconnect()
  })

  it('tells the lag of a group while a transaction of another client is open', async () => {
    const topic = await topicOf()
    const group = freshName('group')
    const [admin, producer] = [
      kafkajs().admin(),
      kafkajs().producer({ transactionalId: freshName('txn'), maxInFlightRequests: 1, idempotent: true }),
    ]
    await Promise.all([admin.connect(), producer.connect()])
    await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '0' }] })
    await engine.commit({ publish: [{ topic, records: texts('before') }] })
    const open = await producer.transaction()
    await open.send({ topic, messages: [{ value: 'open' }] })
    await engine.commit({ publish: [{ topic, records: texts('behind') }] })
    expect((await engine.groups.describe(group))?.lag).toMatchObject([{ topic, next: 0, lagMessages: 3 }])
    await open.commit()
    await Promise.all([admin.disconnect(), producer.disconnect()])
  })

  it('writes transactions of which others see all or nothing', async () => {
    const topic = await topicOf(2)
    for (let n = 0; n < 5; n++) {
      await engine.commit({ publish: [0, 1].map((partition) => ({ topic, partition, records: texts(`v${n}`) })) })
    }
    const consumer = new Consumer({
      clientId: 'foreign',
      bootstrapBrokers: brokers,
      groupId: freshName('group'),
      deserializers: stringDeserializers,
    })
    const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: false, isolationLevel: 1 })
    const values: string[] = []
    for await (const { value } of stream) {
      values.push(value)
      if (values.length === 10) break
    }
    await consumer.close(true)
    expect(values.toSorted()).toEqual(['v0', 'v0', 'v1', 'v1', 'v2', 'v2', 'v3', 'v3', 'v4', 'v4'])
  })

  it('goes on from offsets that another client committed, and shows the lag of its group', async () => {
    const topic = await topicOf()
    await engine.commit({ publish: [{ topic, records: texts('a', 'b', 'c') }] })
    const group = freshName('group')
    const admin = kafkajs().admin()
    await admin.connect()
    await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '2' }] })
    await admin.disconnect()
    expect((await engine.groups.describe(group))?.lag).toMatchObject([{ topic, next: 2, lagMessages: 1 }])
    const noting = await joining(engine, { group, topics: [topic] })
    expect((await firstAssignment(noting)).progress).toEqual({ next: 2, done: [] })
    await noting.member.leave()
  })

  it('shows the members of a group of another client', async () => {
    const topic = await topicOf(2)
    const group = freshName('group')
    const consumer = kafkajs().consumer({ groupId: group })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ eachMessage: async () => undefined })
    await eventually('both partitions', async () => {
      const members = (await engine.groups.describe(group))?.members ?? []
      return members.flatMap(({ claims }) => claims).length === 2
    })
    await expect(engine.groups.delete(group)).rejects.toMatchObject({ code: 'GROUP_ACTIVE' })
    await consumer.disconnect()
  })

  it('has a record of each message that others read as a CloudEvent', async () => {
    const topic = await topicOf()
    const message = Object.freeze({
      specversion: '1.0',
      id: 'm1',
      source: '/shop',
      type: 'Placed',
      time: '2026-01-01T00:00:00.000Z',
      datacontenttype: 'application/json',
      dataversion: 1,
      partitionkey: 'k',
      data: { total: 9 },
    }) as unknown as Message
    await engine.commit({ publish: [{ topic, messages: [message] }] })
    const consumer = kafkajs().consumer({ groupId: freshName('group') })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const seen = Promise.withResolvers<Record<string, unknown>>()
    await consumer.run({
      eachMessage: async ({ message: { key, value, headers } }) => {
        const { ce_id, ce_type } = headers ?? {}
        seen.resolve({ key: String(key), value: String(value), id: String(ce_id), type: String(ce_type) })
      },
    })
    expect(await seen.promise).toEqual({ key: 'k', value: '{"total":9}', id: 'm1', type: 'Placed' })
    await consumer.disconnect()
  })
})
