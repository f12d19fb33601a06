import assert from 'node:assert/strict'
import { systemClock } from '../../kernel/index.ts'
import { all, atomic, type ConformanceCase, survivesClose } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'
import { listen, onlyAssignment } from './group-cases.ts'

/** What one who looks for a commit knows: everything that it writes goes by one name, and into one topic. */
interface Look {
  readonly f: Fixture
  readonly name: string
  readonly topic: string
}

/** How long a commit may take while somebody looks for it, in milliseconds. Only a failing case ever takes that long. */
const starvedMs = 3000

/** The ways to look whether the commit was made. */
const looks: Readonly<Record<string, (look: Look) => Promise<boolean>>> = {
  'topics.describe': async ({ f, topic }) => (await f.engine.topics.describe(topic))?.partitions[0]?.latest === 1,
  'topics.list': async ({ f, topic }) =>
    (await f.engine.topics.list()).some((one) => one.name === topic && one.partitions[0]?.latest === 1),
  'topics.locate': async ({ f, topic }) => (await f.engine.topics.locate(topic, 0, 'latest')) === 1,
  'topics.read': async ({ f, topic }) =>
    (await f.engine.topics.read({ topic, partition: 0, offset: 0 })).records.length === 1,
  'groups.describe': async ({ f, name }) => (await f.engine.groups.describe(name))?.lag[0]?.lagMessages === 1,
  'groups.list': async ({ f, name, topic }) =>
    (await f.engine.groups.list()).includes(name) && (await f.engine.topics.locate(topic, 0, 'latest')) === 1,
  'events.readStream': async ({ f, name }) => (await f.stream(name)).length === 1,
  'events.readAll': async ({ f, name }) => {
    const found = f.engine.events.readAll({ query: { items: [{ types: [name] }] } })
    return (await Array.fromAsync(found)).length === 1
  },
  'events.describeStream': async ({ f, name }) => (await f.engine.events.describeStream(name)) !== undefined,
  'events.listStreams': async ({ f, name }) => (await f.engine.events.listStreams({ prefix: name })).length === 1,
  'state.get': async ({ f, name }) => (await f.value(name, 'k')) === 1,
  'state.getMany': async ({ f, name }) => (await f.engine.state.getMany(name, ['k', 'l']))[0] !== undefined,
  'state.range': async ({ f, name }) => (await f.engine.state.range(name)).length === 1,
  'state.count': async ({ f, name }) => (await f.engine.state.count(name)) === 1,
  'state.namespaces': async ({ f, name }) => (await f.engine.state.namespaces(name)).length === 1,
  'timers.due': async ({ f, name }) => (await f.engine.timers.due(name, 5)).length === 1,
  'timers.nextDueMs': async ({ f, name }) => (await f.engine.timers.nextDueMs(name)) === 5,
  'timers.list': async ({ f, name }) => (await f.engine.timers.list({ owner: name })).length === 1,
}

/** A member that does nothing, so that its group is there. */
async function join({ f, name, topic }: Look): Promise<void> {
  await onlyAssignment(f, await listen(f, { group: name, topics: [topic] }))
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
        f.keeps('events') && ends('subscribe', drain(f.engine.events.subscribe({ signal }))),
        f.keeps('state') && ends('watch', drain(f.engine.state.watch(f.name('state'), { signal }))),
      ]
      await f.publish(await f.topic(), f.numbered(1))
      await f.engine.close()
      await Promise.all(waiting.filter((one) => one !== false))
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
  ...Object.entries(looks).map(
    ([name, isSeen]): ConformanceCase => ({
      name: `lifecycle: who looks again and again with ${name} does not keep a commit from being made`,
      requires: atomic('topics', 'events', 'state', 'timers'),
      async run(f) {
        const look = { f, name: f.name('look'), topic: await f.topic() }
        await join(look)
        const committing = f.commit({
          publish: [{ topic: look.topic, messages: f.numbered(1) }],
          append: [{ stream: look.name, events: [{ message: f.message(look.name) }] }],
          state: [{ kind: 'set', namespace: look.name, key: 'k', value: 1 }],
          timers: [{ kind: 'schedule', owner: look.name, id: 't', dueMs: 5, payload: null }],
        })
        const giveUpMs = systemClock.monotonicMs() + starvedMs
        while (!(await isSeen(look))) assert.ok(systemClock.monotonicMs() < giveUpMs, 'reading starves the commit')
        await committing
      },
    }),
  ),
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
    requires: atomic('topics', 'state'),
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
    requires: all(atomic('topics', 'events', 'state'), survivesClose),
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
