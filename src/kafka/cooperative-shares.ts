import { type SharedPartition, sharePartitions } from '../engine/index.ts'
import type { Subscription, TopicShare } from './consumer-protocol.ts'

/** A member with what it wants and has. */
export interface SubscribedMember {
  readonly id: string
  readonly subscription: Subscription
}

/**
 * What each member shall have in this round. A partition that shall move is given to nobody yet: its owner lets go of it
 * first and asks for the next round, in which it is free (KIP-429, cooperative rebalance).
 *
 * @param partitionCountOf 0 for a topic that is not there.
 */
export function cooperativeShares(
  members: readonly SubscribedMember[],
  partitionCountOf: (topic: string) => number,
): ReadonlyMap<string, readonly TopicShare[]> {
  const ordered = members.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const owners = ownersOf(ordered)
  const topics = [...new Set(ordered.flatMap(({ subscription }) => subscription.topics))].sort()
  const places = topics.flatMap((topic) =>
    Array.from({ length: partitionCountOf(topic) }, (_, partition) => ({ topic, partition })),
  )
  const partitions = places.map(({ topic, partition }): SharedPartition => {
    return { topic, partition, owner: owners.get(`${topic}/${partition}`) }
  })
  const target = sharePartitions(
    ordered.map(({ id, subscription: { topics, together } }) => ({ id, topics, together })),
    partitions,
  )
  const shares = new Map(ordered.map(({ id }) => [id, new Map<string, number[]>()]))
  for (const [i, { topic, partition }] of places.entries()) {
    const { owner } = partitions[i] as SharedPartition
    const next = target[i]
    if (next === undefined || (owner !== undefined && owner !== next)) continue
    const own = shares.get(next) as Map<string, number[]>
    own.set(topic, [...(own.get(topic) ?? []), partition])
  }
  return new Map(
    [...shares].map(([id, own]) => [id, [...own].map(([topic, ofTopic]) => ({ topic, partitions: ofTopic }))]),
  )
}

/** Who has what. Of two who say that they have it, the one who was told so later is right. */
function ownersOf(members: readonly SubscribedMember[]): ReadonlyMap<string, string> {
  const owners = new Map<string, { readonly id: string; readonly generation: number }>()
  for (const { id, subscription } of members) {
    for (const { topic, partitions } of subscription.owned) {
      for (const partition of partitions) {
        const place = `${topic}/${partition}`
        const known = owners.get(place)
        if (known === undefined || known.generation < subscription.generation) {
          owners.set(place, { id, generation: subscription.generation })
        }
      }
    }
  }
  return new Map([...owners].map(([place, { id }]) => [place, id]))
}
