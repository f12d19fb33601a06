import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { SeededRandom } from '../kernel/index.ts'
import { fixed, on, publish, set } from '../runtime/index.ts'
import {
  gate,
  memoryEngine,
  messagesOf,
  numbersByKey,
  Paid,
  Placed,
  startHandlers,
  temporaryFolder,
} from './app.test-support.ts'

const again = fixed({ delay: 1, max: 1000 })

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('messages that fail', () => {
  it.each([1, 2, 3])('are all handled in the end, once, in the order of their key (seed %i)', async (seed) => {
    const random = new SeededRandom(seed)
    await using engine = await memoryEngine()
    const failuresLeft = new Map<number, number>()
    let failures = 0
    const handler = on(Placed, { retry: again, state: { initial: 0 } }, async (message, state) => {
      const left = failuresLeft.get(message.data.n) ?? 0
      if (left > 0) {
        failuresLeft.set(message.data.n, left - 1)
        failures++
        throw new Error('not yet')
      }
      return [set(state + 1), publish(Paid({ id: message.data.id, n: state }))]
    })
    for (let n = 0; n < 100; n++) if (random.nextFloat() < 0.3) failuresLeft.set(n, 1 + (random.nextUint32() % 3))
    await using running = await startHandlers([handler], { engine })
    await running.publish(Array.from({ length: 100 }, (_, n) => Placed({ id: `k${n % 9}`, n })))
    await running.idle()
    expect(failures).toBeGreaterThan(10)
    expect([...failuresLeft.values()].every((left) => left === 0)).toBe(true)
    const byKey = await numbersByKey(engine, 'payments')
    expect(Object.values(byKey).flat()).toHaveLength(100)
    for (const numbers of Object.values(byKey)) expect(numbers).toEqual(numbers.map((_, index) => index))
    expect(await running.deadLetters.count()).toBe(0)
  })

  it('in one start after the other are still there for the first that can handle them', async () => {
    using folder = temporaryFolder()
    const path = folder.path('app.db')
    let attempts = 0
    let isBroken = true
    const enough = { reached: gate(), at: 0 }
    const handler = on(Placed, { retry: again, state: { initial: 0 } }, async (message, state) => {
      if (!isBroken) return [set(state + 1), publish(Paid(message.data))]
      if (++attempts >= enough.at) enough.reached.open()
      throw new Error('never')
    })
    const messages = Array.from({ length: 50 }, (_, n) => Placed({ id: `k${n % 5}`, n }))
    for (let start = 0; start < 3; start++) {
      enough.reached = gate()
      enough.at = attempts + 40
      const running = await startHandlers([handler], { engine: embedded({ path }), stopTimeout: '1s' })
      if (start === 0) await running.publish(messages)
      await enough.reached.opened
      await running.stop()
    }
    isBroken = false
    await using engine = await embedded({ path }).open()
    await using running = await startHandlers([handler], { engine })
    await running.idle()
    const byKey = await numbersByKey(engine, 'payments')
    for (let key = 0; key < 5; key++) {
      expect(byKey[`k${key}`]).toEqual(Array.from({ length: 10 }, (_, index) => index * 5 + key))
      expect((await engine.state.get('state:test.s.Placed', `k${key}`))?.value).toBe(10)
    }
    expect(attempts).toBeGreaterThanOrEqual(120)
    expect(await running.deadLetters.count()).toBe(0)
  })
})

describe('a message that is not done', () => {
  it('keeps the next one of its key from being begun, and nothing else', async () => {
    await using engine = await memoryEngine()
    const go = gate()
    const begun: string[] = []
    const handler = on(Placed, async ({ data }) => {
      begun.push(`${data.id}${data.n}`)
      if (data.id === 'a' && data.n === 1) await go.opened
      return publish(Paid(data))
    })
    await using running = await startHandlers([handler], { engine })
    await running.publish([1, 2, 3].flatMap((n) => [Placed({ id: 'a', n }), Placed({ id: 'b', n })]))
    while (!begun.includes('b3')) await turns(1)
    await turns(50)
    expect(begun.filter((one) => one.startsWith('a'))).toEqual(['a1'])
    go.open()
    await running.idle()
    await turns(50)
    expect(begun.toSorted()).toEqual(['a1', 'a2', 'a3', 'b1', 'b2', 'b3'])
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [1, 2, 3], b: [1, 2, 3] })
  })

  it('is never handled twice at the same time, whatever comes and goes', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 4 })
    const underWay = new Map<string, number>()
    let overlaps = 0
    const handler = on(Placed, { state: { initial: 0 } }, async ({ data }, state) => {
      const now = (underWay.get(data.id) ?? 0) + 1
      underWay.set(data.id, now)
      if (now > 1) overlaps++
      await turns(1 + (data.n % 3))
      underWay.set(data.id, (underWay.get(data.id) ?? 0) - 1)
      return [set(state + 1), publish(Paid({ id: data.id, n: state }))]
    })
    const first = await startHandlers([handler], { engine })
    await first.publish(Array.from({ length: 200 }, (_, n) => Placed({ id: `k${n % 10}`, n })))
    for (let round = 0; round < 4; round++) {
      const guest = await startHandlers([handler], { engine })
      await turns(5)
      await guest.stop()
    }
    await first.idle()
    expect(overlaps).toBe(0)
    const byKey = await numbersByKey(engine, 'payments')
    expect(Object.keys(byKey)).toHaveLength(10)
    for (const numbers of Object.values(byKey)) expect(numbers).toEqual(Array.from({ length: 20 }, (_, n) => n))
    await first.stop()
  })

  it('is left to others by a start whose signal aborts, and done once', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders')
    const messages = Array.from({ length: 500 }, (_, n) => Placed({ id: `k${n % 20}`, n }))
    await engine.commit({ publish: [{ topic: 'orders', messages }] })
    const abort = new AbortController()
    let handled = 0
    const handler = on(Placed, { state: { initial: 0 } }, async ({ data }, state) => {
      if (++handled === 30) abort.abort()
      await turns(1)
      return [set(state + 1), publish(Paid({ id: data.id, n: state }))]
    })
    const aborted = await startHandlers([handler], { engine, signal: abort.signal })
    while (!abort.signal.aborted) await turns(1)
    await aborted.stop()
    const before = (await messagesOf(engine, 'payments')).length
    expect(before).toBeLessThan(500)
    await using running = await startHandlers([handler], { engine })
    await running.idle()
    const byKey = await numbersByKey(engine, 'payments')
    expect(Object.values(byKey).flat()).toHaveLength(500)
    for (const numbers of Object.values(byKey)) expect(numbers).toEqual(Array.from({ length: 25 }, (_, n) => n))
  })
})
