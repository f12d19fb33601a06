import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KafkaConnection, RunningServer } from '../../scripts/servers/index.ts'
import type { Claim, Engine } from '../engine/index.ts'
import { kafka } from './index.ts'
import {
  eventually,
  freshName,
  joining,
  nodesToKill,
  removeNodesToKill,
  serversWanted,
  texts,
  valuesOf,
} from './real-server.test-support.ts'

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('leaders and coordinators that move to another broker', () => {
  let server: RunningServer<KafkaConnection>
  let engine: Engine
  beforeAll(async () => {
    server = await nodesToKill()
    const { bootstrapBrokers } = server.connection
    engine = await kafka({ brokers: bootstrapBrokers, replicationFactor: 3, heartbeatIntervalMs: 200 }).open()
  }, 600_000)
  afterAll(async () => {
    await engine?.close()
    await removeNodesToKill()
  }, 120_000)

  it('are followed: every record is handled once, in order, while each broker is killed once', async () => {
    const [topic, out, group] = [freshName('in'), freshName('out'), freshName('group')]
    for (const name of [topic, out]) await engine.topics.create(name, { partitions: 3 })
    let handled = 0
    const handle = async (claim: Claim, next: number): Promise<void> => {
      for (let offset = next; ; ) {
        const { partition } = claim
        const page = await engine.topics.read({ topic, partition, offset, waitMs: 1000 })
        living()
        for (const record of page.records) {
          if (record.kind !== 'undecodable') continue
          const outcome = await engine.commit({
            publish: [{ topic: out, partition, records: texts(Buffer.from(record.value).toString()) }],
            progress: [{ claim, done: [{ from: record.offset, to: record.offset + 1 }] }],
          })
          if (!outcome.ok) return
          handled++
        }
        offset = page.nextOffset
        if (isOver) return
      }
    }
    let isOver = false
    const work: Promise<void>[] = []
    let living = (): void => undefined
    const { member } = await joining(engine, {
      group,
      topics: [topic],
      onAssigned: (assignments) => {
        for (const { claim, progress } of assignments) work.push(handle(claim, progress.next))
      },
    })
    // Whoever says nothing for a session, and a killed broker may take as long, has lost its partitions.
    living = () => member.heartbeat()
    const beat = setInterval(living, 1000)
    const published = [0, 0, 0]
    const publisher = async (partition: number): Promise<void> => {
      while (!isOver) {
        const records = texts(`${published[partition]}`)
        await engine.commit({ publish: [{ topic, partition, records }] })
        published[partition] = (published[partition] as number) + 1
      }
    }
    const publishers = [0, 1, 2].map(publisher)
    for (const node of server.nodes) {
      const before = [handled, ...published]
      await node.kill()
      await eventually('work goes on without it', () =>
        [handled, ...published].every((count, i) => count > (before[i] as number) + 5),
      )
      await node.start()
      await server.waitUntilReady()
    }
    clearInterval(beat)
    const total = (): number => published.reduce((sum, count) => sum + count, 0)
    isOver = true
    await Promise.all(publishers)
    await Promise.all(work)
    await member.leave()
    // What the handlers had not come to when they stopped is handled by the next member.
    isOver = false
    const last = await joining(engine, {
      group,
      topics: [topic],
      onAssigned: (assignments) => {
        for (const { claim, progress } of assignments) work.push(handle(claim, progress.next))
      },
    })
    living = () => last.member.heartbeat()
    await eventually('all are handled', () => handled >= total())
    isOver = true
    await Promise.all(work)
    await last.member.leave()
    for (const partition of [0, 1, 2]) {
      const expected = Array.from({ length: published[partition] as number }, (_, n) => `${n}`)
      expect(await valuesOf(engine, topic, partition)).toEqual(expected)
      expect(await valuesOf(engine, out, partition)).toEqual(expected)
    }
  }, 400_000)
})
