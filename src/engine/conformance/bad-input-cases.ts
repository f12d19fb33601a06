import assert from 'node:assert/strict'
import type { WriteBatch } from '../write-batch.ts'
import { type ConformanceCase, keeps } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'

/** Shapes that the compiler would refuse, as JavaScript callers send them. Each is refused as a whole. */
const misshapen: Readonly<Record<string, (f: Fixture, topic: string) => unknown>> = {
  'null for a batch': () => null,
  'text for a batch': () => 'publish',
  'a batch with publish as an object': () => ({ publish: {} }),
  'a batch with null in its list': () => ({ publish: [null] }),
  'a topic that is a number': (f) => ({ publish: [{ topic: 7, messages: f.numbered(1) }] }),
  'a publish without a topic': (f) => ({ publish: [{ messages: f.numbered(1) }] }),
  'messages that are no list': (f, topic) => ({ publish: [{ topic, messages: f.message('T') }] }),
  'a message that is null': (_f, topic) => ({ publish: [{ topic, messages: [null] }] }),
  'a message that is text': (_f, topic) => ({ publish: [{ topic, messages: ['hello'] }] }),
  ...Object.fromEntries(
    Object.entries({
      'no id': { id: undefined },
      'an empty id': { id: '' },
      'a number as its type': { type: 7 },
      'a function as its data': { data: () => 1 },
      'a BigInt in its data': { data: { n: 1n } },
      'a Date in its data': { data: { at: new Date(0) } },
      'NaN in its data': { data: [Number.NaN] },
      'a prototype key in its data': { data: JSON.parse('{"__proto__":1}') as unknown },
      'a number as its key': { partitionkey: 7 },
      'an empty key': { partitionkey: '' },
      'a number as its time': { time: 5 },
      'a time that is none': { time: 'yesterday' },
      'text as its version': { dataversion: 'x' },
      'an object as an extension': { tenant: {} },
      'an extension of no name': { 'my-tenant': 'nl' },
    }).flatMap(([what, part]) => [
      [`a message with ${what}`, (f: Fixture, topic: string) => publishing(topic, { ...f.message('T'), ...part })],
      // Whoever freezes a message has not checked it by that.
      [`a frozen message with ${what}`, (f: Fixture, topic: string) => publishing(topic, frozen(f, part))],
      [`a frozen event with ${what}`, (f: Fixture) => appending(f, frozen(f, part))],
    ]),
  ),
  'an event that is null': (f) => ({ append: [{ stream: f.name('stream'), events: [null] }] }),
  'a batch with a misspelt part': (f, topic) => ({ publsh: [{ topic, messages: f.numbered(1) }] }),
  'a raw record with a number as its value': (_f, topic) => ({
    publish: [{ topic, records: [{ key: null, value: 7 }] }],
  }),
  'a raw record with a number as its key': (_f, topic) => ({ publish: [{ topic, records: [{ key: 7, value: 'v' }] }] }),
  'a raw record with headers that are no pairs': (_f, topic) => ({
    publish: [{ topic, records: [{ key: null, value: 'v', headers: [7] }] }],
  }),
  'a raw record with NaN as its time': (_f, topic) => ({
    publish: [{ topic, records: [{ key: null, value: 'v', timestampMs: Number.NaN }] }],
  }),
  'a stream that is a number': (f) => ({ append: [{ stream: 7, events: [{ message: f.message('T') }] }] }),
  'an append without events': (f) => ({ append: [{ stream: f.name('stream') }] }),
  'an event without a message': (f) => ({ append: [{ stream: f.name('stream'), events: [{}] }] }),
  'tags that are no list': (f) => ({
    append: [{ stream: f.name('stream'), events: [{ message: f.message('T'), tags: 'a' }] }],
  }),
  'a tag that is a number': (f) => ({
    append: [{ stream: f.name('stream'), events: [{ message: f.message('T'), tags: [7] }] }],
  }),
  'a tag that is empty': (f) => ({
    append: [{ stream: f.name('stream'), events: [{ message: f.message('T'), tags: [''] }] }],
  }),
  'a state write of no kind': () => ({ state: [{ namespace: 'n', key: 'k', value: 1 }] }),
  'a state write of a kind that is none': () => ({
    state: [{ kind: '__proto__', namespace: 'n', key: 'k', value: 1 }],
  }),
  'a namespace that is a number': () => ({ state: [{ kind: 'set', namespace: 7, key: 'k', value: 1 }] }),
  'a key that is null': () => ({ state: [{ kind: 'set', namespace: 'n', key: null, value: 1 }] }),
  'an expected revision that is NaN': () => ({
    state: [{ kind: 'set', namespace: 'n', key: 'k', value: 1, expectedRevision: Number.NaN }],
  }),
  'an expected revision below 0': () => ({
    state: [{ kind: 'delete', namespace: 'n', key: 'k', expectedRevision: -1 }],
  }),
  'a timer with an id that is a number': () => ({
    timers: [{ kind: 'schedule', owner: 'o', id: 7, dueMs: 1, payload: null }],
  }),
  'a timer without an owner': () => ({ timers: [{ kind: 'cancel', id: 't' }] }),
  'a timer that fires with NaN as its revision': () => ({
    timers: [{ kind: 'fire', owner: 'o', id: 't', revision: Number.NaN }],
  }),
  'progress without a claim': () => ({ progress: [{ done: [] }] }),
  'progress with done that is no list': () => ({
    progress: [{ claim: { group: 'g', topic: 't', partition: 0, epoch: 1 }, done: 7 }],
  }),
}

function frozen(f: Fixture, part: object): object {
  return Object.freeze({ ...f.message('T'), ...part })
}

function publishing(topic: string, message: object): unknown {
  return { publish: [{ topic, messages: [message] }] }
}

function appending(f: Fixture, message: object): unknown {
  return { append: [{ stream: f.name('stream'), events: [{ message }] }] }
}

/** Names that are hard to keep: each is refused, or kept apart from every other and given back as it was. */
const awkwardNames: readonly string[] = [
  '',
  '\0',
  'a\0b',
  'a\0c',
  '\ud800',
  'a\udfff',
  '\ufffd',
  ' ',
  '\n',
  'x'.repeat(300),
  'y'.repeat(70_000),
  'é',
  'e\u0301',
]

async function kept(f: Fixture, batch: WriteBatch): Promise<boolean> {
  try {
    await f.commit(batch)
    return true
  } catch (error) {
    await refuses(() => Promise.reject(error))
    return false
  }
}

/** Input that is wrong: always a clear error, nothing half-written, and the engine goes on. */
export const badInputCases: readonly ConformanceCase[] = [
  ...Object.entries(misshapen).map(
    ([what, make]): ConformanceCase => ({
      name: `bad input: ${what} is refused, and nothing beside it is written`,
      async run(f) {
        const [topic, namespace] = [await f.topic(), f.name('state')]
        const bad = make(f, topic)
        await refuses(() => f.engine.commit(bad as WriteBatch))
        if (typeof bad === 'object' && bad !== null) {
          const beside: WriteBatch = {
            publish: [{ topic, messages: f.numbered(1) }],
            ...(f.keeps('state') ? { state: [{ kind: 'set', namespace, key: 'k', value: 1 }] } : {}),
          }
          const both = { ...beside, ...bad } as Record<string, unknown[]>
          for (const [kind, writes] of Object.entries(beside) as [string, unknown[]][]) {
            if (Array.isArray(both[kind]) && both[kind] !== writes) both[kind] = [...writes, ...both[kind]]
          }
          await refuses(() => f.engine.commit(both))
        }
        assert.equal(await f.recordCount(topic), 0)
        if (f.keeps('state')) assert.equal(await f.engine.state.count(namespace), 0)
        await f.publish(topic, f.numbered(1))
        assert.equal(await f.recordCount(topic), 1)
      },
    }),
  ),
  {
    name: 'bad input: awkward keys of state are refused or kept apart',
    requires: keeps('state'),
    async run(f) {
      const namespace = f.name('state')
      const held = new Map<string, number>()
      for (const [index, key] of awkwardNames.entries()) {
        if (await kept(f, { state: [{ kind: 'set', namespace, key, value: index, expectedRevision: 0 }] }))
          held.set(key, index)
      }
      for (const [key, index] of held)
        assert.deepEqual(await f.engine.state.get(namespace, key), { key, value: index, revision: 1 })
      assert.equal(await f.engine.state.count(namespace), held.size)
      assert.deepEqual(new Set((await f.engine.state.range(namespace)).map(({ key }) => key)), new Set(held.keys()))
      assert.ok(held.has('é') && held.has('e\u0301') && held.has('x'.repeat(300)))
    },
  },
  {
    name: 'bad input: awkward namespaces are refused or kept apart',
    requires: keeps('state'),
    async run(f) {
      const base = f.name('state')
      const names = ['', ...awkwardNames.slice(1).map((name) => base + name)]
      for (const [index, namespace] of names.entries()) {
        if (
          !(await kept(f, {
            state: [
              { kind: 'clear', namespace },
              { kind: 'set', namespace, key: 'k', value: index },
            ],
          }))
        )
          continue
        assert.equal(await f.value(namespace, 'k'), index)
        assert.equal(await f.engine.state.count(namespace), 1)
        await f.commit({ state: [{ kind: 'clear', namespace }] })
      }
    },
  },
  {
    name: 'bad input: awkward stream names are refused or kept apart',
    requires: keeps('events'),
    async run(f) {
      const base = f.name('stream')
      for (const [index, end] of awkwardNames.entries()) {
        const stream = end === '' ? '' : base + end
        const message = f.message(`T${index}`)
        if (!(await kept(f, { append: [{ stream, expected: 'none', events: [{ message }] }] }))) continue
        const events = await f.stream(stream)
        assert.deepEqual(
          events.map((event) => [event.stream, event.version, event.message.id]),
          [[stream, 1, message.id]],
        )
        if (stream === '') await f.engine.events.deleteStream(stream)
      }
    },
  },
  {
    name: 'bad input: awkward tags are refused or kept apart',
    requires: keeps('events'),
    async run(f) {
      const base = f.name('tag')
      for (const end of awkwardNames) {
        const tag = end === '' ? '' : base + end
        const condition = { query: { items: [{ tags: [tag] }] }, after: 0 }
        const message = f.message('T')
        if (!(await kept(f, { append: [{ stream: f.name('stream'), events: [{ message, tags: [tag] }], condition }] })))
          continue
        const found = await Array.fromAsync(f.engine.events.readAll({ query: condition.query }))
        assert.deepEqual(
          found.map((event) => [event.message.id, event.tags]),
          [[message.id, [tag]]],
        )
      }
    },
  },
  {
    name: 'bad input: awkward owners and ids of timers are refused or kept apart',
    requires: keeps('timers'),
    async run(f) {
      const base = f.name('owner')
      for (const [index, end] of awkwardNames.entries()) {
        for (const [owner, id] of [
          [base + end, 't'],
          [base, end],
        ] as const) {
          if (
            !(await kept(f, {
              timers: [{ kind: 'schedule', owner, id, dueMs: index, payload: end.slice(0, 5).toWellFormed() }],
            }))
          )
            continue
          const timer = (await f.engine.timers.list({ owner, limit: 1000 })).find((one) => one.id === id)
          assert.deepEqual([timer?.owner, timer?.id, timer?.dueMs], [owner, id, index])
        }
      }
    },
  },
  {
    name: 'bad input: awkward partition keys are refused or come back as they were',
    async run(f) {
      const topic = await f.topic()
      const expected: string[] = []
      for (const key of awkwardNames) {
        if (await kept(f, { publish: [{ topic, messages: [f.message('T', key.length, { partitionkey: key })] }] }))
          expected.push(key)
      }
      const read = (await f.read(topic)).map((record) =>
        record.kind === 'message' ? record.message.partitionkey : record.kind,
      )
      assert.deepEqual(read, expected)
    },
  },
  {
    name: 'bad input: reading with names that are none is an error or finds nothing',
    async run(f) {
      const seven = 7 as unknown as string
      const calls: readonly (() => Promise<unknown>)[] = [
        () => f.engine.state.get(seven, 'k'),
        () => f.engine.state.get('n', seven),
        () => f.engine.state.getMany('n', [seven]),
        () => f.engine.state.getMany('n', 'k' as never),
        () => f.engine.state.range('n', { prefix: seven }),
        () => f.engine.topics.describe(seven),
        () => f.engine.events.describeStream(seven),
        () => Array.fromAsync(f.engine.events.readStream(seven)),
        () => f.engine.timers.due(seven, 0),
        () => f.engine.timers.due('o', Number.NaN),
        () => f.engine.timers.due('o', 0, Number.NaN),
        () => f.engine.timers.list({ limit: -1 }),
        () => f.engine.groups.describe(seven),
        () => f.engine.topics.registerProducer(seven),
        () => f.engine.topics.registerProducer(''),
      ]
      for (const [index, call] of calls.entries()) {
        const found = await call().catch((error: unknown) => refuses(() => Promise.reject(error)))
        const nothing =
          found instanceof Error ||
          found === undefined ||
          (Array.isArray(found) && found.every((one) => one === undefined))
        assert.ok(nothing, `call ${index} found ${JSON.stringify(found)}`)
      }
    },
  },
]
