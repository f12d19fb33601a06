import assert from 'node:assert/strict'
import type { JoinOptions } from '../groups.ts'
import { atomic, type ConformanceCase } from './conformance-case.ts'
import { type Fixture, messageOf } from './fixture.ts'
import { GroupConsumer } from './group-consumer.ts'

type Options = Pick<JoinOptions, 'group' | 'topics' | 'together'>

/** A member that copies the number of each record to `out`. */
function copier(f: Fixture, options: Options, out: string): Promise<GroupConsumer> {
  return GroupConsumer.join(f.engine, options, (record) => ({
    publish: [{ topic: out, partition: 0, messages: [f.message('Copied', messageOf(record).data)] }],
  }))
}

function placesOf({ member }: GroupConsumer): string[] {
  return member.claims.map(({ topic, partition }) => `${topic}/${partition}`).toSorted()
}

const allOf = (count: number, ...topics: readonly string[]): string[] =>
  topics.flatMap((topic) => Array.from({ length: count }, (_, partition) => `${topic}/${partition}`)).toSorted()

/** Partitions that shall go to one member. */
export const togetherCases: readonly ConformanceCase[] = (
  [
    {
      name: 'together: one member gets all partitions; when it leaves, another one gets them and goes on',
      async run(f) {
        const [a, b, out] = [await f.topic({ partitions: 3 }), await f.topic({ partitions: 2 }), await f.topic()]
        const options = { group: f.name('group'), topics: [a, b], together: 'all' } as const
        const members = await Promise.all([1, 2, 3].map(() => copier(f, options, out)))
        const everything = [...allOf(3, a), ...allOf(2, b)].toSorted()
        const count = everything.length
        for (let left = members.length; left > 0; left--) {
          await f.eventually('one member has everything', () => {
            const owners = members.filter((one) => placesOf(one).length > 0)
            return owners.length === 1 && placesOf(owners[0] as GroupConsumer).length === count
          })
          const owner = members.find((one) => placesOf(one).length > 0) as GroupConsumer
          assert.deepEqual(placesOf(owner), everything)
          const from = (members.length - left) * 6
          for (let n = from; n < from + 6; n++) {
            const topic = n % 2 === 0 ? a : b
            await f.publish(topic, f.numbered(1, n), { partition: n % 2 })
          }
          await f.eventually('all records handled', async () => (await f.recordCount(out)) >= from + 6)
          await owner.leave()
        }
        const copied = (await f.data(out)).map(Number).toSorted((one, other) => one - other)
        assert.deepEqual(
          copied,
          Array.from({ length: 18 }, (_, n) => n),
        )
      },
    },
    {
      name: 'together: partitions of one number of several topics have one owner, and members share the numbers evenly',
      async run(f) {
        const [a, b, out] = [await f.topic({ partitions: 4 }), await f.topic({ partitions: 4 }), await f.topic()]
        const options = { group: f.name('group'), topics: [a, b], together: 'numbers' } as const
        const members = [await copier(f, options, out), await copier(f, options, out)]
        await f.eventually('even shares', () => members.every((one) => placesOf(one).length === 4))
        for (const one of members) {
          const numbersOf = (topic: string): number[] =>
            one.member.claims
              .flatMap((claim) => (claim.topic === topic ? [claim.partition] : []))
              .toSorted((first, second) => first - second)
          assert.deepEqual(numbersOf(a), numbersOf(b))
        }
        assert.deepEqual(members.flatMap(placesOf).toSorted(), allOf(4, a, b))
        await Promise.all(members.map((one) => one.leave()))
      },
    },
    {
      name: 'together: anything but numbers and all is refused',
      async run(f) {
        const topic = await f.topic()
        const options = { group: f.name('group'), topics: [topic], together: 'everything' } as never
        await assert.rejects(
          GroupConsumer.join(f.engine, options, () => ({})),
          { code: 'ARGUMENT_INVALID' },
        )
      },
    },
  ] satisfies readonly Omit<ConformanceCase, 'requires'>[]
).map((one) => ({ ...one, requires: atomic('topics', 'progress') }))
