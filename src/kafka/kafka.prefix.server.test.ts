import { Admin, ConfigResourceTypes } from '@platformatic/kafka'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Claim, Engine } from '../engine/index.ts'
import { systemRandom } from '../kernel/index.ts'
import { type KafkaTopicSettings, kafka } from './index.ts'
import { serversWanted, sharedServer } from './real-server.test-support.ts'

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('engines with prefixes on one cluster', () => {
  let brokers: readonly string[] = []
  beforeAll(async () => {
    brokers = (await sharedServer()).bootstrapBrokers
  }, 600_000)

  const open = (prefix: string): Promise<Engine> => kafka({ brokers, prefix, heartbeatIntervalMs: 100 }).open()
  const record = (value: string) => ({ key: 'k', value })

  it('give the topics that they create what settings they are told', async () => {
    const mark = systemRandom.nextUint32().toString(36)
    const topicSettings = (topic: string): KafkaTopicSettings =>
      topic === 'bad'
        ? { 'retention.ms': '1' }
        : topic === 'odd'
          ? { 'no.such.setting': '1' }
          : { 'segment.bytes': '2097152' }
    await using engine = await kafka({ brokers, prefix: `set-${mark}.`, topicSettings }).open()
    await engine.topics.create('orders', { partitions: 1, retentionMs: 60_000 })
    const admin = new Admin({ clientId: 'settings', bootstrapBrokers: [...brokers] })
    try {
      const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: `set-${mark}.orders` }
      const [found] = await admin.describeConfigs({ resources: [resource] })
      const values = Object.fromEntries(found?.configs.map(({ name, value }) => [name, value]) ?? [])
      expect(values).toMatchObject({ 'segment.bytes': '2097152', 'retention.ms': '60000' })
    } finally {
      await admin.close()
    }
    await expect(engine.topics.create('bad')).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
    await expect(engine.topics.create('odd')).rejects.toThrow('no.such.setting')
  })

  it('have topics and groups of their own under the same names', async () => {
    const mark = systemRandom.nextUint32().toString(36)
    await using one = await open(`one-${mark}.`)
    await using other = await open(`other-${mark}.`)
    for (const [engine, value] of [
      [one, '1'],
      [other, '2'],
    ] as const) {
      expect((await engine.topics.create('orders', { partitions: 1 })).name).toBe('orders')
      const outcome = await engine.commit({ publish: [{ topic: 'orders', records: [record(value)] }] })
      expect(outcome).toMatchObject({ ok: true, published: [{ topic: 'orders', partition: 0, offset: 0 }] })
    }
    expect((await one.topics.list()).map(({ name }) => name)).toEqual(['orders'])
    const { records } = await other.topics.read({ topic: 'orders', partition: 0, offset: 0 })
    expect(records).toHaveLength(1)

    const assigned = Promise.withResolvers<void>()
    const member = await one.groups.join({
      group: 'workers',
      topics: ['orders'],
      onAssigned: () => assigned.resolve(),
      onRevoked: () => Promise.resolve(),
      onLost: () => undefined,
    })
    await assigned.promise
    const claim = member.claims[0] as Claim
    expect(claim).toMatchObject({ group: 'workers', topic: 'orders', partition: 0 })
    expect(await one.commit({ progress: [{ claim, done: [{ from: 0, to: 1 }] }] })).toMatchObject({ ok: true })
    expect(await one.groups.describe('workers')).toMatchObject({
      group: 'workers',
      members: [{ claims: [{ topic: 'orders' }] }],
      lag: [{ topic: 'orders', lagMessages: 0 }],
    })
    expect(await one.groups.list()).toEqual(['workers'])
    expect(await other.groups.list()).toEqual([])
    await member.leave()
    expect(await one.commit({ progress: [{ claim, done: [{ from: 0, to: 1 }] }] })).toEqual({
      ok: false,
      conflict: { kind: 'fenced', claim },
    })

    await one.topics.alter('orders', { partitions: 2 })
    expect((await one.topics.describe('orders'))?.partitions).toHaveLength(2)
    expect((await other.topics.describe('orders'))?.partitions).toHaveLength(1)
    await one.topics.delete('orders')
    expect(await one.topics.describe('orders')).toBeUndefined()
    expect(await other.topics.locate('orders', 0, 'latest')).toBe(1)
    await other.topics.delete('orders')
  })

  it('refuse what is no name, whatever stands before it', async () => {
    await using engine = await open('checked.')
    for (const name of ['', 'a b', 'x'.repeat(250), undefined as never]) {
      await expect(engine.topics.ensure(name)).rejects.toMatchObject({ code: 'TOPIC_NAME_INVALID' })
    }
    await expect(engine.topics.read(undefined as never)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    await expect(engine.commit({ publish: 'orders' as never })).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    await expect(engine.groups.join(undefined as never)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
  })
})
