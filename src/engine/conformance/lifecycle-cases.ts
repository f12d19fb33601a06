import assert from 'node:assert/strict'
import { systemClock } from '../../kernel/index.ts'
import type { Engine } from '../engine.ts'
import { type ConformanceCase, survivesClose } from './conformance-case.ts'
import { refuses } from './fixture.ts'
import { listen, onlyAssignment } from './group-cases.ts'

/** Calls that a closed engine must turn away. */
const calls: Readonly<Record<string, (engine: Engine) => Promise<unknown>>> = {
  commit: (engine) => engine.commit({}),
  'topics.create': (engine) => engine.topics.create('closed'),
  'topics.ensure': (engine) => engine.topics.ensure('closed'),
  'topics.list': (engine) => engine.topics.list(),
  'topics.describe': (engine) => engine.topics.describe('closed'),
  'topics.read': (engine) => engine.topics.read({ topic: 'closed', partition: 0, offset: 0 }),
  'topics.locate': (engine) => engine.topics.locate('closed', 0, 'latest'),
  'topics.registerProducer': (engine) => engine.topics.registerProducer('closed'),
  'topics.maintain': (engine) => engine.topics.maintain(),
  'groups.join': (engine) =>
    engine.groups.join({
      group: 'g',
      topics: ['closed'],
      onAssigned: () => {},
      onRevoked: async () => {},
      onLost: () => {},
    }),
  'groups.list': (engine) => engine.groups.list(),
  'events.readStream': (engine) => Array.fromAsync(engine.events.readStream('closed')),
  'events.readAll': (engine) => Array.fromAsync(engine.events.readAll()),
  'events.lastPosition': (engine) => engine.events.lastPosition(),
  'events.deleteStream': (engine) => engine.events.deleteStream('closed'),
  'state.get': (engine) => engine.state.get('closed', 'k'),
  'state.range': (engine) => engine.state.range('closed'),
  'timers.due': (engine) => engine.timers.due('closed', 0),
  'timers.list': (engine) => engine.timers.list(),
}

/** Opening, closing, aborting, and what an engine says of itself. */
export const lifecycleCases: readonly ConformanceCase[] = [
  {
    name: 'lifecycle: the capabilities fit together and are plain data',
    async run(f) {
      const { capabilities } = f.engine
      assert.deepEqual(JSON.parse(JSON.stringify(capabilities)), capabilities)
      assert.ok(capabilities.keeps.length > 0)
      assert.equal(new Set(capabilities.keeps).size, capabilities.keeps.length)
      for (const domain of capabilities.atomic) {
        for (const kind of domain) assert.ok(capabilities.keeps.includes(kind))
      }
      assert.ok(capabilities.topics.compression.includes('none'))
      assert.ok(f.engine.name.length > 0)
    },
  },
  {
    name: 'lifecycle: closing again, and at the same time, is fine',
    async run(f) {
      await f.commit({})
      await Promise.all([f.engine.close(), f.engine.close()])
      await f.engine.close()
      await f.engine[Symbol.asyncDispose]()
    },
  },
  {
    name: 'lifecycle: disposing closes',
    async run(f) {
      {
        await using engine = f.engine
        await engine.commit({})
      }
      await refuses(() => f.engine.commit({}), 'CLOSED')
    },
  },
  ...Object.entries(calls).map(
    ([name, call]): ConformanceCase => ({
      name: `lifecycle: after close, ${name} says so`,
      async run(f) {
        await f.engine.close()
        await refuses(() => call(f.engine), 'CLOSED')
      },
    }),
  ),
  {
    name: 'lifecycle: close waits for what was committed before, and that is there afterwards',
    requires: survivesClose,
    async run(f) {
      const topic = await f.topic()
      const commits = Array.from({ length: 100 }, (_, n) => f.publish(topic, f.numbered(1, n)))
      const closing = f.engine.close()
      const late = refuses(() => f.publish(topic, f.numbered(1, 1000)), 'CLOSED')
      await Promise.all([...commits, closing, late])
      await f.reopen()
      assert.deepEqual(
        await f.data(topic),
        Array.from({ length: 100 }, (_, n) => n),
      )
    },
  },
  {
    name: 'lifecycle: close ends whoever waits',
    async run(f) {
      const topic = await f.topic()
      const { signal } = new AbortController()
      const ends = (name: string, promise: Promise<unknown>): Promise<void> =>
        promise.then(
          () => undefined,
          (error: { code?: string }) => assert.equal(error.code, 'CLOSED', name),
        )
      const drain = async (iterable: AsyncIterable<unknown>): Promise<void> => {
        for await (const _item of iterable);
      }
      const waiting = [
        ends('read', f.engine.topics.read({ topic, partition: 0, offset: 0, waitMs: 3_600_000 })),
        ends('subscribe', drain(f.engine.events.subscribe({ signal }))),
        ends('watch', drain(f.engine.state.watch(f.name('state'), { signal }))),
      ]
      await f.publish(await f.topic(), f.numbered(1))
      await f.engine.close()
      await Promise.all(waiting)
    },
  },
  {
    name: 'lifecycle: close ends memberships, and leaving afterwards is fine',
    async run(f) {
      const topic = await f.topic()
      const listener = await listen(f, { group: f.name('group'), topics: [topic] })
      await onlyAssignment(f, listener)
      await f.engine.close()
      await listener.member.leave()
      assert.deepEqual(listener.member.claims, [])
    },
  },
  {
    name: 'lifecycle: a reader that looks again and again does not keep a commit from being made',
    async run(f) {
      const [namespace, stream] = [f.name('state'), f.name('stream')]
      const committing = f.commit({
        append: [{ stream, events: [{ message: f.message('T') }] }],
        state: [{ kind: 'set', namespace, key: 'k', value: 1 }],
      })
      const giveUpMs = systemClock.monotonicMs() + 3000
      const poll = async (isThere: () => Promise<boolean>): Promise<void> => {
        while (!(await isThere())) assert.ok(systemClock.monotonicMs() < giveUpMs, 'reading starves the commit')
      }
      await poll(async () => (await f.engine.state.get(namespace, 'k')) !== undefined)
      await poll(async () => (await f.stream(stream)).length === 1)
      await committing
    },
  },
  {
    name: 'lifecycle: a commit whose signal has aborted is not made',
    async run(f) {
      const topic = await f.topic()
      const reason = new Error('enough')
      const batch = { publish: [{ topic, messages: f.numbered(1) }] }
      await assert.rejects(f.engine.commit(batch, { signal: AbortSignal.abort(reason) }), reason)
      assert.equal(await f.recordCount(topic), 0)
      await f.engine.commit(batch, { signal: new AbortController().signal })
      assert.equal(await f.recordCount(topic), 1)
    },
  },
  {
    name: 'lifecycle: a commit that is aborted on its way is there whole or not at all, and its answer is true if it is yes',
    async run(f) {
      const [topic, namespace] = [await f.topic(), f.name('state')]
      const acknowledged: number[] = []
      const attempts = Array.from({ length: 60 }, async (_, n) => {
        const controller = new AbortController()
        const committing = f.engine.commit(
          {
            publish: [{ topic, messages: f.numbered(1, n) }],
            state: [{ kind: 'set', namespace, key: `k${n}`, value: n }],
          },
          { signal: controller.signal },
        )
        if (n % 3 === 0) controller.abort(new Error('enough'))
        await committing.then(
          () => acknowledged.push(n),
          () => undefined,
        )
      })
      await Promise.all(attempts)
      await f.commit({})
      const published = (await f.data(topic)).map(Number)
      const kept = (await f.engine.state.range(namespace)).map(({ value }) => Number(value))
      assert.equal(published.length, kept.length)
      assert.deepEqual(new Set(published), new Set(kept))
      for (const n of acknowledged) assert.ok(published.includes(n))
      assert.equal(new Set(published).size, published.length)
    },
  },
  {
    name: 'lifecycle: an engine that was opened many times has lost and doubled nothing',
    requires: survivesClose,
    async run(f) {
      const [topic, stream, namespace] = [await f.topic(), f.name('stream'), f.name('state')]
      for (let turn = 0; turn < 5; turn++) {
        await f.commit({
          publish: [{ topic, messages: f.numbered(1, turn) }],
          append: [{ stream, expected: turn, events: [{ message: f.message('T', turn) }] }],
          state: [{ kind: 'set', namespace, key: 'k', value: turn, expectedRevision: turn }],
        })
        await f.reopen()
      }
      assert.deepEqual(await f.data(topic), [0, 1, 2, 3, 4])
      assert.deepEqual(
        (await f.stream(stream)).map(({ version }) => version),
        [1, 2, 3, 4, 5],
      )
      assert.deepEqual(await f.engine.state.get(namespace, 'k'), { key: 'k', value: 4, revision: 5 })
    },
  },
]
