import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Engine } from '../engine/index.ts'
import { kafka } from '../kafka/index.ts'
import { freshName, serversWanted, sharedServer } from '../kafka/real-server.test-support.ts'
import { on, publish } from '../runtime/index.ts'
import { messagesOf, Paid, Placed, Shipped, startHandlers } from './app.test-support.ts'

const numbersOf = async (engine: Engine, topic: string): Promise<number[]> =>
  (await messagesOf(engine, topic)).map(({ data }) => data.n)

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('a topic on Kafka that is deleted under a running app', { timeout: 120_000 }, () => {
  it.each(['consumer', 'classic'] as const)(
    'ends nothing, and is read from its begin once it is made anew: %s protocol',
    async (groupProtocol) => {
      const { bootstrapBrokers: brokers } = await sharedServer()
      const prefix = `${freshName('deleted')}.`
      const open = async (): Promise<Engine> => {
        const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-app-'))
        onTestFinished(() => rmSync(folder, { recursive: true }))
        return kafka({ brokers, groupProtocol, prefix, state: { folder }, heartbeatIntervalMs: 100 }).open()
      }
      await using engine = await open()
      await using other = await open()
      const handlers = [
        on(Placed, { name: 'pay' }, ({ data }) => publish(Paid(data))),
        on(Paid, { name: 'ship' }, ({ data }) => publish(Shipped(data))),
      ]
      await using running = await startHandlers(handlers, { engine })
      await using second = await startHandlers(handlers, { engine: other })
      await running.publish([0, 1, 2].map((n) => Placed({ id: 'a', n })))
      await running.idle()
      await other.topics.delete('orders')
      // What has nothing to do with it goes on.
      await running.publish(Paid({ id: 'b', n: 10 }))
      await expect.poll(() => numbersOf(engine, 'shipments')).toContain(10)
      for (const n of [3, 4]) {
        await other.topics.ensure('orders')
        await second.publish(Placed({ id: 'a', n }))
        await expect.poll(() => numbersOf(engine, 'payments')).toContain(n)
        await other.topics.delete('orders')
      }
      await other.topics.ensure('orders')
      await Promise.all([running.idle(), second.idle()])
      expect((await numbersOf(engine, 'payments')).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 10])
    },
  )
})
