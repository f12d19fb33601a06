import type { Engine, PartitionLag } from '../engine/index.ts'
import type { Subscription } from '../runtime/index.ts'
import { subscriptionsOf } from './running-subscriptions.ts'

/** The ends of all topics, if everything up to them is handled by all starts of an app in this process. */
export async function quietAt(engine: Engine, app: string): Promise<string | undefined> {
  const subscriptions = subscriptionsOf(engine, app)
  for (const subscription of subscriptions) if (!(await subscription.isQuiet())) return undefined
  if (((await engine.inTransit?.()) ?? []).length > 0) return undefined
  const groups = Map.groupBy(subscriptions, ({ group }) => group)
  const looks = await Promise.all(Array.from(groups, ([group, members]) => endsOf(engine, group, members)))
  const ends: string[] = []
  for (const look of looks) {
    if (look === undefined) return undefined
    ends.push(...look)
  }
  return ends.length === 0 ? 'nothing' : ends.join(' ')
}

/** Where the partitions of a group end, if its members have all of them and are done with what is there. */
async function endsOf(
  engine: Engine,
  group: string,
  subscriptions: readonly Subscription[],
): Promise<string[] | undefined> {
  const { lag = [], members = [] } = (await engine.groups.describe(group)) ?? {}
  // A broker may have given it partitions of which it has not heard.
  if (!subscriptions.every((subscription) => subscription.looksAfterAll(members))) return undefined
  const owned = new Set(members.flatMap(({ claims }) => claims.map(({ topic, partition }) => `${topic}/${partition}`)))
  const ends: string[] = []
  for (const { topic, partition, latest, lagMessages } of lag) {
    const place = `${topic}/${partition}`
    // On its way from one member to another: neither of them knows what is to be done there.
    if (lagMessages > 0 || !owned.has(place)) return undefined
    ends.push(`${group} ${place}:${latest}`)
  }
  const topics = [...new Set(subscriptions.flatMap((subscription) => subscription.topics))]
  return (await hasBegun(engine, topics, lag)) ? ends : undefined
}

/** Nobody tells a lag where a group has not begun: its members have joined, and their claims are on the way. */
export async function hasBegun(
  engine: Engine,
  topics: readonly string[],
  lag: readonly PartitionLag[],
): Promise<boolean> {
  const descriptions = await Promise.all(topics.map((topic) => engine.topics.describe(topic)))
  return topics.every((topic, i) => {
    const partitionCount = descriptions[i]?.partitions.length ?? 0
    return lag.filter((one) => one.topic === topic).length >= partitionCount
  })
}
