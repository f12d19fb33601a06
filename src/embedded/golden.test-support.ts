import { join } from 'node:path'
import type { Engine, RawRecord, StoredEvent } from '../engine/index.ts'
import { VirtualClock } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import type { RecordOutcome } from '../record/index.ts'

/** Where the files of earlier format versions stand, and what was in them. */
export const goldenPath: string = join(import.meta.dirname, 'fixtures')

/** The moment at which golden files were written, by their own clock. */
export const goldenClock = (): VirtualClock => new VirtualClock(1_770_000_000_000)

let messageCount = 0

function message(type: string, data: unknown, more: Partial<Message> = {}): Message {
  const id = `019c1a5e-0000-7000-8000-${String(messageCount++).padStart(12, '0')}`
  return Object.freeze({
    specversion: '1.0',
    id,
    source: '/golden',
    type,
    time: '2026-02-02T02:40:00.000Z',
    datacontenttype: 'application/json',
    dataversion: 1,
    data,
    ...more,
  } as Message)
}

const text = 'The quick brown fox jumps over the lazy dog. '.repeat(6)

/** Fills an empty engine with something of everything that a file can hold. */
export async function fillGolden(engine: Engine, clock: VirtualClock): Promise<void> {
  messageCount = 0
  await fillTopics(engine, clock)
  await fillEvents(engine, clock)
  for (const value of [1, 'two', { three: [3, null, true], ä: '😀' }]) {
    await engine.commit({ state: [{ kind: 'set', namespace: 'shop/views', key: 'k', value }] })
  }
  await engine.commit({
    state: [
      { kind: 'set', namespace: 'shop/views', key: 'äö', value: null },
      { kind: 'set', namespace: '__proto__', key: 'constructor', value: [] },
      { kind: 'set', namespace: 'gone', key: 'k', value: 1 },
    ],
    timers: [
      { kind: 'schedule', owner: 'saga', id: 'a', dueMs: 1_770_000_900_000, payload: { step: 'pay' } },
      { kind: 'schedule', owner: 'saga', id: 'b', dueMs: 1_770_000_100_000, payload: null },
      { kind: 'schedule', owner: 'other', id: 'a', dueMs: 1_770_000_500_000, payload: 'x' },
    ],
  })
  await engine.commit({
    state: [{ kind: 'clear', namespace: 'gone' }],
    timers: [
      { kind: 'cancel', owner: 'other', id: 'a' },
      { kind: 'schedule', owner: 'saga', id: 'b', dueMs: 1_770_000_200_000, payload: 7 },
    ],
  })
}

async function fillTopics(engine: Engine, clock: VirtualClock): Promise<void> {
  for (const compression of ['none', 'gzip', 'zstd'] as const) {
    const topic = `orders.${compression}`
    await engine.topics.create(topic, { partitions: 2, compression, retentionMs: 604_800_000 })
    for (let n = 0; n < 6; n++) {
      const messages = [message('OrderPlaced', { n, text }, { partitionkey: `customer-${n}` })]
      await engine.commit({ publish: [{ topic, messages }] })
      await clock.advance(1_000)
    }
    const records: RawRecord[] = [
      { key: null, value: Uint8Array.of(0, 1, 254, 255) },
      {
        key: Uint8Array.of(7),
        value: null,
        headers: [
          ['trace', 'abc'],
          ['empty', null],
        ],
        timestampMs: 1_769_000_000_000,
      },
    ]
    await engine.commit({ publish: [{ topic, partition: 1, records }] })
  }
  await engine.topics.truncate('orders.gzip', 1, 2)

  const producer = await engine.topics.registerProducer('importer')
  await engine.topics.registerProducer('importer')
  const current = { ...producer, epoch: producer.epoch + 1 }
  for (const [sequence, count] of [
    [0, 2],
    [2, 1],
  ] as const) {
    const messages = Array.from({ length: count }, (_, i) => message('Imported', sequence + i))
    await engine.commit({
      publish: [{ topic: 'orders.none', partition: 0, messages, producer: { ...current, sequence } }],
    })
  }

  await engine.topics.create('customers', { partitions: 1, cleanup: 'compact', tombstoneRetentionMs: 0 })
  for (const [key, value] of [
    ['a', '1'],
    ['b', '1'],
    ['a', '2'],
    ['b', null],
    ['c', '1'],
  ] as const) {
    await engine.commit({ publish: [{ topic: 'customers', records: [{ key, value }] }] })
  }
  await engine.commit({
    publish: [{ topic: 'customers', records: ['d', 'a', 'e'].map((key) => ({ key, value: '3' })) }],
  })
  await clock.advance(10_000)
  await engine.topics.maintain()
  await engine.topics.create('deleted', {})
  await engine.topics.delete('deleted')
  await fillProgress(engine)
}

async function fillProgress(engine: Engine): Promise<void> {
  const member = await engine.groups.join({
    group: 'billing',
    topics: ['orders.none', 'customers'],
    onAssigned: () => undefined,
    onRevoked: () => Promise.resolve(),
    onLost: () => undefined,
  })
  for (const claim of member.claims) {
    const done =
      claim.topic === 'customers'
        ? [{ from: 0, to: 3 }]
        : [
            { from: 0, to: 1 },
            { from: 2, to: 3 },
          ]
    await engine.commit({ progress: [{ claim, done }] })
  }
  await member.leave()
}

async function fillEvents(engine: Engine, clock: VirtualClock): Promise<void> {
  for (const [stream, count] of [
    ['account/1', 5],
    ['account/2', 3],
    ['gone', 2],
    ['closed', 1],
  ] as const) {
    for (let n = 1; n <= count; n++) {
      const tags = n % 2 === 0 ? [] : ['even', `stream:${stream}`]
      await engine.commit({
        append: [
          { stream, expected: n - 1, events: [{ message: message(n === 1 ? 'Opened' : 'Changed', { n }), tags }] },
        ],
      })
      await clock.advance(500)
    }
  }
  await engine.commit({
    append: [
      { stream: 'account/2', events: [{ message: message('Changed', 'by hand', { id: 'no-uuid' }), tags: ['ä'] }] },
    ],
  })
  await engine.events.truncateStream('account/1', 3)
  await engine.events.deleteStream('gone')
  await engine.events.deleteStream('closed', { tombstone: true })
}

/** Everything that an engine holds, as plain data that can stand in a file. */
export async function readGolden(engine: Engine): Promise<unknown> {
  const topics = []
  for (const description of await engine.topics.list()) {
    const records = []
    for (const { partition, earliest, latest } of description.partitions) {
      for (let offset = earliest; offset < latest; ) {
        const read = await engine.topics.read({ topic: description.name, partition, offset })
        records.push(...read.records.map((record) => ({ partition, ...plainRecord(record) })))
        offset = read.nextOffset
      }
    }
    topics.push({ ...description, records })
  }
  const events = await Array.fromAsync(engine.events.readAll())
  const tagged = await Array.fromAsync(
    engine.events.readAll({ query: { items: [{ types: ['Changed'], tags: ['even'] }] } }),
  )
  const namespaces = await engine.state.namespaces()
  return JSON.parse(
    JSON.stringify({
      topics,
      groups: await Promise.all((await engine.groups.list()).map((group) => engine.groups.describe(group))),
      lastPosition: await engine.events.lastPosition(),
      streams: await engine.events.listStreams(),
      events: events.map(({ message: one, ...rest }: StoredEvent) => ({ ...rest, message: plainMessage(one) })),
      tagged: tagged.map(({ position }) => position),
      state: await Promise.all(namespaces.map(async (name) => [name, await engine.state.range(name)])),
      timers: await engine.timers.list(),
    }),
  )
}

function plainRecord(record: RecordOutcome): object {
  const { offset, timestampMs, kind } = record
  if (record.kind === 'message') return { kind, offset, timestampMs, message: plainMessage(record.message) }
  const { value, headers } = record as unknown as { value: Uint8Array | null; headers: readonly unknown[] }
  return { kind, offset, timestampMs, key: plainBytes(record.key), value: plainBytes(value), headers }
}

function plainMessage(one: Message): object {
  return { ...one, data: one.data }
}

function plainBytes(bytes: Uint8Array | string | null | undefined): unknown {
  return bytes instanceof Uint8Array ? { base64: Buffer.from(bytes).toString('base64') } : bytes
}
