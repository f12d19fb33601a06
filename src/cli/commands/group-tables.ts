import type { Engine, GroupDescription, PartitionLag } from '../../engine/index.ts'

/** Lag of a group over several partitions. */
export interface GroupLag {
  readonly group: string
  readonly topics: readonly string[]
  readonly lagMessages: number
  /** Of the oldest record that waits. */
  readonly lagSeconds: number
  readonly partitions: readonly PartitionLag[]
}

/** All groups, or those with these names, in name order. */
export async function groupDescriptions(
  engine: Engine,
  names: readonly string[] | undefined,
): Promise<readonly GroupDescription[]> {
  const described = await Promise.all(
    (names ?? (await engine.groups.list())).map((name) => engine.groups.describe(name)),
  )
  // A group may go between the two looks.
  return described.filter((group) => group !== undefined)
}

export function lagOf({ group, lag }: GroupDescription): GroupLag {
  return {
    group,
    topics: [...new Set(lag.map(({ topic }) => topic))],
    lagMessages: lag.reduce((sum, { lagMessages }) => sum + lagMessages, 0),
    lagSeconds: lag.reduce((most, { lagSeconds }) => Math.max(most, lagSeconds), 0),
    partitions: lag,
  }
}

/** Groups that have progress on a topic, with their lag there. */
export async function groupsOfTopic(
  engine: Engine,
  topic: string,
): Promise<readonly { readonly group: string; readonly lagMessages: number; readonly lagSeconds: number }[]> {
  const described = await groupDescriptions(engine, undefined)
  return described.flatMap((description) => {
    const lag = description.lag.filter((one) => one.topic === topic)
    if (lag.length === 0) return []
    const { group, lagMessages, lagSeconds } = lagOf({ ...description, lag })
    return [{ group, lagMessages, lagSeconds }]
  })
}
