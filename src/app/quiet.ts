import type { Engine, PartitionLag } from '../engine/index.ts'
import { subscriptionsOf } from './running-subscriptions.ts'

/** The ends of all topics, if everything up to them is handled by all starts of an app in this process. */
export async function quietAt(engine: Engine, app: string): Promise<string | undefined> {
  const subscriptions = subscriptionsOf(engine, app)
  for (const subscription of subscriptions) if (!(await subscription.isQuiet())) return undefined
  if ((await engine.isSettled?.()) === false) return undefined
  const ends: string[] = []
  for (const [group, topics] of new Map(subscriptions.map((one) => [one.group, one.topics]))) {
    const { lag = [], members = [] } = (await engine.groups.describe(group)) ?? {}
    const owned = new Set(
      members.flatMap(({ claims }) => claims.map(({ topic, partition }) => `${topic}/${partition}`)),
    )
    for (const { topic, partition, latest, lagMessages } of lag) {
      const place = `${topic}/${partition}`
      // On its way from one member to another: neither of them knows what is to be done there.
      if (lagMessages > 0 || !owned.has(place)) return undefined
      ends.push(`${group} ${place}:${latest}`)
    }
    if (!(await hasBegun(engine, topics, lag))) return undefined
  }
  return ends.length === 0 ? 'nothing' : ends.join(' ')
}

/** Nobody tells a lag where a group has not begun: its members have joined, and their claims are on the way. */
export async function hasBegun(
  engine: Engine,
  topics: readonly string[],
  lag: readonly PartitionLag[],
): Promise<boolean> {
  for (const topic of topics) {
    const partitionCount = (await engine.topics.describe(topic))?.partitions.length ?? 0
    if (lag.filter((one) => one.topic === topic).length < partitionCount) return false
  }
  return true
}
