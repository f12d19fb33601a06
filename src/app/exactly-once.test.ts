import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { on, publish, remove, set } from '../runtime/index.ts'
import {
  memoryEngine,
  messagesOf,
  numbersByKey,
  Paid,
  Placed,
  Shipped,
  startHandlers,
  temporaryFolder,
} from './app.test-support.ts'

const count = on(Placed, { state: { initial: { count: 0 } } }, (message, state) => [
  set({ count: state.count + 1 }),
  publish(Paid({ id: message.data.id, n: state.count })),
])

describe('a running app', () => {
  it('commits state, published events and progress once for each message, in the order of its key', async () => {
    await using engine = await memoryEngine()
    await using running = await startHandlers([count], { engine })
    for (let n = 0; n < 200; n++) await running.publish(Placed({ id: `k${n % 7}`, n }))
    await running.idle()
    const byKey = await numbersByKey(engine, 'payments')
    expect(Object.keys(byKey)).toHaveLength(7)
    for (const numbers of Object.values(byKey)) expect(numbers).toEqual(numbers.map((_, index) => index))
    expect((await messagesOf(engine, 'payments')).length).toBe(200)
    expect((await engine.state.get('state:test.s.Placed', 'k0'))?.value).toEqual({ count: 29 })
  })

  it('goes on where it was after each of many restarts', async () => {
    using folder = temporaryFolder()
    const path = folder.path('app.db')
    let published = 0
    for (let round = 0; round < 6; round++) {
      const running = await startHandlers([count], { engine: embedded({ path }), stopTimeout: '1s' })
      const batch = Array.from({ length: 500 }, (_, n) => Placed({ id: `k${n % 11}`, n: round }))
      await running.publish(batch)
      published += batch.length
      // Every other round stops in the middle of the work.
      if (round % 2 === 0) await running.idle()
      await running.stop()
    }
    await using engine = await embedded({ path }).open()
    await using running = await startHandlers([count], { engine })
    await running.idle()
    const byKey = await numbersByKey(engine, 'payments')
    expect(Object.values(byKey).flat()).toHaveLength(published)
    for (const numbers of Object.values(byKey)) expect(numbers).toEqual(numbers.map((_, index) => index))
  })

  it('keeps the order of a key with asynchronous handlers, and runs keys side by side', async () => {
    await using engine = await memoryEngine()
    let runningNow = 0
    let runningMost = 0
    const slow = on(Placed, { state: { initial: 0 }, concurrency: 16 }, async (message, state) => {
      runningMost = Math.max(runningMost, ++runningNow)
      for (let turn = 0; turn < 1 + (message.data.n % 5); turn++) await new Promise((resolve) => setImmediate(resolve))
      runningNow--
      return [set(state + 1), publish(Paid({ id: message.data.id, n: message.data.n }))]
    })
    await using running = await startHandlers([slow], { engine })
    await running.publish(Array.from({ length: 400 }, (_, n) => Placed({ id: `k${n % 40}`, n })))
    await running.idle()
    const byKey = await numbersByKey(engine, 'payments')
    expect(Object.values(byKey).flat()).toHaveLength(400)
    for (const numbers of Object.values(byKey)) expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    expect(runningMost).toBeGreaterThan(4)
    expect(runningMost).toBeLessThanOrEqual(16)
  })

  it('passes events on from handler to handler until nothing is left', async () => {
    await using engine = await memoryEngine()
    const pay = on(Placed, (message) => publish(Paid(message.data)))
    const ship = on(Paid, (message) => publish(Shipped(message.data)))
    await using running = await startHandlers([pay, ship], { engine })
    await running.publish(Array.from({ length: 100 }, (_, n) => Placed({ id: `k${n}`, n })))
    await running.idle()
    expect((await messagesOf(engine, 'shipments')).length).toBe(100)
  })

  it('lets messages inherit correlation and cause, with ids that a restart makes again', async () => {
    await using engine = await memoryEngine()
    const pay = on(Placed, (message) => publish(Paid(message.data)))
    await using running = await startHandlers([pay], { engine })
    const placed = Placed({ id: 'a', n: 1 })
    await running.publish(placed)
    await running.idle()
    const [paid] = await messagesOf(engine, 'payments')
    expect(paid).toMatchObject({ correlationid: placed.id, causationid: placed.id, source: '/test/s' })
    await running.stop()
    await engine.groups.reset('test.s.Placed', 'orders', 'earliest')
    await using again = await startHandlers([pay], { engine })
    await again.idle()
    const ids = (await messagesOf(engine, 'payments')).map((message) => message.id)
    expect(ids).toEqual([paid?.id, paid?.id])
  })

  it('forgets state that is removed', async () => {
    await using engine = await memoryEngine()
    const toggle = on(Placed, { state: { initial: 'off' } }, (message, state) => [
      state === 'off' ? set('on') : remove(),
      publish(Paid({ id: state, n: message.data.n })),
    ])
    await using running = await startHandlers([toggle], { engine })
    await running.publish(Array.from({ length: 9 }, (_, n) => Placed({ id: 'a', n })))
    await running.idle()
    await running.publish(Array.from({ length: 4 }, (_, n) => Placed({ id: 'a', n: 9 + n })))
    await running.idle()
    const byState = await numbersByKey(engine, 'payments')
    expect(byState['off']).toEqual([0, 2, 4, 6, 8, 10, 12])
    expect(byState['on']).toEqual([1, 3, 5, 7, 9, 11])
    expect((await engine.state.get('state:test.s.Placed', 'a'))?.value).toBe('on')
    await running.publish(Placed({ id: 'a', n: 13 }))
    await running.idle()
    expect(await engine.state.get('state:test.s.Placed', 'a')).toBeUndefined()
  })

  it('does not let two handlers see the state of each other', async () => {
    await using engine = await memoryEngine()
    const a = on(Placed, { name: 'a', state: { initial: 0 } }, (_message, state) => set(state + 1))
    const b = on(Placed, { name: 'b', state: { initial: 100 } }, (_message, state) => set(state + 10))
    await using running = await startHandlers([a, b], { engine })
    await running.publish([Placed({ id: 'x', n: 1 }), Placed({ id: 'x', n: 2 })])
    await running.idle()
    expect((await engine.state.get('state:test.s.a', 'x'))?.value).toBe(2)
    expect((await engine.state.get('state:test.s.b', 'x'))?.value).toBe(120)
  })

  it('starts at the end of a topic if asked to', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders')
    await engine.commit({ publish: [{ topic: 'orders', messages: [Placed({ id: 'old', n: 0 })] }] })
    const pay = on(Placed, { from: 'latest' }, (message) => publish(Paid(message.data)))
    await using running = await startHandlers([pay], { engine })
    await running.publish(Placed({ id: 'new', n: 1 }))
    await running.idle()
    expect((await messagesOf(engine, 'payments')).map((message) => message.data.id)).toEqual(['new'])
  })
})
