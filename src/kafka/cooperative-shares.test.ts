import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TopicShare } from './consumer-protocol.ts'
import { readAssignment, readSubscription, writeAssignment, writeSubscription } from './consumer-protocol.ts'
import { cooperativeShares, type SubscribedMember } from './cooperative-shares.ts'

const counts: Readonly<Record<string, number>> = { a: 7, b: 3 }
const countOf = (topic: string): number => counts[topic] ?? 0

function places(shares: readonly TopicShare[]): string[] {
  return shares.flatMap(({ topic, partitions }) => partitions.map((partition) => `${topic}/${partition}`))
}

const wanted = fc.subarray(['a', 'b', 'none'], { minLength: 1 })
const groups = fc.uniqueArray(fc.tuple(fc.string({ minLength: 1, maxLength: 4 }), wanted), {
  minLength: 1,
  maxLength: 6,
  selector: ([id]) => id,
})

/** Rounds until nobody has to give anything back. */
function settle(members: readonly (readonly [string, string[]])[], owned: Map<string, readonly TopicShare[]>) {
  for (let round = 1; round <= 4; round++) {
    const subscribed = members.map(([id, topics]): SubscribedMember => {
      return { id, subscription: { topics, owned: owned.get(id) ?? [], generation: round } }
    })
    const shares = cooperativeShares(subscribed, countOf)
    // Who gives something back does so before the next round; until then nobody else was given it.
    const before = new Map(members.flatMap(([id]) => places(owned.get(id) ?? []).map((place) => [place, id] as const)))
    for (const [id, share] of shares) {
      for (const place of places(share)) expect(before.get(place) ?? id).toBe(id)
    }
    const isSettled = members.every(([id]) => {
      const kept = new Set(places(shares.get(id) ?? []))
      return places(owned.get(id) ?? []).every((place) => kept.has(place))
    })
    for (const [id, share] of shares) owned.set(id, share)
    if (isSettled && round > 1) return owned
  }
  return owned
}

describe('sharing in rounds', () => {
  it('gives every partition that somebody wants to exactly one, and never to two on the way', () => {
    fc.assert(
      fc.property(groups, groups, (first, second) => {
        const owned = settle(first, new Map())
        const staying = new Map([...owned].filter(([id]) => second.some(([other]) => other === id)))
        // What a member no longer wants it does not tell as its own.
        for (const [id, shares] of staying) {
          const topics = second.find(([other]) => other === id)?.[1] ?? []
          staying.set(
            id,
            shares.filter(({ topic }) => topics.includes(topic)),
          )
        }
        const settled = settle(second, staying)
        const given = second.flatMap(([id]) => places(settled.get(id) ?? []))
        const topics = new Set(second.flatMap(([, names]) => names))
        const all = [...topics].flatMap((topic) => Array.from({ length: countOf(topic) }, (_, n) => `${topic}/${n}`))
        expect(given.toSorted()).toEqual(all.toSorted())
      }),
    )
  })

  it('believes the one who was given a partition later', () => {
    const owned = [{ topic: 'b', partitions: [0, 1, 2] }]
    const shares = cooperativeShares(
      [
        { id: 'old', subscription: { topics: ['b'], owned, generation: 3 } },
        { id: 'new', subscription: { topics: ['b'], owned, generation: 4 } },
      ],
      countOf,
    )
    expect(shares.get('old')).toEqual([])
    expect(places(shares.get('new') ?? [])).toHaveLength(2)
  })
})

describe('the embedded consumer protocol', () => {
  const shares = [
    { topic: 'orders', partitions: [0, 5] },
    { topic: 'größe', partitions: [] },
  ]

  it('gives subscriptions and assignments back as they were', () => {
    const subscription = { topics: ['orders', 'größe'], owned: shares, generation: 9 }
    expect(readSubscription(writeSubscription(subscription))).toEqual(subscription)
    for (const together of ['numbers', 'all'] as const) {
      expect(readSubscription(writeSubscription({ ...subscription, together })).together).toBe(together)
    }
    expect(readAssignment(writeAssignment(shares))).toEqual(shares)
    expect(readAssignment(Buffer.alloc(0))).toEqual([])
  })

  it('reads subscriptions of version 0, as old clients send them', () => {
    const bytes = Buffer.from('00000000000100016100000003616263', 'hex')
    expect(readSubscription(bytes)).toEqual({ topics: ['a'], owned: [], generation: -1 })
  })
})
