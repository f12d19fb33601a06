import assert from 'node:assert/strict'
import type { Claim } from '../groups.ts'
import type { WriteBatch } from '../write-batch.ts'
import { atomic, type ConformanceCase, survivesClose } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'
import { listen, onlyAssignment } from './group-cases.ts'

/** Everything that a batch of all kinds writes to, and the batch. */
interface Ledger {
  readonly batch: Required<WriteBatch>
  readonly topic: string
  readonly stream: string
  readonly namespace: string
  readonly owner: string
  readonly claim: Claim
  /** How much of the batch can be seen: all of it is `[1, 1, 1, 1, 1]`, nothing is all zeros. */
  seen(): Promise<number[]>
}

async function ledger(f: Fixture): Promise<Ledger> {
  const [source, topic] = [await f.topic(), await f.topic()]
  const [stream, namespace, owner, group] = [f.name('stream'), f.name('state'), f.name('owner'), f.name('group')]
  await f.publish(source, f.numbered(1))
  const { claim } = await onlyAssignment(f, await listen(f, { group, topics: [source] }))
  return {
    topic,
    stream,
    namespace,
    owner,
    claim,
    batch: {
      publish: [{ topic, messages: f.numbered(1) }],
      append: [{ stream, events: [{ message: f.message('A') }] }],
      state: [{ kind: 'set', namespace, key: 'k', value: 1 }],
      timers: [{ kind: 'schedule', owner, id: 't', dueMs: 1, payload: null }],
      progress: [{ claim, done: [{ from: 0, to: 1 }] }],
    },
    seen: async () => [
      await f.recordCount(topic),
      (await f.stream(stream)).length,
      await f.engine.state.count(namespace),
      (await f.engine.timers.list({ owner })).length,
      (await f.engine.groups.describe(group))?.lag[0]?.next ?? Number.NaN,
    ],
  }
}

/** A batch of all kinds to which one part was added that is refused. */
type Spoil = (f: Fixture, l: Ledger) => Promise<WriteBatch>

function with_(batch: Required<WriteBatch>, part: WriteBatch): WriteBatch {
  return {
    publish: [...batch.publish, ...(part.publish ?? [])],
    append: [...batch.append, ...(part.append ?? [])],
    state: [...batch.state, ...(part.state ?? [])],
    timers: [...batch.timers, ...(part.timers ?? [])],
    progress: [...batch.progress, ...(part.progress ?? [])],
  }
}

const spoilt: Readonly<Record<string, Spoil>> = {
  'a stream at another version': async (f, l) =>
    with_(l.batch, {
      append: [{ stream: f.name('stream'), expected: 'exists', events: [{ message: f.message('B') }] }],
    }),
  'a condition that does not hold': async (f, l) => {
    const tag = f.name('tag')
    await f.commit({ append: [{ stream: f.name('stream'), events: [{ message: f.message('B'), tags: [tag] }] }] })
    const condition = { query: { items: [{ tags: [tag] }] }, after: 0 }
    return with_(l.batch, { append: [{ stream: f.name('stream'), events: [{ message: f.message('C') }], condition }] })
  },
  'an event that stands elsewhere': async (f, l) => {
    const [message] = await f.append(f.name('stream'), 'B')
    return with_(l.batch, {
      append: [{ stream: f.name('stream'), events: message === undefined ? [] : [{ message }] }],
    })
  },
  'a tombstone': async (f, l) => {
    const stream = f.name('stream')
    await f.append(stream, 'B')
    await f.engine.events.deleteStream(stream, { tombstone: true })
    return with_(l.batch, { append: [{ stream, events: [{ message: f.message('C') }] }] })
  },
  'state at another revision': async (_f, l) =>
    with_(l.batch, { state: [{ kind: 'set', namespace: l.namespace, key: 'l', value: 1, expectedRevision: 7 }] }),
  'a timer that is gone': async (_f, l) =>
    with_(l.batch, { timers: [{ kind: 'fire', owner: l.owner, id: 'gone', revision: 1 }] }),
  'a claim that was taken away': async (_f, l) =>
    with_(l.batch, { progress: [{ claim: { ...l.claim, epoch: l.claim.epoch - 1 }, done: [{ from: 0, to: 1 }] }] }),
  'an unknown topic': async (f, l) =>
    with_(l.batch, { publish: [{ topic: f.name('topic'), messages: f.numbered(1) }] }),
  'an unknown partition': async (f, l) =>
    with_(l.batch, { publish: [{ topic: l.topic, partition: 9, messages: f.numbered(1) }] }),
  'a record that is too large': async (f, l) =>
    with_(l.batch, { publish: [{ topic: l.topic, messages: [f.message('Large', 'x'.repeat(2_000_000))] }] }),
  "a gap in a producer's numbers": async (f, l) => {
    const producer = await f.engine.topics.registerProducer(f.name('producer'))
    return with_(l.batch, {
      publish: [{ topic: l.topic, partition: 0, messages: f.numbered(1), producer: { ...producer, sequence: 3 } }],
    })
  },
  'a value that is no JSON': async (_f, l) =>
    with_(l.batch, { state: [{ kind: 'set', namespace: l.namespace, key: 'l', value: 10n as never }] }),
  'progress that is no range': async (_f, l) =>
    with_(l.batch, { progress: [{ claim: l.claim, done: [{ from: 2, to: 1 }] }] }),
}

const everything = atomic('topics', 'progress', 'events', 'state', 'timers')

/** One batch: everything or nothing. */
export const atomicityCases: readonly ConformanceCase[] = [
  {
    name: 'atomicity: a batch of all kinds becomes real together',
    requires: everything,
    async run(f) {
      const l = await ledger(f)
      assert.deepEqual(await l.seen(), [0, 0, 0, 0, 0])
      const outcome = await f.commit(l.batch)
      assert.deepEqual([outcome.published.length, outcome.appended.length], [1, 1])
      assert.deepEqual(await l.seen(), [1, 1, 1, 1, 1])
    },
  },
  ...Object.entries(spoilt).map(
    ([what, spoil]): ConformanceCase => ({
      name: `atomicity: ${what} refuses everything beside it`,
      requires: everything,
      async run(f) {
        const l = await ledger(f)
        const batch = await spoil(f, l)
        const outcome = await f.engine.commit(batch).catch((error: unknown) => refuses(() => Promise.reject(error)))
        assert.ok(outcome instanceof Error || !outcome.ok, 'the batch went through')
        assert.deepEqual(await l.seen(), [0, 0, 0, 0, 0])
        await f.commit(l.batch)
        assert.deepEqual(await l.seen(), [1, 1, 1, 1, 1])
      },
    }),
  ),
  {
    name: 'atomicity: what is refused does no harm to its neighbours, whatever the reason',
    requires: everything,
    async run(f) {
      const good = await Promise.all(Array.from({ length: Object.keys(spoilt).length }, () => ledger(f)))
      const bad = await Promise.all(
        Object.values(spoilt).map(async (spoil) => {
          const l = await ledger(f)
          return { l, batch: await spoil(f, l) }
        }),
      )
      const commits = good.flatMap((l, index) => [
        f.engine.commit(l.batch).then((outcome) => assert.ok(outcome.ok)),
        f.engine.commit(bad[index]?.batch as WriteBatch).then(
          (outcome) => assert.ok(!outcome.ok),
          () => undefined,
        ),
      ])
      await Promise.all(commits)
      for (const l of good) assert.deepEqual(await l.seen(), [1, 1, 1, 1, 1])
      for (const { l } of bad) assert.deepEqual(await l.seen(), [0, 0, 0, 0, 0])
    },
  },
  {
    name: 'atomicity: nobody ever sees half of a commit',
    requires: atomic('state', 'topics'),
    async run(f) {
      const [namespace, topic] = [f.name('state'), await f.topic()]
      let writing = true
      const watch = async (): Promise<void> => {
        while (writing) {
          await f.turn()
          const [a, b] = await f.engine.state.getMany(namespace, ['a', 'b'])
          assert.equal(a?.value, b?.value)
          const hasGaps = f.engine.capabilities.topics.offsetGaps === true
          const latest = hasGaps ? (await f.read(topic)).length : await f.engine.topics.locate(topic, 0, 'latest')
          const after = Number((await f.value(namespace, 'a')) ?? 0)
          assert.ok(after >= latest, `state says ${after}, but ${latest} records were there before`)
        }
      }
      const watching = Promise.all([watch(), watch()])
      for (let n = 1; n <= 150; n++) {
        await f.commit({
          publish: [{ topic, messages: f.numbered(1, n) }],
          state: [
            { kind: 'set', namespace, key: 'a', value: n },
            { kind: 'set', namespace, key: 'b', value: n },
          ],
        })
      }
      writing = false
      await watching
    },
  },
  {
    name: 'atomicity: a large batch of all kinds is there whole after a restart',
    requires: (offer) => (everything(offer) === true ? survivesClose(offer) : everything(offer)),
    async run(f) {
      const [topic, stream, namespace, owner] = [
        await f.topic({ partitions: 3 }),
        f.name('stream'),
        f.name('state'),
        f.name('owner'),
      ]
      const many = Array.from({ length: 1500 }, (_, n) => n)
      await f.commit({
        publish: [{ topic, messages: many.map((n) => f.message('T', n, { partitionkey: `k${n}` })) }],
        append: [{ stream, events: many.map((n) => ({ message: f.message('T', n), tags: [`${stream}:${n % 7}`] })) }],
        state: many.map((n) => ({ kind: 'set', namespace, key: `k${n}`, value: n })),
        timers: many.map((n) => ({ kind: 'schedule', owner, id: `t${n}`, dueMs: n, payload: n })),
      })
      await f.reopen()
      assert.deepEqual(
        [
          await f.recordCount(topic),
          (await f.stream(stream)).length,
          await f.engine.state.count(namespace),
          (await f.engine.timers.due(owner, 1e9, 10_000)).length,
        ],
        [1500, 1500, 1500, 1500],
      )
    },
  },
]
