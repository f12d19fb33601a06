import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { type Choices, choosing } from './choices.ts'
import { all, atomic, type ConformanceCase, survivesClose } from './conformance-case.ts'
import { type Fixture, messageOf } from './fixture.ts'
import { type EffectOf, GroupConsumer } from './group-consumer.ts'

/** Each record becomes one message in `out`, with the number of the record as its data. */
function copyTo(f: Fixture, out: string): EffectOf {
  return (record) => ({
    publish: [{ topic: out, partition: 0, messages: [f.message('Copied', messageOf(record).data)] }],
  })
}

async function copies(f: Fixture, out: string): Promise<number[]> {
  return (await f.data(out)).map(Number).toSorted((a, b) => a - b)
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index)

/** Joins, handles for a while, and leaves: at a moment of its own choosing. */
async function comeAndGo(f: Fixture, options: { group: string; topics: string[] }, out: string, choices: Choices) {
  for (let turn = choices.between(0, 5); turn > 0; turn--) await f.turn()
  const member = await GroupConsumer.join(f.engine, options, copyTo(f, out))
  for (let turn = choices.between(0, 20); turn > 0; turn--) await f.turn()
  await member.leave()
}

/** Many members that come and go at the same time, and groups that come late. */
export const membershipCases: readonly ConformanceCase[] = (
  [
    choosing({
      name: 'membership: members that all come and go at once leave nothing behind and nothing undone',
      async run(f, choices) {
        const [topic, out] = [await f.topic({ partitions: 4 }), await f.topic()]
        const options = { group: f.name('group'), topics: [topic] }
        for (let round = 0; round < 3; round++) {
          const publishing = Promise.all(
            upTo(20).map((n) => f.publish(topic, f.numbered(1, round * 20 + n), { partition: n % 4 })),
          )
          await Promise.all(upTo(10).map(() => comeAndGo(f, options, out, choices.fork())))
          await publishing
          assert.deepEqual((await f.engine.groups.describe(options.group))?.members ?? [], [])
        }
        const last = await GroupConsumer.join(f.engine, options, copyTo(f, out))
        await f.eventually('all records handled', async () => (await f.recordCount(out)) >= 60)
        await last.leave()
        assert.deepEqual(await copies(f, out), upTo(60))
      },
    }),
    {
      name: 'membership: fifty members at once share four partitions and handle everything once',
      async run(f) {
        const [topic, out] = [await f.topic({ partitions: 4 }), await f.topic()]
        const options = { group: f.name('group'), topics: [topic] }
        const publishing = Promise.all(upTo(200).map((n) => f.publish(topic, f.numbered(1, n), { partition: n % 4 })))
        const members = await Promise.all(upTo(50).map(() => GroupConsumer.join(f.engine, options, copyTo(f, out))))
        await publishing
        await f.eventually('all records handled', async () => (await f.recordCount(out)) >= 200)
        // All can be handled while partitions still move from those who were early to those who came late.
        await f.eventually('each partition has one member', () => {
          const claims = members.flatMap(({ member }) => member.claims.map(({ partition }) => partition))
          return isDeepStrictEqual(
            claims.toSorted((a, b) => a - b),
            [0, 1, 2, 3],
          )
        })
        await Promise.all(members.map((member) => member.leave()))
        assert.deepEqual(await copies(f, out), upTo(200))
      },
    },
    {
      name: 'membership: each group that comes later handles what was there before it, the others only what is new',
      async run(f) {
        const topic = await f.topic({ partitions: 2 })
        const consumers: { readonly out: string; readonly consumer: GroupConsumer }[] = []
        for (let round = 0; round < 4; round++) {
          await f.publish(topic, f.numbered(1, round * 2), { partition: 0 })
          await f.publish(topic, f.numbered(1, round * 2 + 1), { partition: 1 })
          const out = await f.topic()
          const options = { group: f.name('group'), topics: [topic] }
          consumers.push({ out, consumer: await GroupConsumer.join(f.engine, options, copyTo(f, out)) })
          const count = (round + 1) * 2
          for (const one of consumers) {
            await f.eventually('what there is', () => one.consumer.committedCount === count)
            assert.deepEqual(await copies(f, one.out), upTo(count))
          }
        }
        await Promise.all(consumers.map(({ consumer }) => consumer.leave()))
      },
    },
    {
      name: 'membership: a group from the end beside one from the start, and where both go on after a restart',
      requires: survivesClose,
      async run(f) {
        const topic = await f.topic()
        const groups = [f.name('group'), f.name('group')] as const
        const outs = [await f.topic(), await f.topic()] as const
        const handle = async (first: number, count: number): Promise<void> => {
          const [early, late] = await Promise.all([
            GroupConsumer.join(f.engine, { group: groups[0], topics: [topic] }, copyTo(f, outs[0])),
            GroupConsumer.join(f.engine, { group: groups[1], topics: [topic], from: 'latest' }, copyTo(f, outs[1])),
          ])
          await f.eventually('claims', () => [early, late].every(({ member }) => member.claims.length === 1))
          await f.publish(topic, f.numbered(count, first))
          const last = first + count
          await f.eventually('both done', async () =>
            (await Promise.all(outs.map((out) => copies(f, out)))).every((numbers) => numbers.includes(last - 1)),
          )
          await Promise.all([early.leave(), late.leave()])
        }
        await f.publish(topic, f.numbered(10))
        await handle(10, 5)
        await f.publish(topic, f.numbered(5, 15))
        await f.reopen()
        await handle(20, 5)
        assert.deepEqual(await copies(f, outs[0]), upTo(25))
        assert.deepEqual(await copies(f, outs[1]), upTo(25).slice(10))
      },
    },
  ] satisfies readonly ConformanceCase[]
).map((one: ConformanceCase) => ({
  ...one,
  requires: all(atomic('topics', 'progress'), one.requires ?? (() => true)),
}))
