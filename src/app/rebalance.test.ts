import { describe, expect, it } from 'vitest'
import { on, publish, set } from '../runtime/index.ts'
import { channels, type RewoundReport } from '../telemetry/index.ts'
import { memoryEngine, messagesOf, numbersByKey, Paid, Placed, startHandlers } from './app.test-support.ts'

const count = on(Placed, { state: { initial: 0 } }, (message, state) => [
  set(state + 1),
  publish(Paid({ id: message.data.id, n: state })),
])

describe('several starts of an app on one engine', () => {
  it('share the partitions, and nothing is lost or done twice as they come and go', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 6 })
    const first = await startHandlers([count], { engine })
    let total = 0
    const publishSome = async (rounds: number): Promise<void> => {
      for (let round = 0; round < rounds; round++) {
        await first.publish(Array.from({ length: 50 }, (_, n) => Placed({ id: `k${n % 25}`, n })))
        total += 50
      }
    }
    await publishSome(5)
    const publishing = publishSome(30)
    const second = await startHandlers([count], { engine })
    const third = await startHandlers([count], { engine })
    await publishing
    const description = await engine.groups.describe('test.s.Placed')
    expect(description?.members.map((member) => member.claims.length)).toEqual([2, 2, 2])
    const more = publishSome(20)
    await second.stop()
    await more
    await third.idle()
    await first.idle()
    const byKey = await numbersByKey(engine, 'payments')
    expect(Object.values(byKey).flat()).toHaveLength(total)
    for (const numbers of Object.values(byKey)) expect(numbers).toEqual(numbers.map((_, index) => index))
    await third.stop()
    await first.stop()
  })

  it('count right although their keys lie on several partitions', async () => {
    await using engine = await memoryEngine()
    const all = on(Placed, { key: () => 'all', state: { initial: 0 } }, (_message, state) => set(state + 1))
    await using first = await startHandlers([all], { engine })
    await using second = await startHandlers([all], { engine })
    const rewinds: RewoundReport[] = []
    const note = (report: unknown): void => {
      rewinds.push(report as RewoundReport)
    }
    channels.rewound.subscribe(note)
    for (let round = 0; round < 20; round++) {
      await first.publish(Array.from({ length: 20 }, (_, n) => Placed({ id: `k${n}`, n })))
    }
    await first.idle()
    await second.idle()
    channels.rewound.unsubscribe(note)
    expect((await engine.state.get('state:test.s.Placed', 'all'))?.value).toBe(400)
  })

  it('lets asynchronous handlers finish what they began before their partition moves', async () => {
    await using engine = await memoryEngine()
    const slow = on(Placed, { state: { initial: 0 } }, async (message, state) => {
      await new Promise((resolve) => setImmediate(resolve))
      return [set(state + 1), publish(Paid({ id: message.data.id, n: state }))]
    })
    const first = await startHandlers([slow], { engine })
    await first.publish(Array.from({ length: 300 }, (_, n) => Placed({ id: `k${n % 20}`, n })))
    const second = await startHandlers([slow], { engine })
    await first.publish(Array.from({ length: 300 }, (_, n) => Placed({ id: `k${n % 20}`, n })))
    await first.stop()
    await second.idle()
    const byKey = await numbersByKey(engine, 'payments')
    expect(await messagesOf(engine, 'payments')).toHaveLength(600)
    for (const numbers of Object.values(byKey)) expect(numbers).toEqual(Array.from({ length: 30 }, (_, n) => n))
    await second.stop()
  })
})
