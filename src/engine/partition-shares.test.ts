import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type SharedPartition, type SharingMember, sharePartitions } from './partition-shares.ts'

const topicsOf = (...counts: readonly number[]): SharedPartition[] =>
  counts.flatMap((count, topic) => Array.from({ length: count }, () => ({ topic: `t${topic}`, owner: undefined })))

const owned = (partitions: readonly SharedPartition[], owners: readonly (string | undefined)[]): SharedPartition[] =>
  partitions.map(({ topic }, i) => ({ topic, owner: owners[i] }))

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
const arbitraryPartitions = fc.array(
  fc.record({ topic: fc.constantFrom(...someTopics), owner: fc.constantFrom(undefined, 'm0', 'm1', 'm2', 'gone') }),
  { maxLength: 6 },
)

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
    const partitions = topicsOf(4, 4).map(({ topic }) => ({ topic, owner: 'm0' }))
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
    const one = topicsOf(1000).map(({ topic }) => ({ topic, owner: 'm0' }))
    const counts = sizes(membersOf(50), sharePartitions(membersOf(50, 't0'), one))
    expect(new Set(counts)).toEqual(new Set([20]))
  })
})
