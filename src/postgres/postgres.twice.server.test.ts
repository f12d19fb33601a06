import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Assignment } from '../engine/index.ts'
import { TcpProxy } from '../kernel/tcp-proxy.test-support.ts'
import { type PostgresEngine, postgres } from './index.ts'
import { codeOf, message, numbered } from './messages.test-support.ts'
import { dropSchema, runSql, serversWanted, serverUrl } from './real-server.test-support.ts'

const schema = `twice_${process.pid}`

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('a statement that runs again, because its answer was lost,', () => {
  let url = ''
  let proxy: TcpProxy
  let cut: PostgresEngine
  let other: PostgresEngine
  beforeAll(async () => {
    url = await serverUrl()
    proxy = await TcpProxy.to(Number(new URL(url).port))
    cut = await postgres({ connection: proxy.urlOf(url), schema }).open()
    other = await postgres({ connection: url, schema }).open()
  }, 600_000)
  afterAll(async () => {
    await cut.close()
    await other.close()
    await proxy[Symbol.asyncDispose]()
    await dropSchema(url, schema)
  })

  /**
   * Does something whose statement of this name loses its answer. When `isDone` says that it was done, others do what they do
   * meanwhile; then the connection is cut, and the statement runs again.
   */
  async function answerLost<T>(
    statement: string,
    work: () => Promise<T>,
    isDone: () => Promise<boolean>,
    meanwhile: () => Promise<unknown>,
  ): Promise<T> {
    proxy.swallowAnswersTo(statement)
    const working = work()
    working.catch(() => undefined)
    await expect.poll(isDone).toBe(true)
    await meanwhile()
    proxy.cut()
    return working
  }

  const append = async (stream: string, ...types: string[]): Promise<void> => {
    const outcome = await other.commit({
      append: [{ stream, events: types.map((type) => ({ message: message(type) })) }],
    })
    expect(outcome.ok).toBe(true)
  }
  const typesIn = async (stream: string): Promise<string[]> =>
    (await Array.fromAsync(other.events.readStream(stream))).map((one) => one.message.type)
  const truncatedBefore = async (stream: string): Promise<number | undefined> =>
    (await other.events.describeStream(stream))?.truncatedBefore

  it('deletes a stream once: what was appended since stays', async () => {
    await append('deleted', 'A', 'B')
    await answerLost(
      'millrace_remove_events',
      () => cut.events.deleteStream('deleted'),
      async () => (await other.events.describeStream('deleted'))?.deletedAt === 3,
      () => append('deleted', 'C'),
    )
    expect(await typesIn('deleted')).toEqual(['C'])
    expect(await other.events.describeStream('deleted')).toMatchObject({ version: 4, deletedAt: 3 })
  })

  it('truncates a stream once, whatever version was named', async () => {
    await append('truncated', 'A', 'B')
    await answerLost(
      'millrace_remove_events',
      () => cut.events.truncateStream('truncated', 100),
      async () => (await truncatedBefore('truncated')) === 3,
      () => append('truncated', 'C'),
    )
    expect(await typesIn('truncated')).toEqual(['C'])
  })

  it('deletes for good, also what was deleted before', async () => {
    await append('tombstoned', 'A')
    await other.events.deleteStream('tombstoned')
    await cut.events.deleteStream('tombstoned')
    await append('tombstoned', 'B')
    await answerLost(
      'millrace_remove_events',
      () => cut.events.deleteStream('tombstoned', { tombstone: true }),
      async () => (await other.events.describeStream('tombstoned'))?.tombstoned === true,
      async () => undefined,
    )
    expect(await typesIn('tombstoned')).toEqual([])
    const refused = await other.commit({ append: [{ stream: 'tombstoned', events: [{ message: message('C') }] }] })
    expect(refused).toMatchObject({ ok: false, conflict: { kind: 'stream-deleted' } })
  })

  /** A group of one partition with so much published; a member joins, does all there is, and leaves. */
  async function worked(group: string): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<Assignment>()
    const member = await other.groups.join({
      group,
      topics: [group],
      onAssigned: ([one]) => resolve(one as Assignment),
      onRevoked: () => Promise.resolve(),
      onLost: () => undefined,
    })
    const { claim, progress } = await promise
    const done = { from: progress.next, to: await other.topics.locate(group, 0, 'latest') }
    expect((await other.commit({ progress: [{ claim, done: [done] }] })).ok).toBe(true)
    await member.leave()
    return done.to - done.from
  }
  const publish = (topic: string, count: number): Promise<unknown> =>
    other.commit({ publish: [{ topic, messages: Array.from({ length: count }, (_, n) => numbered(n)) }] })
  const nextOf = async (group: string): Promise<number | undefined> =>
    (await other.groups.describe(group))?.lag[0]?.next

  it('resets a group once: what was done since stays done', async () => {
    await other.topics.create('reset', { partitions: 1 })
    await publish('reset', 5)
    expect(await worked('reset')).toBe(5)
    await answerLost(
      'millrace_group_reset',
      () => cut.groups.reset('reset', 'reset', 'earliest'),
      async () => (await nextOf('reset')) === 0,
      async () => expect(await worked('reset')).toBe(5),
    )
    expect(await nextOf('reset')).toBe(5)
    // Only the answer to the first run of one was lost: another reset is another change.
    await cut.groups.reset('reset', 'reset', 'earliest')
    expect(await nextOf('reset')).toBe(0)
  })

  it('deletes a group once, and refuses nobody who has joined since', async () => {
    await other.topics.create('forgotten', { partitions: 1 })
    await publish('forgotten', 3)
    await worked('forgotten')
    await answerLost(
      'millrace_group_forget',
      () => cut.groups.delete('forgotten'),
      async () => (await other.groups.describe('forgotten')) === undefined,
      async () => expect(await worked('forgotten')).toBe(3),
    )
    expect(await nextOf('forgotten')).toBe(3)
  })

  it('truncates a partition once, whatever offset was named', async () => {
    await other.topics.create('cut-off', { partitions: 1 })
    await publish('cut-off', 3)
    await answerLost(
      'millrace_topic_truncate',
      () => cut.topics.truncate('cut-off', 0, 1_000),
      async () => (await other.topics.locate('cut-off', 0, 'earliest')) === 3,
      () => publish('cut-off', 2),
    )
    expect(await other.topics.describe('cut-off')).toMatchObject({ partitions: [{ earliest: 3, latest: 5 }] })
  })

  it('alters a topic once: what others have set since holds', async () => {
    await other.topics.create('altered', { partitions: 1 })
    const partitions = async () => (await other.topics.describe('altered'))?.partitions.length
    const described = await answerLost(
      'millrace_topic_alter',
      () => cut.topics.alter('altered', { partitions: 2, retentionMs: 1_000 }),
      async () => (await partitions()) === 2,
      () => other.topics.alter('altered', { partitions: 3, retentionMs: 2_000 }),
    )
    expect(described.config).toMatchObject({ partitions: 3, retentionMs: 2_000 })
  })

  it('creates a topic once: one that was deleted since does not come back', async () => {
    const creating = answerLost(
      'millrace_topic_create',
      () => cut.topics.create('created', { partitions: 1 }),
      async () => (await other.topics.describe('created')) !== undefined,
      async () => {
        await other.topics.delete('created')
        await other.topics.maintain()
      },
    )
    expect(await codeOf(creating)).toBe('TOPIC_UNKNOWN')
    expect(await other.topics.describe('created')).toBeUndefined()
  })

  it('registers a producer, and joins, with what holds afterwards', async () => {
    await other.topics.create('entered', { partitions: 1 })
    const epochOf = async (): Promise<unknown> =>
      (await runSql(url, `SELECT epoch FROM ${schema}.producer WHERE name = 'p'`))[0]?.['epoch']
    const registered = await answerLost(
      'millrace_producer_register',
      () => cut.topics.registerProducer('p'),
      async () => (await epochOf()) === 0,
      async () => undefined,
    )
    expect(registered.epoch).toBe(await epochOf())
    const { promise, resolve } = Promise.withResolvers<Assignment>()
    const member = await answerLost(
      'millrace_group_join',
      () =>
        cut.groups.join({
          group: 'entered',
          topics: ['entered'],
          onAssigned: ([one]) => resolve(one as Assignment),
          onRevoked: () => Promise.resolve(),
          onLost: () => undefined,
        }),
      async () => (await other.groups.describe('entered'))?.members.length === 1,
      async () => undefined,
    )
    expect((await promise).claim).toMatchObject({ group: 'entered', partition: 0 })
    await member.leave()
    expect((await other.groups.describe('entered'))?.members).toEqual([])
  })
})
