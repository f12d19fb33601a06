import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type SharedPartition, type SharingMember, sharePartitions } from './partition-shares.ts'

const topicsOf = (...counts: readonly number[]): SharedPartition[] =>
  counts.flatMap((count, topic) =>
    Array.from({ length: count }, (_, partition) => ({ topic: `t${topic}`, partition, owner: undefined })),
  )

const owned = (partitions: readonly SharedPartition[], owners: readonly (string | undefined)[]): SharedPartition[] =>
  partitions.map((one, i) => ({ ...one, owner: owners[i] }))

const membersOf = (count: number, ...topics: readonly string[]): SharingMember[] =>
  Array.from({ length: count }, (_, i) => ({ id: `m${i}`, topics }))

const sizes = (members: readonly SharingMember[], owners: readonly (string | undefined)[]): number[] =>
  members.map(({ id }) => owners.filter((owner) => owner === id).length)

/** The smallest possible sum of squares of the shares: tries everything. */
function bestSum(members: readonly SharingMember[], partitions: readonly SharedPartition[], at = 0): number {
  const counts = new Map<string, number>()
  let best = Number.POSITIVE_INFINITY
  const place = (i: number): void => {
    const partition = partitions[i]
    if (partition === undefined) {
      best = Math.min(
        best,
        [...counts.values()].reduce((sum, n) => sum + n * n, 0),
      )
      return
    }
    const takers = members.filter(({ topics }) => topics.includes(partition.topic))
    if (takers.length === 0) place(i + 1)
    for (const { id } of takers) {
      counts.set(id, (counts.get(id) ?? 0) + 1)
      place(i + 1)
      counts.set(id, (counts.get(id) ?? 0) - 1)
    }
  }
  place(at)
  return best
}

const someTopics = ['t0', 't1', 't2']
const arbitraryMembers = fc
  .array(fc.subarray(someTopics), { minLength: 1, maxLength: 4 })
  .map((all) => all.map((topics, i): SharingMember => ({ id: `m${i}`, topics })))
const arbitraryPartitions = fc
  .array(
    fc.record({ topic: fc.constantFrom(...someTopics), owner: fc.constantFrom(undefined, 'm0', 'm1', 'm2', 'gone') }),
    { maxLength: 6 },
  )
  .map((all) => all.map((one, partition): SharedPartition => ({ ...one, partition })))

describe('sharing partitions', () => {
  it('spreads topics of one partition over all members, not over the first', () => {
    const members = membersOf(3, 't0', 't1', 't2', 't3', 't4', 't5')
    expect(sizes(members, sharePartitions(members, topicsOf(1, 1, 1, 1, 1, 1)))).toEqual([2, 2, 2])
  })

  it('gives every member its part of each topic where nobody has anything yet', () => {
    const members = membersOf(2, 't0', 't1')
    const owners = sharePartitions(members, topicsOf(4, 4))
    expect(sizes(members, owners.slice(0, 4))).toEqual([2, 2])
    expect(sizes(members, owners.slice(4))).toEqual([2, 2])
  })

  it('takes from each topic alike for a member that joins', () => {
    const partitions = topicsOf(4, 4).map((one) => ({ ...one, owner: 'm0' }))
    const owners = sharePartitions(membersOf(2, 't0', 't1'), partitions)
    expect(sizes(membersOf(2), owners.slice(0, 4))).toEqual([2, 2])
    expect(sizes(membersOf(2), owners.slice(4))).toEqual([2, 2])
  })

  it('moves by a chain where no member can take directly what another has too many of', () => {
    const members = [
      { id: 'm0', topics: ['t0'] },
      { id: 'm1', topics: ['t0', 't1'] },
      { id: 'm2', topics: ['t1'] },
    ]
    const owners = ['m0', 'm0', 'm0', 'm1', 'm1', 'm2']
    const partitions = owned(topicsOf(3, 3), owners)
    expect(sizes(members, sharePartitions(members, partitions))).toEqual([2, 2, 2])
  })

  it('leaves alone what nobody wants, and members beyond the number of partitions without any', () => {
    expect(sharePartitions(membersOf(2, 't0'), topicsOf(0, 2))).toEqual([undefined, undefined])
    expect(sharePartitions([], topicsOf(1))).toEqual([undefined])
    expect(sizes(membersOf(3, 't0'), sharePartitions(membersOf(3, 't0'), topicsOf(2)))).toEqual([1, 1, 0])
  })

  it('is as even as can be, serves only who wants the topic, and is its own answer', () => {
    fc.assert(
      fc.property(arbitraryMembers, arbitraryPartitions, (members, partitions) => {
        const owners = sharePartitions(members, partitions)
        for (const [i, owner] of owners.entries()) {
          const { topic } = partitions[i] as SharedPartition
          const isWanted = members.some(({ topics }) => topics.includes(topic))
          expect(owner !== undefined).toBe(isWanted)
          expect(members.find(({ id }) => id === owner)?.topics.includes(topic) ?? false).toBe(isWanted)
        }
        const sum = sizes(members, owners).reduce((total, n) => total + n * n, 0)
        expect(sum).toBe(bestSum(members, partitions))
        expect(sharePartitions(members, owned(partitions, owners))).toEqual(owners)
      }),
      { numRuns: 300 },
    )
  })

  it('moves no more than an even share takes when all want the same', () => {
    const arbitraryCount = fc.integer({ min: 1, max: 8 })
    fc.assert(
      fc.property(arbitraryCount, arbitraryCount, fc.integer({ min: 1, max: 40 }), (before, after, count) => {
        const first = sharePartitions(membersOf(before, 't0'), topicsOf(count))
        const second = sharePartitions(membersOf(after, 't0'), owned(topicsOf(count), first))
        const counts = sizes(membersOf(Math.max(before, after)), first)
        const left = counts.slice(after).reduce((sum, n) => sum + n, 0)
        // Of those who stay, the ones with most get the larger shares, and give only what is above them.
        const staying = counts.slice(0, after).toSorted((a, b) => b - a)
        const shareOf = (i: number): number => Math.floor(count / after) + (i < count % after ? 1 : 0)
        const above = staying.reduce((sum, n, i) => sum + Math.max(0, n - shareOf(i)), 0)
        expect(first.filter((owner, i) => owner !== second[i]).length).toBe(left + above)
      }),
    )
  })

  it('copes with a thousand partitions and fifty members', () => {
    const one = topicsOf(1000).map((one) => ({ ...one, owner: 'm0' }))
    const counts = sizes(membersOf(50), sharePartitions(membersOf(50, 't0'), one))
    expect(new Set(counts)).toEqual(new Set([20]))
  })
})

describe('sharing partitions that stay together', () => {
  const together = (wish: 'numbers' | 'all', members: readonly SharingMember[]): SharingMember[] =>
    members.map((member, i) => (i === 0 ? { ...member, together: wish } : member))

  it('gives the same numbers of all topics to one, as even as that allows, moving few', () => {
    const members = together('numbers', membersOf(2, 't0', 't1'))
    const first = sharePartitions(members, topicsOf(4, 4))
    expect(first.slice(0, 4)).toEqual(first.slice(4))
    expect(sizes(members, first)).toEqual([4, 4])
    const third = sharePartitions(together('numbers', membersOf(3, 't0', 't1')), owned(topicsOf(4, 4), first))
    expect(first.filter((owner, i) => owner !== third[i]).length).toBe(2)
  })

  it('takes a number for whoever has most of it when a group begins to stay together', () => {
    const apart = owned(topicsOf(2, 2), ['m0', 'm1', 'm1', 'm0'])
    const owners = sharePartitions(together('numbers', membersOf(2, 't0', 't1')), apart)
    expect(owners).toEqual(['m0', 'm1', 'm0', 'm1'])
  })

  it('gives everything to one while topics differ in their number of partitions', () => {
    const owners = sharePartitions(together('numbers', membersOf(3, 't0', 't1')), topicsOf(4, 2))
    expect(new Set(owners).size).toBe(1)
  })

  it('gives everything to one, whatever they had and whoever asked for it', () => {
    const members = together('all', membersOf(3, 't0', 't1'))
    const [owner, ...others] = new Set(sharePartitions(members, topicsOf(3, 5)))
    expect(others).toEqual([])
    const apart = owned(topicsOf(3, 5), ['m0', 'm1', 'm2', 'm0', 'm1', 'm2', 'm0', 'm1'])
    expect(new Set(sharePartitions(members.toReversed(), apart))).toEqual(new Set([owner]))
  })

  it('spreads groups over their members', () => {
    const owners = Array.from({ length: 40 }, (_, group) => {
      const members = membersOf(2, 't0').map(({ id, topics }) => ({ id: `${group}-${id}`, topics }))
      return sharePartitions(together('all', members), topicsOf(2))[0]?.split('-')[1]
    })
    expect(new Set(owners)).toEqual(new Set(['m0', 'm1']))
  })

  it('serves who wants all topics of what stays together; where nobody does, each partition by itself', () => {
    const members = [
      { id: 'old', topics: ['t0'] },
      { id: 'new', topics: ['t0', 't1'], together: 'numbers' as const },
    ]
    expect(sharePartitions(members, topicsOf(2, 2))).toEqual(['new', 'new', 'new', 'new'])
    const apart = [
      { id: 'a', topics: ['t0'], together: 'all' as const },
      { id: 'b', topics: ['t1'] },
    ]
    expect(sharePartitions(apart, topicsOf(2, 2))).toEqual(['a', 'a', 'b', 'b'])
  })

  it('is its own answer, and keeps together what it can', () => {
    const wish = fc.constantFrom('numbers' as const, 'all' as const)
    fc.assert(
      fc.property(arbitraryMembers, arbitraryPartitions, wish, (members, partitions, together) => {
        const asking = members.map((member) => ({ ...member, together }))
        const owners = sharePartitions(asking, partitions)
        expect(sharePartitions(asking, owned(partitions, owners))).toEqual(owners)
        const topics = new Set(partitions.map(({ topic }) => topic))
        const isOne = members.some((member) => [...topics].every((topic) => member.topics.includes(topic)))
        const areTogether = together !== 'all' || !isOne || new Set(owners).size <= 1
        expect(areTogether).toBe(true)
        for (const [i, owner] of owners.entries()) {
          const { topic } = partitions[i] as SharedPartition
          if (owner === undefined) continue
          expect(members.find(({ id }) => id === owner)?.topics).toContain(topic)
        }
      }),
      { numRuns: 300 },
    )
  })
})
