import assert from 'node:assert/strict'
import { all, atomic, type ConformanceCase, movableTime } from './conformance-case.ts'
import { type Fixture, messageOf } from './fixture.ts'
import { type EffectOf, GroupConsumer } from './group-consumer.ts'

/** Each record becomes one message in `out`, with the number of the record as its data. */
function copyTo(f: Fixture, out: string): EffectOf {
  return (record) => ({
    publish: [{ topic: out, partition: 0, messages: [f.message('Copied', messageOf(record).data)] }],
  })
}

async function copies(f: Fixture, out: string): Promise<number[]> {
  return (await f.data(out)).map(Number)
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

const sorted = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b)

/** Effects and progress in one commit, while members come, go and fail: nothing is lost, nothing happens twice. */
export const exactlyOnceCases: readonly ConformanceCase[] = (
  [
    {
      name: 'exactly once: one member handles everything, in order',
      async run(f) {
        const [topic, out] = [await f.topic(), await f.topic()]
        await f.publish(topic, f.numbered(40))
        const consumer = await GroupConsumer.join(f.engine, { group: f.name('group'), topics: [topic] }, copyTo(f, out))
        await f.publish(topic, f.numbered(40, 40))
        await f.eventually('all records handled', () => consumer.committedCount === 80)
        await consumer.leave()
        assert.deepEqual(await copies(f, out), upTo(80))
      },
    },
    {
      name: 'exactly once: while members join and leave',
      async run(f) {
        const [topic, out] = [await f.topic({ partitions: 6 }), await f.topic()]
        const options = { group: f.name('group'), topics: [topic] }
        const join = (): Promise<GroupConsumer> => GroupConsumer.join(f.engine, options, copyTo(f, out))
        const members: GroupConsumer[] = [await join()]
        const all: GroupConsumer[] = [...members]
        for (let round = 0; round < 8; round++) {
          const messages = upTo(30).map((n) => f.message('Numbered', round * 30 + n, { partitionkey: `k${n}` }))
          const publishing = f.publish(topic, messages)
          if (round % 3 === 2) await members.shift()?.leave()
          else {
            const member = await join()
            members.push(member)
            all.push(member)
          }
          await publishing
        }
        await f.eventually('all records handled', async () => (await f.recordCount(out)) >= 240)
        await Promise.all(members.map((member) => member.leave()))
        assert.deepEqual(sorted(await copies(f, out)), upTo(240))
        assert.equal(
          all.reduce((sum, { fencedCount }) => sum + fencedCount, 0),
          0,
        )
      },
    },
    {
      name: 'exactly once: when a member falls silent in the middle',
      requires: movableTime,
      async run(f) {
        const [topic, out] = [await f.topic({ partitions: 2 }), await f.topic()]
        for (const partition of [0, 1]) await f.publish(topic, f.numbered(20, partition * 20), { partition })
        const options = { group: f.name('group'), topics: [topic], sessionTimeoutMs: 10_000 }
        const stuck = await f.engine.groups.join({
          ...options,
          onAssigned: () => {},
          onRevoked: () => new Promise(() => {}),
          onLost: () => {},
        })
        await f.eventually('the silent member has both', () => stuck.claims.length === 2)
        const stale = stuck.claims
        let consumer: GroupConsumer | undefined
        const joining = GroupConsumer.join(f.engine, options, copyTo(f, out)).then((joined) => {
          consumer = joined
        })
        for (let step = 0; step < 30 && (consumer?.member.claims.length ?? 0) < 2; step++) {
          consumer?.member.heartbeat()
          await f.clock.advance(1000)
          await f.engine.groups.list()
        }
        await joining
        assert.ok(consumer)
        await f.eventually('the other member handled everything', () => consumer?.committedCount === 40)
        for (const claim of stale) {
          await f.conflict(
            {
              ...copyTo(f, out)((await f.read(topic))[0] as never, claim),
              progress: [{ claim, done: [{ from: 0, to: 1 }] }],
            },
            'fenced',
          )
        }
        await consumer.leave()
        assert.deepEqual(sorted(await copies(f, out)), upTo(40))
      },
    },
    {
      name: 'exactly once: order of a key is kept over rebalances',
      async run(f) {
        const [topic, out] = [await f.topic({ partitions: 3 }), await f.topic()]
        const options = { group: f.name('group'), topics: [topic] }
        const effect: EffectOf = (record) => ({
          publish: [
            { topic: out, partition: 0, messages: [f.message('Copied', [record.key, messageOf(record).data])] },
          ],
        })
        const one = await GroupConsumer.join(f.engine, options, effect)
        let two: GroupConsumer | undefined
        for (let n = 0; n < 40; n++) {
          await f.publish(
            topic,
            ['a', 'b', 'c'].map((key) => f.message('Numbered', n, { partitionkey: key })),
          )
          if (n === 10) two = await GroupConsumer.join(f.engine, options, effect)
          if (n === 25) await one.leave()
        }
        await f.eventually('all records handled', async () => (await f.recordCount(out)) >= 120)
        await two?.leave()
        const seen = (await f.data(out)) as [string, number][]
        for (const key of ['a', 'b', 'c'])
          assert.deepEqual(
            seen.filter(([k]) => k === key).map(([, n]) => n),
            upTo(40),
          )
      },
    },
    {
      name: 'exactly once: two groups each handle everything',
      async run(f) {
        const topic = await f.topic({ partitions: 2 })
        const outs = [await f.topic(), await f.topic()]
        const join = (out: string): Promise<GroupConsumer> =>
          GroupConsumer.join(f.engine, { group: f.name('group'), topics: [topic] }, copyTo(f, out))
        const consumers = await Promise.all(outs.map(join))
        await Promise.all(upTo(30).map((n) => f.publish(topic, f.numbered(1, n))))
        await f.eventually('all handled by both', () => consumers.every(({ committedCount }) => committedCount === 30))
        await Promise.all(consumers.map((consumer) => consumer.leave()))
        for (const out of outs) assert.deepEqual(sorted(await copies(f, out)), upTo(30))
      },
    },
    {
      name: 'exactly once: a count in state agrees with the log',
      requires: atomic('state', 'progress'),
      async run(f) {
        const topic = await f.topic({ partitions: 4 })
        const namespace = f.name('counts')
        const counts = new Map<string, number>()
        const effect: EffectOf = (_record, { partition }) => {
          const key = `p${partition}`
          const value = (counts.get(key) ?? 0) + 1
          counts.set(key, value)
          return { state: [{ kind: 'set', namespace, key, value, expectedRevision: value - 1 }] }
        }
        const options = { group: f.name('group'), topics: [topic] }
        const one = await GroupConsumer.join(f.engine, options, effect)
        const two = await GroupConsumer.join(f.engine, options, effect)
        await Promise.all(upTo(60).map((n) => f.publish(topic, f.numbered(1, n))))
        await f.eventually('all handled', () => one.committedCount + two.committedCount === 60)
        await Promise.all([one.leave(), two.leave()])
        const description = await f.engine.topics.describe(topic)
        for (const { partition } of description?.partitions ?? []) {
          const records = await f.read(topic, partition)
          assert.equal((await f.value(namespace, `p${partition}`)) ?? 0, records.length)
        }
      },
    },
  ] satisfies readonly ConformanceCase[]
).map((one: ConformanceCase) => ({
  ...one,
  requires: all(atomic('topics', 'progress'), one.requires ?? (() => true)),
}))
