import assert from 'node:assert/strict'
import type { Engine } from '../engine.ts'
import type { Claim } from '../groups.ts'
import { type ConformanceCase, keeps, type Requirement } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'
import { listen, onlyAssignment } from './group-cases.ts'

/** What there is before the engine closes, so that nothing but the closing can stand in the way of a call. */
interface Furnishing {
  readonly topic: string
  readonly stream: string
  readonly group: string
  /** A claim of another group, which has a member. */
  readonly claim: Claim
}

type Call = (engine: Engine, there: Furnishing) => Promise<unknown>

/** Calls that write, or take part: once `close()` was called they come too late. */
const lateCalls: Readonly<Record<string, Call>> = {
  'commit with nothing in it': (engine) => engine.commit({}),
  'commit under a claim': (engine, { claim }) => engine.commit({ progress: [{ claim, done: [{ from: 0, to: 1 }] }] }),
  'topics.create': (engine, { topic }) => engine.topics.create(`${topic}-2`),
  'topics.alter': (engine, { topic }) => engine.topics.alter(topic, { retentionMs: 5 }),
  'topics.delete': (engine, { topic }) => engine.topics.delete(topic),
  'topics.truncate': (engine, { topic }) => engine.topics.truncate(topic, 0, 0),
  'topics.maintain': (engine) => engine.topics.maintain(),
  'topics.registerProducer': (engine) => engine.topics.registerProducer('late'),
  'groups.join': (engine, { topic, group }) =>
    engine.groups.join({
      group,
      topics: [topic],
      onAssigned: () => {},
      onRevoked: async () => {},
      onLost: () => {},
    }),
  'groups.reset': (engine, { topic, group }) => engine.groups.reset(group, topic, 'earliest'),
  'groups.delete': (engine, { group }) => engine.groups.delete(group),
  'events.truncateStream': (engine, { stream }) => engine.events.truncateStream(stream, 1),
  'events.deleteStream': (engine, { stream }) => engine.events.deleteStream(stream),
}

async function drain(iterable: AsyncIterable<unknown>): Promise<void> {
  for await (const _item of iterable);
}

/** Calls that read: while the engine closes they may still be answered. */
const readCalls: Readonly<Record<string, Call>> = {
  'topics.ensure of a topic that is there': (engine, { topic }) => engine.topics.ensure(topic),
  'topics.describe': (engine, { topic }) => engine.topics.describe(topic),
  'topics.list': (engine) => engine.topics.list(),
  'topics.locate': (engine, { topic }) => engine.topics.locate(topic, 0, 'latest'),
  'topics.read': (engine, { topic }) => engine.topics.read({ topic, partition: 0, offset: 0 }),
  'topics.read that waits': (engine, { topic }) =>
    engine.topics.read({ topic, partition: 0, offset: 1, waitMs: 3_600_000 }),
  'groups.list': (engine) => engine.groups.list(),
  'groups.describe': (engine, { group }) => engine.groups.describe(group),
  'events.readStream': (engine, { stream }) => drain(engine.events.readStream(stream)),
  'events.readAll': (engine) => drain(engine.events.readAll({ limit: 1 })),
  'events.describeStream': (engine, { stream }) => engine.events.describeStream(stream),
  'events.listStreams': (engine) => engine.events.listStreams(),
  'events.lastPosition': (engine) => engine.events.lastPosition(),
  'events.subscribe': (engine) => drain(engine.events.subscribe({ signal: new AbortController().signal })),
  'state.get': (engine, { stream }) => engine.state.get(stream, 'k'),
  'state.getMany': (engine, { stream }) => engine.state.getMany(stream, ['k', 'l']),
  'state.getMany of nothing': (engine, { stream }) => engine.state.getMany(stream, []),
  'state.range': (engine, { stream }) => engine.state.range(stream),
  'state.count': (engine, { stream }) => engine.state.count(stream),
  'state.namespaces': (engine) => engine.state.namespaces(),
  'state.watch': async (engine, { stream }) =>
    drain(engine.state.watch(stream, { signal: new AbortController().signal })),
  'timers.due': (engine, { stream }) => engine.timers.due(stream, 0),
  'timers.nextDueMs': (engine, { stream }) => engine.timers.nextDueMs(stream),
  'timers.list': (engine) => engine.timers.list(),
}

async function furnished(f: Fixture): Promise<Furnishing> {
  const [topic, stream, group] = [await f.topic(), f.name('stream'), f.name('group')]
  await f.publish(topic, f.numbered(1))
  if (f.keeps('events')) await f.append(stream, 'A')
  const gone = await listen(f, { group, topics: [topic] })
  await onlyAssignment(f, gone)
  await gone.member.leave()
  const { claim } = await onlyAssignment(f, await listen(f, { group: f.name('group'), topics: [topic] }))
  return { topic, stream, group, claim }
}

/** A call to a part of the engine is asked of those that keep what it is for. */
function partOf(call: string): Requirement {
  const [part] = call.split('.')
  return part === 'events' || part === 'state' || part === 'timers' ? keeps(part) : () => true
}

/** Rejects unless the call was answered, or turned away because the engine is closed. */
async function answeredOrClosed(call: Promise<unknown>): Promise<void> {
  await call.catch((error: unknown) => refuses(() => Promise.reject(error), 'CLOSED'))
}

/** What becomes of calls that come when the engine closes or is closed: never a hang, never an error of something else. */
export const closingCases: readonly ConformanceCase[] = [
  ...Object.entries(lateCalls).map(
    ([name, call]): ConformanceCase => ({
      name: `closing: ${name} comes too late, during and after`,
      requires: partOf(name),
      async run(f) {
        const there = await furnished(f)
        const closing = f.engine.close()
        await Promise.all([closing, refuses(() => call(f.engine, there), 'CLOSED')])
        await refuses(() => call(f.engine, there), 'CLOSED')
      },
    }),
  ),
  ...Object.entries(readCalls).map(
    ([name, call]): ConformanceCase => ({
      name: `closing: ${name} is answered or turned away during, and turned away after`,
      requires: partOf(name),
      async run(f) {
        const there = await furnished(f)
        const before = answeredOrClosed(call(f.engine, there))
        // Commits in flight keep the closing from being over at once.
        const commits = Array.from({ length: 10 }, () => f.publish(there.topic, f.numbered(1)))
        const closing = f.engine.close()
        const during = answeredOrClosed(call(f.engine, there))
        const later = f.turn().then(() => answeredOrClosed(call(f.engine, there)))
        await Promise.all([before, during, later, closing, ...commits])
        await refuses(() => call(f.engine, there), 'CLOSED')
      },
    }),
  ),
  {
    name: 'closing: members that join at that moment are turned away or put out, and nothing is left of them',
    async run(f) {
      const topic = await f.topic({ partitions: 4 })
      const options = { group: f.name('group'), topics: [topic] }
      const joining = Array.from({ length: 10 }, async (_, n) => {
        for (let turn = n; turn > 0; turn--) await f.turn()
        return listen(f, options)
      })
      await f.turn()
      await f.turn()
      const [joined] = await Promise.all([Promise.allSettled(joining), f.engine.close()])
      for (const outcome of joined) {
        if (outcome.status === 'rejected') await refuses(() => Promise.reject(outcome.reason), 'CLOSED')
        else {
          assert.deepEqual(outcome.value.member.claims, [])
          await outcome.value.member.leave()
        }
      }
    },
  },
  {
    name: 'closing: a watch that is behind, and told no names of keys, is turned away',
    requires: keeps('state'),
    async run(f) {
      const namespace = f.name('state')
      const change = { namespace, key: 'k' } as const
      await f.commit({ state: [{ kind: 'set', ...change, value: 1 }] })
      const changes = f.engine.state.watch(namespace, { signal: new AbortController().signal })[Symbol.asyncIterator]()
      await f.commit({ state: [{ kind: 'clear', namespace }] })
      await f.engine.close()
      await refuses(() => changes.next(), 'CLOSED')
    },
  },
]
