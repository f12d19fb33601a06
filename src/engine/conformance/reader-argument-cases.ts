import assert from 'node:assert/strict'
import type { WriteBatch } from '../write-batch.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'

/** Calls as JavaScript callers make them, which the compiler would refuse. */
type Call = (f: Fixture, topic: string) => unknown

/** What stands for an argument that was forgotten or mixed up. */
const wrong = [undefined, null, 7, 'x', true] as const

/** What stands for options that were mixed up: none at all is fine. */
const wrongOptions = [null, 7, 'x', []] as const

/** Takes what a call answers to its end, whatever it is. */
async function exhausted(answer: unknown): Promise<unknown> {
  const iterable = answer as Partial<AsyncIterable<unknown>> | null | undefined
  return typeof iterable === 'object' && iterable?.[Symbol.asyncIterator] !== undefined
    ? Array.fromAsync(iterable as AsyncIterable<unknown>)
    : answer
}

function each<T>(values: readonly T[], what: string, call: (value: T, f: Fixture, topic: string) => unknown) {
  return values.map((value): [string, Call] => {
    const shown = typeof value === 'symbol' ? 'a symbol' : (JSON.stringify(value) ?? 'undefined')
    return [`${what} ${shown}`, (f, topic) => call(value, f, topic)]
  })
}

const calls: readonly (readonly [string, Call])[] = [
  ...each(wrong, 'topics.read with request', (request, f) => f.engine.topics.read(request as never)),
  ...each([null, 'x', -1, 0.5, undefined], 'topics.read with offset', (offset, f, topic) =>
    f.engine.topics.read({ topic, partition: 0, offset: offset as never }),
  ),
  ...each(['x', -1, 0, null], 'topics.read with bytesMax', (bytesMax, f, topic) =>
    f.engine.topics.read({ topic, partition: 0, offset: 0, bytesMax: bytesMax as never }),
  ),
  ...each(['x', -1, null, Number.NaN], 'topics.read with waitMs', (waitMs, f, topic) =>
    f.engine.topics.read({ topic, partition: 0, offset: 0, waitMs: waitMs as never }),
  ),
  ...each([null, 7, {}], 'topics.read with signal', (signal, f, topic) =>
    f.engine.topics.read({ topic, partition: 0, offset: 0, signal: signal as never }),
  ),
  ...each([undefined, null, 7, 'last', {}, { offset: -1 }, { timestampMs: 'x' }], 'topics.locate to', (to, f, topic) =>
    f.engine.topics.locate(topic, 0, to as never),
  ),
  ...each(wrong, 'topics.locate in partition', (partition, f, topic) =>
    f.engine.topics.locate(topic, partition as never, 'earliest'),
  ),
  ...each([undefined, null, 'x', -1], 'topics.truncate before', (before, f, topic) =>
    f.engine.topics.truncate(topic, 0, before as never),
  ),
  ...each([undefined, null, 7, ''], 'topics.create of', (name, f) => f.engine.topics.create(name as never)),
  ...each([undefined, null, 7, ''], 'topics.ensure of', (name, f) => f.engine.topics.ensure(name as never)),
  ...each([null, 7, 'x', []], 'topics.alter with', (changes, f, topic) =>
    f.engine.topics.alter(topic, changes as never),
  ),
  ...each([undefined, null, 7], 'topics.delete of', (name, f) => f.engine.topics.delete(name as never)),
  ...each(wrong.slice(0, 3), 'topics.registerProducer of', (name, f) =>
    f.engine.topics.registerProducer(name as never),
  ),
  ...each(wrong, 'groups.join with', (options, f) => f.engine.groups.join(options as never)),
  ...each([undefined, null, 7, ''], 'groups.describe of', (group, f) => f.engine.groups.describe(group as never)),
  ...each([undefined, null, 7, ''], 'groups.delete of', (group, f) => f.engine.groups.delete(group as never)),
  ...each([undefined, null, 7, ''], 'groups.reset of', (group, f, topic) =>
    f.engine.groups.reset(group as never, topic, 'earliest'),
  ),
  ...each([undefined, null, 7, ''], 'state.get of', (key, f) => f.engine.state.get('n', key as never)),
  ...each(wrong, 'state.getMany of', (keys, f) => f.engine.state.getMany('n', keys as never)),
  ...each([...wrongOptions, { limt: 5 }], 'state.range with', (range, f) => f.engine.state.range('n', range as never)),
  ...each([null, 'x', -1, 0.5], 'state.range with limit', (limit, f) =>
    f.engine.state.range('n', { limit: limit as never }),
  ),
  ...each([undefined, null, 7, ''], 'state.count of', (name, f) => f.engine.state.count(name as never)),
  ...each([null, 7, {}], 'state.namespaces with prefix', (prefix, f) => f.engine.state.namespaces(prefix as never)),
  ...each([...wrong, {}, { signal: AbortSignal.abort(), perfix: 'a' }], 'state.watch with', async (options, f) =>
    f.engine.state.watch('n', options as never),
  ),
  ...each([null, 7, {}], 'state.watch with prefix', async (prefix, f) =>
    f.engine.state.watch('n', { prefix: prefix as never, signal: AbortSignal.abort() }),
  ),
  ...each([...wrongOptions, { qurey: {} }], 'events.readAll with', (options, f) =>
    f.engine.events.readAll(options as never),
  ),
  ...each(
    [
      { fromPosition: 'x' },
      { fromTimeMs: -1 },
      { direction: 'up' },
      { limit: 'x' },
      { query: null },
      { query: [] },
      { signal: 7 },
    ],
    'events.readAll with',
    (options, f) => f.engine.events.readAll(options as never),
  ),
  ...each([...wrongOptions, { from: 5 }], 'events.readStream with', (options, f) =>
    f.engine.events.readStream('s', options as never),
  ),
  ...each([undefined, null, 7, ''], 'events.readStream of', (stream, f) => f.engine.events.readStream(stream as never)),
  ...each(
    [...wrong, {}, { signal: 7 }, { signal: AbortSignal.abort(), from: 5 }],
    'events.subscribe with',
    (options, f) => f.engine.events.subscribe(options as never),
  ),
  ...each([undefined, null, 7, ''], 'events.describeStream of', (stream, f) =>
    f.engine.events.describeStream(stream as never),
  ),
  ...each(
    [...wrongOptions, { prefix: 7 }, { after: null }, { limit: -1 }, { from: 'a' }],
    'events.listStreams with',
    (options, f) => f.engine.events.listStreams(options as never),
  ),
  ...each([undefined, null, 'x', 0], 'events.truncateStream before', (before, f) =>
    f.engine.events.truncateStream('s', before as never),
  ),
  ...each([...wrongOptions, { tombstoned: true }], 'events.deleteStream with', (options, f) =>
    f.engine.events.deleteStream('s', options as never),
  ),
  ...each([undefined, null, 'x', -1], 'timers.due at', (nowMs, f) => f.engine.timers.due('o', nowMs as never)),
  ...each([undefined, null, 7, ''], 'timers.nextDueMs of', (owner, f) => f.engine.timers.nextDueMs(owner as never)),
  ...each([...wrongOptions, { owner: 7 }, { limit: 'x' }, { onwer: 'o' }], 'timers.list with', (options, f) =>
    f.engine.timers.list(options as never),
  ),
  ...each([undefined, null, 7, 'x'], 'timers.onScheduled with listener', async (listener, f) =>
    f.engine.timers.onScheduled('o', listener as never),
  ),
  ...each([null, 7, 'x', { signal: 7 }], 'commit with options', (options, f, topic) =>
    f.engine.commit({ publish: [{ topic, messages: f.numbered(1) }] }, options as never),
  ),
]

/** Arguments that are none: an error that says which, never one of the language, and the engine goes on. */
export const readerArgumentCases: readonly ConformanceCase[] = [
  {
    name: 'arguments: what is no argument is refused by name',
    async run(f) {
      const topic = await f.topic()
      for (const [what, call] of calls) {
        await refuses(async () => exhausted(await call(f, topic))).catch((error: unknown) =>
          assert.fail(`${what}: ${String(error)}`),
        )
      }
      await f.publish(topic, f.numbered(1))
      assert.equal(await f.recordCount(topic), 1)
    },
  },
  {
    name: 'arguments: a publish with neither messages nor records is refused, one with an empty list is not',
    async run(f) {
      const topic = await f.topic()
      const namespace = f.name('state')
      for (const write of [{ topic }, { topic, message: f.message('T') }, { topic, partition: 0, record: [] }]) {
        const beside = f.keeps('state') ? { state: [{ kind: 'set', namespace, key: 'k', value: 1 }] } : {}
        await refuses(() => f.engine.commit({ publish: [write], ...beside } as unknown as WriteBatch))
      }
      if (f.keeps('state')) assert.equal(await f.engine.state.count(namespace), 0)
      await f.commit({ publish: [{ topic, messages: [] }] })
      await f.commit({ publish: [{ topic, records: [] }] })
      assert.equal(await f.recordCount(topic), 0)
    },
  },
]
