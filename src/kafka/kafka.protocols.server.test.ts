import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { kafka } from './index.ts'
import {
  eventually,
  firstAssignment,
  freshName,
  joining,
  removeServerOfClassicGroups,
  serverOfClassicGroups,
  serversWanted,
  texts,
} from './real-server.test-support.ts'

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('brokers that take no groups of KIP-848', () => {
  let brokers: readonly string[] = []
  beforeAll(async () => {
    brokers = (await serverOfClassicGroups()).connection.bootstrapBrokers
  }, 600_000)
  afterAll(() => removeServerOfClassicGroups(), 120_000)

  it('are given members of the classic protocol', async () => {
    await using engine = await kafka({ brokers, heartbeatIntervalMs: 100 }).open()
    const [topic, group] = [freshName('t'), freshName('g')]
    await engine.topics.create(topic, { partitions: 2 })
    await engine.commit({ publish: [{ topic, partition: 0, records: texts('a') }] })
    const first = await joining(engine, { group, topics: [topic] })
    const { claim } = await firstAssignment(first)
    expect((await engine.commit({ progress: [{ claim, done: [] }] })).ok).toBe(true)
    const second = await joining(engine, { group, topics: [topic] })
    await eventually('they share', () => first.member.claims.length === 1 && second.member.claims.length === 1)
    const described = await engine.groups.describe(group)
    expect(described?.members.map(({ claims }) => claims.length)).toEqual([1, 1])
    await first.member.leave()
    await second.member.leave()
  }, 60_000)

  it('are an error for who insists on the new one', async () => {
    await using engine = await kafka({ brokers, groupProtocol: 'consumer' }).open()
    const topic = freshName('t')
    await engine.topics.create(topic, { partitions: 1 })
    await expect(joining(engine, { group: freshName('g'), topics: [topic] })).rejects.toMatchObject({
      code: 'KAFKA_FEATURE_MISSING',
    })
  })
})
