import { describe, expect, it, vi } from 'vitest'
import { TopicUnknownError } from '../engine/index.ts'
import type { Cluster } from './cluster.ts'
import { PartitionExtents } from './partition-extents.ts'
import type { Partition, TopicCatalog } from './topic-catalog.ts'

const partitionOf = (topic: string): Partition => ({ topic, number: 0, isGone: false }) as Partition

describe('the ends of partitions', () => {
  it('are told of those that are still there when a topic is deleted meanwhile', async () => {
    const extents = new PartitionExtents({} as Cluster, {} as TopicCatalog)
    const [stays, goes] = [partitionOf('stays'), partitionOf('goes')]
    const asked = vi.spyOn(extents, 'of').mockImplementation(async (partitions) => {
      if (!partitions.includes(goes)) return partitions.map(() => ({ earliest: 1, latest: 2 }))
      goes.isGone = true
      throw new TopicUnknownError('goes')
    })
    expect(await extents.ofPresent([stays, goes])).toEqual(new Map([[stays, { earliest: 1, latest: 2 }]]))
    expect(asked).toHaveBeenCalledTimes(2)
  })

  it('are not asked for again and again where nobody says which topic is gone', async () => {
    const extents = new PartitionExtents({} as Cluster, {} as TopicCatalog)
    vi.spyOn(extents, 'of').mockRejectedValue(new TopicUnknownError('other'))
    await expect(extents.ofPresent([partitionOf('stays')])).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' })
  })
})
