import { describe, expect, it } from 'vitest'
import type { Engine } from '../engine/index.ts'
import { engineWith, gate, memoryEngine, messagesOf, Paid, Placed, Shipped } from './app.test-support.ts'
import { app } from './index.ts'

/** An engine whose first answer that this topic is there takes until the gate opens. */
function slowAtFirst(engine: Engine, slowTopic: string): { readonly slow: Engine; readonly release: () => void } {
  const release = gate()
  let isFirst = true
  const ensure: typeof engine.topics.ensure = async (topic, config) => {
    const description = await engine.topics.ensure(topic, config)
    if (topic === slowTopic && isFirst) {
      isFirst = false
      await release.opened
    }
    return description
  }
  return { slow: engineWith(engine, 'topics', { ensure }), release: release.open }
}

describe('publishing', () => {
  it('keeps the order of what nobody waits for, whatever becomes ready first', async () => {
    await using engine = await memoryEngine()
    const { slow, release } = slowAtFirst(engine, 'orders')
    await using running = await app('shop').start({ engine: slow })
    const order = (n: number): ReturnType<typeof Placed> => Placed({ id: 'a', n })
    const published = [
      running.publish(order(1)),
      running.publish([Paid({ id: 'a', n: 1 }), order(2)]),
      running.publish(order(3)),
    ]
    // Whatever waits for nothing that is on its way goes on.
    await running.publish(Shipped({ id: 'a', n: 1 }))
    published.push(running.publish(Paid({ id: 'a', n: 2 })))
    release()
    published.push(running.publish(order(4)))
    await Promise.all(published)
    const numbersIn = async (topic: string): Promise<unknown[]> =>
      (await messagesOf(engine, topic)).map(({ data }) => (data as { readonly n: number }).n)
    expect(await Promise.all(['orders', 'payments', 'shipments'].map(numbersIn))).toEqual([[1, 2, 3, 4], [1, 2], [1]])
  })

  it('goes on after a topic that could not be made', async () => {
    await using engine = await memoryEngine()
    let isAway = true
    const ensure: typeof engine.topics.ensure = (topic, config) => {
      if (isAway && topic === 'orders') return Promise.reject(new Error('away'))
      return engine.topics.ensure(topic, config)
    }
    await using running = await app('shop').start({ engine: engineWith(engine, 'topics', { ensure }) })
    const first = running.publish([Paid({ id: 'a', n: 1 }), Placed({ id: 'a', n: 1 })])
    const second = running.publish(Paid({ id: 'a', n: 2 }))
    await expect(first).rejects.toThrow('away')
    expect(await second).toMatchObject([{ topic: 'payments', offset: 0 }])
    isAway = false
    expect(await running.publish(Placed({ id: 'a', n: 2 }))).toMatchObject([{ topic: 'orders', offset: 0 }])
  })
})
