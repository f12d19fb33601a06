import assert from 'node:assert/strict'
import type { Claim, OffsetRange, PartitionLag, Progress } from '../groups.ts'
import { all, atomic, type ConformanceCase, movableTime, outOfOrder, survivesClose } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'
import { listen, onlyAssignment } from './group-cases.ts'

/** A group with one member on a topic with one partition and `count` records. */
async function consuming(f: Fixture, count: number) {
  const topic = await f.topic()
  if (count > 0) await f.publish(topic, f.numbered(count))
  const group = f.name('group')
  const listener = await listen(f, { group, topics: [topic] })
  const { claim } = await onlyAssignment(f, listener)
  return { topic, group, claim, member: listener.member }
}

function done(
  claim: Claim,
  ...ranges: readonly (readonly [from: number, to: number])[]
): { progress: { claim: Claim; done: OffsetRange[] }[] } {
  return { progress: [{ claim, done: ranges.map(([from, to]) => ({ from, to })) }] }
}

/** The group's progress as its next member is told. */
async function resumed(f: Fixture, group: string, topic: string): Promise<Progress> {
  const listener = await listen(f, { group, topics: [topic] })
  const { progress } = await onlyAssignment(f, listener)
  await listener.member.leave()
  return progress
}

async function lag(f: Fixture, group: string): Promise<PartitionLag> {
  const [only, ...more] = (await f.engine.groups.describe(group))?.lag ?? []
  assert.ok(only !== undefined && more.length === 0)
  return only
}

/** What a group has done, how far it is behind, and moving it. */
export const progressCases: readonly ConformanceCase[] = [
  {
    name: 'progress: the next member goes on where the last one stopped',
    async run(f) {
      const { topic, group, claim, member } = await consuming(f, 5)
      await f.commit(done(claim, [0, 2]))
      await f.commit(done(claim, [2, 3]))
      await member.leave()
      assert.deepEqual(await resumed(f, group, topic), { next: 3, done: [] })
    },
  },
  {
    name: 'progress: it survives a restart, also out of order',
    requires: all(survivesClose, outOfOrder),
    async run(f) {
      const { topic, group, claim } = await consuming(f, 10)
      await f.commit(done(claim, [0, 2], [4, 5], [7, 9]))
      await f.reopen()
      const expected = {
        next: 2,
        done: [
          { from: 4, to: 5 },
          { from: 7, to: 9 },
        ],
      }
      assert.deepEqual(await resumed(f, group, topic), expected)
      assert.deepEqual(await resumed(f, group, topic), expected)
    },
  },
  {
    name: 'progress: what is done out of order is kept until the gap closes',
    requires: outOfOrder,
    async run(f) {
      const { topic, group, claim, member } = await consuming(f, 10)
      await f.commit(done(claim, [2, 3]))
      await f.commit(done(claim, [5, 7]))
      await f.commit(done(claim, [3, 4]))
      assert.deepEqual((await lag(f, group)).next, 0)
      await f.commit(done(claim, [0, 2]))
      assert.deepEqual((await lag(f, group)).next, 4)
      await member.leave()
      assert.deepEqual(await resumed(f, group, topic), { next: 4, done: [{ from: 5, to: 7 }] })
    },
  },
  {
    name: 'progress: doing a thing twice, or ranges that overlap, count once',
    requires: outOfOrder,
    async run(f) {
      const { topic, group, claim, member } = await consuming(f, 10)
      await f.commit(done(claim, [4, 6], [5, 8], [4, 5]))
      await f.commit(done(claim, [0, 2], [1, 3]))
      await f.commit(done(claim, [0, 1], [7, 8]))
      assert.equal((await lag(f, group)).lagMessages, 3)
      await member.leave()
      assert.deepEqual(await resumed(f, group, topic), { next: 3, done: [{ from: 4, to: 8 }] })
    },
  },
  {
    name: 'progress: ranges that are none are errors and change nothing',
    async run(f) {
      const { group, claim } = await consuming(f, 5)
      for (const [from, to] of [
        [2, 1],
        [-1, 1],
        [Number.NaN, 1],
        [0, Number.NaN],
        [0, 1.5],
        [0, Number.POSITIVE_INFINITY],
      ] as const) {
        await refuses(() => f.engine.commit(done(claim, [from, to])))
      }
      await refuses(() => f.engine.commit(done(claim, ['0' as unknown as number, 1])))
      assert.deepEqual([(await lag(f, group)).next, (await lag(f, group)).lagMessages], [0, 5])
    },
  },
  {
    name: 'progress: records that are not there yet cannot be done',
    async run(f) {
      const { topic, group, claim } = await consuming(f, 2)
      await f.engine.commit(done(claim, [0, 100])).catch((error: unknown) => refuses(() => Promise.reject(error)))
      await f.publish(topic, f.numbered(3, 2))
      assert.ok((await lag(f, group)).lagMessages >= 3, 'records were done before they were written')
    },
  },
  {
    name: 'progress: a claim that was given back is fenced, and its whole batch with it',
    requires: atomic('topics', 'progress'),
    async run(f) {
      const { topic, group, claim, member } = await consuming(f, 3)
      const out = await f.topic()
      await member.leave()
      const conflict = await f.conflict(
        { publish: [{ topic: out, messages: f.numbered(1) }], ...done(claim, [0, 1]) },
        'fenced',
      )
      assert.deepEqual(conflict.claim, claim)
      assert.deepEqual(await f.read(out), [])
      assert.equal((await resumed(f, group, topic)).next, 0)
    },
  },
  {
    name: 'progress: claims that nobody was given are refused',
    async run(f) {
      const { topic, group, claim } = await consuming(f, 3)
      for (const forged of [
        { ...claim, epoch: claim.epoch + 1 },
        { ...claim, epoch: claim.epoch - 1 },
        { ...claim, partition: 1 },
        { ...claim, group: f.name('group') },
        { ...claim, topic: f.name('topic') },
        { ...claim, epoch: Number.NaN },
      ]) {
        const outcome = await f.engine
          .commit(done(forged, [0, 1]))
          .catch((error: unknown) => refuses(() => Promise.reject(error)))
        assert.ok(outcome instanceof Error || !outcome.ok)
      }
      assert.equal((await lag(f, group)).next, 0)
      await f.commit(done(claim, [0, 1]))
      assert.equal(await f.engine.topics.locate(topic, 0, 'latest'), 3)
    },
  },
  {
    name: 'progress: lag in messages counts what is not done',
    requires: outOfOrder,
    async run(f) {
      const { topic, group, claim } = await consuming(f, 10)
      assert.deepEqual([(await lag(f, group)).lagMessages, (await lag(f, group)).latest], [10, 10])
      await f.commit(done(claim, [0, 3], [5, 7]))
      assert.equal((await lag(f, group)).lagMessages, 5)
      await f.publish(topic, f.numbered(2))
      assert.equal((await lag(f, group)).lagMessages, 7)
      await f.commit(done(claim, [3, 12]))
      assert.deepEqual([(await lag(f, group)).lagMessages, (await lag(f, group)).lagSeconds], [0, 0])
    },
  },
  {
    name: 'progress: lag in seconds is the age of the oldest record that is not done',
    requires: all(movableTime, outOfOrder),
    async run(f) {
      const { topic, group, claim } = await consuming(f, 0)
      for (let index = 0; index < 3; index++) {
        await f.commit({ publish: [{ topic, records: [{ key: null, value: 'x', timestampMs: f.nowMs() }] }] })
        await f.clock.advance('10s')
      }
      assert.equal((await lag(f, group)).lagSeconds, 30)
      await f.commit(done(claim, [1, 2]))
      assert.equal((await lag(f, group)).lagSeconds, 30)
      await f.commit(done(claim, [0, 1]))
      assert.equal((await lag(f, group)).lagSeconds, 10)
      await f.commit(done(claim, [2, 3]))
      await f.clock.advance('10s')
      assert.equal((await lag(f, group)).lagSeconds, 0)
    },
  },
  {
    name: 'progress: a reset moves a group that nobody is in, to any start position',
    requires: outOfOrder,
    async run(f) {
      const topic = await f.topic()
      for (let index = 0; index < 6; index++) {
        await f.commit({ publish: [{ topic, records: [{ key: null, value: 'x', timestampMs: 1000 * index }] }] })
      }
      const group = f.name('group')
      const listener = await listen(f, { group, topics: [topic] })
      await f.commit(done((await onlyAssignment(f, listener)).claim, [0, 1], [3, 4]))
      await listener.member.leave()
      for (const [to, next] of [
        ['latest', 6],
        ['earliest', 0],
        [{ offset: 2 }, 2],
        [{ timestampMs: 3500 }, 4],
      ] as const) {
        await f.engine.groups.reset(group, topic, to)
        assert.deepEqual(await resumed(f, group, topic), { next, done: [] })
      }
    },
  },
  {
    name: 'progress: a reset of one partition leaves the others alone',
    async run(f) {
      const topic = await f.topic({ partitions: 2 })
      for (const partition of [0, 1]) await f.publish(topic, f.numbered(4), { partition })
      const group = f.name('group')
      const listener = await listen(f, { group, topics: [topic] })
      await f.eventually('both partitions', () => listener.held().length === 2)
      for (const { claim } of listener.assigned) await f.commit(done(claim, [0, 3]))
      await listener.member.leave()
      await f.engine.groups.reset(group, topic, 'earliest', 1)
      const nexts = (await f.engine.groups.describe(group))?.lag.map(({ partition, next }) => [partition, next])
      assert.deepEqual(nexts?.sort(), [
        [0, 3],
        [1, 0],
      ])
    },
  },
  {
    name: 'progress: a reset is refused while members are there, and for what does not exist',
    async run(f) {
      const { topic, group, member } = await consuming(f, 2)
      await refuses(() => f.engine.groups.reset(group, topic, 'latest'), 'GROUP_ACTIVE')
      await refuses(() => f.engine.groups.delete(group), 'GROUP_ACTIVE')
      await member.leave()
      await refuses(() => f.engine.groups.reset(f.name('group'), topic, 'latest'), 'GROUP_UNKNOWN')
      await refuses(() => f.engine.groups.reset(group, f.name('topic'), 'latest'), 'TOPIC_UNKNOWN')
      await refuses(() => f.engine.groups.reset(group, topic, { offset: Number.NaN }))
      await refuses(() => f.engine.groups.reset(group, topic, 'latest', 9), 'PARTITION_UNKNOWN')
      assert.equal((await resumed(f, group, topic)).next, 0)
    },
  },
  {
    name: 'progress: a group that was deleted is unknown and starts anew',
    async run(f) {
      const { topic, group, claim, member } = await consuming(f, 4)
      await f.commit(done(claim, [0, 2]))
      await member.leave()
      assert.ok((await f.engine.groups.list()).includes(group))
      await f.engine.groups.delete(group)
      assert.equal(await f.engine.groups.describe(group), undefined)
      assert.ok(!(await f.engine.groups.list()).includes(group))
      assert.equal((await resumed(f, group, topic)).next, 0)
    },
  },
  {
    name: 'progress: of a deleted topic it is forgotten',
    async run(f) {
      const { topic, group, claim, member } = await consuming(f, 4)
      await f.commit(done(claim, [0, 3]))
      await member.leave()
      await f.engine.topics.delete(topic)
      await f.engine.topics.create(topic, { partitions: 1 })
      await f.publish(topic, f.numbered(1))
      assert.equal((await resumed(f, group, topic)).next, 0)
    },
  },
  {
    name: 'progress: names of prototype members are group names like any other',
    async run(f) {
      const topic = await f.topic()
      await f.publish(topic, f.numbered(2))
      for (const group of ['__proto__', 'constructor']) {
        await f.engine.groups.delete(group).catch(() => undefined)
        assert.equal(await f.engine.groups.describe(group), undefined)
        assert.equal((await resumed(f, group, topic)).next, 0)
        assert.ok((await f.engine.groups.list()).includes(group))
        await f.engine.groups.delete(group)
      }
    },
  },
]
