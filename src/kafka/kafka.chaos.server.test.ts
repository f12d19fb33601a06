import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KafkaConnection, RunningServer } from '../../scripts/servers/index.ts'
import type { Claim, Engine } from '../engine/index.ts'
import { kafka } from './index.ts'
import {
  eventually,
  firstAssignment,
  freshName,
  joining,
  removeServerToKill,
  serversWanted,
  serverToKill,
  texts,
  valuesOf,
} from './real-server.test-support.ts'

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('a broker that is killed', () => {
  let server: RunningServer<KafkaConnection>
  let engine: Engine
  beforeAll(async () => {
    server = await serverToKill()
    engine = await kafka({ brokers: server.connection.bootstrapBrokers, heartbeatIntervalMs: 200 }).open()
  }, 600_000)
  afterAll(async () => {
    await engine?.close()
    await removeServerToKill()
  }, 120_000)

  async function killAndStart(): Promise<void> {
    await server.nodes[0]?.kill()
    await wait(300)
    await server.nodes[0]?.start()
    await server.waitUntilReady()
  }

  it('makes every commit wait, and none be made twice or in another order', async () => {
    const [a, b] = [freshName('a'), freshName('b')]
    for (const topic of [a, b]) await engine.topics.create(topic, { partitions: 1 })
    let isOver = false
    const laneCount = 6
    const counts = Array<number>(laneCount).fill(0)
    const lane = async (id: number): Promise<void> => {
      while (!isOver) {
        const records = texts(`${id}:${counts[id]}`)
        // Half of the lanes write to two topics, which takes a transaction.
        const publish = (id % 2 === 0 ? [a, b] : [a]).map((topic) => ({ topic, records }))
        expect((await engine.commit({ publish })).ok).toBe(true)
        counts[id] = (counts[id] as number) + 1
      }
    }
    const lanes = Array.from({ length: laneCount }, (_, id) => lane(id))
    for (let round = 0; round < 2; round++) {
      const before = [...counts]
      await eventually('every lane goes on', () => counts.every((count, id) => count > (before[id] as number) + 3))
      await killAndStart()
    }
    const before = [...counts]
    await eventually('every lane goes on', () => counts.every((count, id) => count > (before[id] as number) + 3))
    isOver = true
    await Promise.all(lanes)
    const [inA, inB] = [await valuesOf(engine, a), await valuesOf(engine, b)]
    for (const [id, count] of counts.entries()) {
      const expected = Array.from({ length: count }, (_, n) => `${id}:${n}`)
      const own = (values: readonly string[]): string[] => values.filter((value) => value.startsWith(`${id}:`))
      expect(own(inA)).toEqual(expected)
      expect(own(inB)).toEqual(id % 2 === 0 ? expected : [])
    }
  }, 240_000)

  it('leaves what was handled handled once', async () => {
    const [topic, out, group] = [freshName('in'), freshName('out'), freshName('group')]
    for (const name of [topic, out]) await engine.topics.create(name, { partitions: 1 })
    const values = Array.from({ length: 300 }, (_, n) => `${n}`)
    await engine.commit({ publish: [{ topic, records: texts(...values) }] })
    let handled = 0
    const handle = async (claim: Claim, next: number): Promise<void> => {
      let offset = next
      while (offset < values.length) {
        const page = await engine.topics.read({ topic, partition: 0, offset, waitMs: 1000 })
        for (const record of page.records) {
          if (record.kind !== 'undecodable') continue
          const outcome = await engine.commit({
            publish: [{ topic: out, records: texts(Buffer.from(record.value).toString()) }],
            progress: [{ claim, done: [{ from: record.offset, to: record.offset + 1 }] }],
          })
          // The coordinator has forgotten the member: whoever has the partition next goes on.
          if (!outcome.ok) return
          handled++
        }
        offset = page.nextOffset
      }
    }
    const work: Promise<void>[] = []
    const { member } = await joining(engine, {
      group,
      topics: [topic],
      onAssigned: (assignments) => {
        for (const { claim, progress } of assignments) work.push(handle(claim, progress.next))
      },
    })
    await eventually('some are handled', () => handled > 20)
    await killAndStart()
    await eventually('all are handled', () => handled >= values.length)
    await Promise.all(work)
    await member.leave()
    expect(await valuesOf(engine, out)).toEqual(values)
    const again = await joining(engine, { group, topics: [topic] })
    expect((await firstAssignment(again)).progress).toEqual({ next: values.length, done: [] })
    await again.member.leave()
  }, 240_000)

  it('is waited for no longer than was asked for, and the engine says what it does not know', async () => {
    const { bootstrapBrokers } = server.connection
    const impatient = await kafka({ brokers: bootstrapBrokers, reconnectTimeoutMs: 500 }).open()
    const topic = freshName('t')
    await impatient.topics.create(topic, { partitions: 2 })
    await impatient.commit({ publish: [{ topic, partition: 0, records: texts('x') }] })
    await server.nodes[0]?.kill()
    const both = [0, 1].map((partition) => ({ topic, partition, records: texts('y') }))
    // Its end was not asked for yet: it is undone.
    await expect(impatient.commit({ publish: both })).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE' })
    const alone = impatient.commit({ publish: [{ topic, partition: 0, records: texts('z') }] })
    await expect(alone).rejects.toMatchObject({ code: 'KAFKA_OUTCOME_UNKNOWN' })
    await expect(impatient.commit({})).rejects.toMatchObject({ code: 'KAFKA_OUTCOME_UNKNOWN' })
    await impatient.close()
    await server.nodes[0]?.start()
    await server.waitUntilReady()
    expect(await valuesOf(engine, topic)).toEqual(['x'])
  }, 120_000)
})
