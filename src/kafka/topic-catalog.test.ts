import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../kernel/index.ts'
import type { Cluster, TopicMetadata } from './cluster.ts'
import { KafkaUnreachableError } from './errors.ts'
import { TopicCatalog } from './topic-catalog.ts'

const metadataOf = (name: string): TopicMetadata =>
  ({
    errorCode: 0,
    name,
    topicId: `id of ${name}`,
    isInternal: false,
    partitions: [{ errorCode: 0, partitionIndex: 0, leaderId: 1 }],
  }) as unknown as TopicMetadata

const unknown = (name: string): TopicMetadata => ({ errorCode: 3, name, partitions: [] }) as unknown as TopicMetadata

/** A cluster that answers about these topics; whoever asks for all of them is answered when it is told to. */
function clusterWith(topics: ReadonlySet<string>, allAnswered: Promise<void>): Cluster {
  const settings = (names: readonly string[]): object[] =>
    names.map((resourceName) => ({ errorCode: 0, errorMessage: null, resourceName, configs: [] }))
  return {
    clock: new VirtualClock(0),
    options: { metadataMaxAgeMs: 30_000 },
    accept: () => undefined,
    persist: (attempt: () => Promise<unknown>) => attempt(),
    any: async () => ({
      call: async (_name: string, _request: unknown, resources: readonly { readonly resourceName: string }[]) => ({
        results: settings(resources.map(({ resourceName }) => resourceName)),
      }),
    }),
    protocol: {},
    usual: { limitMs: 1000 },
    metadata: async (names: readonly string[] | null) => {
      const answer = (names ?? [...topics]).map((name) => (topics.has(name) ? metadataOf(name) : unknown(name)))
      if (names === null) await allAnswered
      return { topics: answer }
    },
    secondOpinions: async (names: readonly string[]) => names.map(unknown),
  } as unknown as Cluster
}

describe('the catalogue of topics', () => {
  it('keeps a topic that was made while all were asked for, and its partitions', async () => {
    const topics = new Set(['old'])
    const answered = Promise.withResolvers<void>()
    const catalog = new TopicCatalog(clusterWith(topics, answered.promise))
    const listing = catalog.refreshAll()
    topics.add('new')
    const { partitions } = await catalog.resolveTopic('new')
    answered.resolve()
    expect((await listing).map(({ name }) => name)).toEqual(['old'])
    expect([catalog.find('new')?.name, partitions[0]?.isGone]).toEqual(['new', false])
  })

  it('looks at those of one program only, and forgets none of the others', async () => {
    const catalog = new TopicCatalog(clusterWith(new Set(['a.x', 'a.y', 'b.x']), Promise.resolve()))
    await catalog.resolveTopic('b.x')
    expect((await catalog.refreshAll('a.')).map(({ name }) => name)).toEqual(['a.x', 'a.y'])
    expect(catalog.find('b.x')?.name).toBe('b.x')
  })

  it('forgets a topic that is gone', async () => {
    const topics = new Set(['old', 'gone'])
    const catalog = new TopicCatalog(clusterWith(topics, Promise.resolve()))
    const { partitions } = await catalog.resolveTopic('gone')
    topics.delete('gone')
    await catalog.refreshAll()
    expect([catalog.find('gone'), partitions[0]?.isGone]).toEqual([undefined, true])
  })

  it('forgets no topic for the word of one broker, which may have just started', async () => {
    const topics = new Set(['kept', 'gone'])
    const cluster = clusterWith(topics, Promise.resolve())
    const catalog = new TopicCatalog(cluster)
    const kept = await catalog.resolvePartition('kept', 0)
    const gone = await catalog.resolvePartition('gone', 0)
    topics.clear()
    Object.assign(cluster, {
      secondOpinions: async (names: readonly string[]) =>
        names.map((name) => (name === 'kept' ? metadataOf(name) : unknown(name))),
    })
    await catalog.refresh('kept')
    await catalog.refresh('gone')
    expect([kept.isGone, gone.isGone]).toEqual([false, true])
    expect((await catalog.refreshAll()).map(({ name }) => name)).toEqual(['kept'])
    expect(kept.isGone).toBe(false)
  })

  it('looks again at those only that nobody leads yet', async () => {
    const cluster = clusterWith(new Set(['a', 'new', 'z']), Promise.resolve())
    const asked: (readonly string[])[] = []
    const metadata = cluster.metadata.bind(cluster)
    const leaderless = { ...metadataOf('new'), errorCode: 5, partitions: [] }
    Object.assign(cluster, {
      obstacle: (reason: string) => new KafkaUnreachableError(['broker'], reason),
      metadata: async (names: readonly string[] | null) => {
        const answer = await metadata(names)
        if (names === null) return answer
        asked.push(names)
        const isFirst = asked.length === 1
        return { topics: answer.topics.map((topic) => (isFirst && topic.name === 'new' ? leaderless : topic)) }
      },
      persist: async (attempt: () => Promise<unknown>) => {
        await expect(attempt()).rejects.toMatchObject({ details: { reason: expect.stringContaining('"new"') } })
        return attempt()
      },
    })
    const listed = await new TopicCatalog(cluster).refreshAll()
    expect(listed.map(({ name }) => name)).toEqual(['a', 'new', 'z'])
    expect(asked).toEqual([['a', 'new', 'z'], ['new']])
  })
})
