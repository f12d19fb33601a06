import { expect, it } from 'vitest'
import { systemClock, systemRandom } from '../kernel/index.ts'
import { on, Subscription, TopicResolver } from '../runtime/index.ts'
import { engineWith, gate, memoryEngine, Placed } from './app.test-support.ts'

for (const [how, end] of [
  ['abandoned', (subscription: Subscription) => subscription.abandon()],
  ['stopped', (subscription: Subscription) => subscription.stop(1000)],
] as const) {
  it(`leaves its group if it is ${how} while it joins`, async () => {
    await using engine = await memoryEngine()
    const [began, go] = [gate(), gate()]
    const join: typeof engine.groups.join = async (options) => {
      const member = await engine.groups.join(options)
      began.open()
      await go.opened
      return member
    }
    const topics = new TopicResolver(engine)
    await topics.create('orders')
    const subscription = new Subscription(
      {
        group: 'test.s.Placed',
        handler: on(Placed, () => undefined),
        source: '/test/s',
        stateNamespace: 'state:test.s.Placed',
        app: 'test',
        engine: engineWith(engine, 'groups', { join }),
        clock: systemClock,
        random: systemRandom,
        topics,
        query: () => Promise.reject(new Error('nobody asks')),
        sessionTimeoutMs: 45_000,
      },
      (error) => {
        throw error
      },
    )
    const started = subscription.start()
    await began.opened
    const ended = end(subscription)
    // Far enough for whoever does not wait for the join.
    for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve))
    go.open()
    await Promise.all([started, ended])
    await new Promise((resolve) => setImmediate(resolve))
    expect((await engine.groups.describe('test.s.Placed'))?.members).toEqual([])
  })
}
