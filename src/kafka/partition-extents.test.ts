import { describe, expect, it } from 'vitest'
import type { Cluster } from './cluster.ts'
import { KafkaUnreachableError } from './errors.ts'
import { PartitionExtents } from './partition-extents.ts'
import type { Partition, TopicCatalog } from './topic-catalog.ts'

type AskedTopics = readonly { readonly name: string; readonly partitions: readonly { partitionIndex: number }[] }[]

const partitionOf = (topic: string): Partition =>
  ({
    topic,
    number: 0,
    leaderId: 1,
    isGone: false,
    latest: 2,
    advance: () => undefined,
  }) as unknown as Partition

/** Leaders that know of the ends of these topics, and a catalogue that finds out who is gone when it is asked to look. */
function extentsOf(ends: ReadonlyMap<string, number>, partitions: readonly Partition[]) {
  const asked: string[] = []
  const looked: string[] = []
  const obstacle = (reason: string): KafkaUnreachableError => new KafkaUnreachableError(['broker'], reason)
  const persist = async (attempt: () => Promise<unknown>): Promise<unknown> => {
    for (let turn = 0; turn < 10; turn++) {
      try {
        return await attempt()
      } catch (error) {
        if (!(error instanceof KafkaUnreachableError)) throw error
      }
    }
    throw new Error('tried ten times')
  }
  const call = async (_name: string, _api: unknown, _replica: number, _isolation: number, topics: AskedTopics) => {
    asked.push(...topics.map(({ name }) => name))
    return {
      topics: topics.map(({ name, partitions: ofTopic }) => ({
        name,
        partitions: ofTopic.map(({ partitionIndex }) => ({
          partitionIndex,
          errorCode: ends.has(name) ? 0 : 3,
          offset: BigInt(ends.get(name) ?? -1),
        })),
      })),
    }
  }
  const cluster = { persist, obstacle, within: () => ({}), link: async () => ({ call }), protocol: {} }
  const refresh = async (names: ReadonlySet<string>): Promise<void> => {
    looked.push(...names)
    for (const one of partitions)
      if (names.has(one.topic) && !ends.has(one.topic)) (one as { isGone: boolean }).isGone = true
  }
  const extents = new PartitionExtents(cluster as unknown as Cluster, { refresh } as unknown as TopicCatalog)
  return { extents, asked, looked }
}

describe('the ends of partitions', () => {
  it('are told of those that are still there when a topic is deleted meanwhile', async () => {
    const [stays, goes] = [partitionOf('stays'), partitionOf('goes')]
    const { extents } = extentsOf(new Map([['stays', 2]]), [stays, goes])
    expect(await extents.ofPresent([stays, goes])).toEqual(new Map([[stays, { earliest: 2, latest: 2 }]]))
  })

  it('are asked for once, however many others are deleted meanwhile', async () => {
    const [stays, goes] = [partitionOf('stays'), partitionOf('goes')]
    const { extents, asked, looked } = extentsOf(new Map([['stays', 2]]), [stays, goes])
    await extents.ofPresent([stays, goes])
    expect(asked.filter((name) => name === 'stays').length).toBe(2)
    expect(looked.filter((name) => name === 'stays')).toEqual([])
  })

  it('are refused of a topic that is deleted meanwhile to whoever asked for that one', async () => {
    const [stays, goes] = [partitionOf('stays'), partitionOf('goes')]
    const { extents } = extentsOf(new Map([['stays', 2]]), [stays, goes])
    await expect(extents.of([stays, goes])).rejects.toMatchObject({
      code: 'TOPIC_UNKNOWN',
      details: { topic: 'goes' },
    })
  })
})
