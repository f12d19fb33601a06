import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import { type EventDefinition, event } from '../message/index.ts'
import { type Handler, on, publish, set } from '../runtime/index.ts'
import {
  type Item,
  memoryEngine,
  messagesOf,
  numbersByKey,
  Paid,
  Placed,
  startHandlers,
  temporaryFolder,
} from './app.test-support.ts'

const count = on(Placed, { state: { initial: 0 } }, (message, state) => [
  set(state + 1),
  publish(Paid({ id: message.data.id, n: state })),
])

function placed(length: number, keys: number): ReturnType<typeof Placed>[] {
  return Array.from({ length }, (_, n) => Placed({ id: `k${n % keys}`, n }))
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function membersOf(engine: Engine, group: string): Promise<number> {
  return (await engine.groups.describe(group))?.members.length ?? 0
}

describe('many starts at once', () => {
  it('and their stops leave no member behind, and nothing is lost or done twice', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 4 })
    for (let round = 0; round < 3; round++) {
      await engine.commit({ publish: [{ topic: 'orders', messages: placed(100, 10) }] })
      await Promise.all(
        Array.from({ length: 10 }, async (_, n) => {
          const running = await startHandlers([count], { engine })
          for (let turn = 0; turn < n; turn++) await nextTurn()
          await running.stop()
        }),
      )
      expect(await membersOf(engine, 'test.s.Placed')).toBe(0)
    }
    await using running = await startHandlers([count], { engine })
    await running.idle()
    const byKey = await numbersByKey(engine, 'payments')
    expect(Object.keys(byKey)).toHaveLength(10)
    for (const numbers of Object.values(byKey)) expect(numbers).toEqual(Array.from({ length: 30 }, (_, n) => n))
  })

  it('of many more members than partitions share the work', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 3 })
    const starts = await Promise.all(Array.from({ length: 20 }, () => startHandlers([count], { engine })))
    await Promise.all(starts.map((running, n) => running.publish(Placed({ id: `k${n % 7}`, n }))))
    await Promise.all(starts.map((running) => running.idle()))
    expect(await messagesOf(engine, 'payments')).toHaveLength(20)
    await Promise.all(starts.map((running) => running.stop()))
  })

  it('on an engine that they open themselves: one has the file, the others are told by whom', async () => {
    using folder = temporaryFolder()
    const source = embedded({ path: folder.path('app.db') })
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => startHandlers([count], { engine: source })))
    const started = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    expect(started).toHaveLength(1)
    const refusals = outcomes.flatMap((one) =>
      one.status === 'rejected' ? [(one.reason as { code?: unknown }).code] : [],
    )
    expect(refusals).toEqual(['FILE_LOCKED', 'FILE_LOCKED'])
    await started[0]?.stop()
    await using next = await startHandlers([count], { engine: source })
    await next.idle()
  })
})

describe('a start whose signal aborts', () => {
  it('before it began is refused', async () => {
    await using engine = await memoryEngine()
    const reason = new Error('enough')
    await expect(startHandlers([count], { engine, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(await membersOf(engine, 'test.s.Placed')).toBe(0)
  })

  it.each([0, 1, 2, 5])('while it is under way leaves nothing running (after %i turns)', async (turns) => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders')
    await engine.commit({ publish: [{ topic: 'orders', messages: placed(10, 5) }] })
    const abort = new AbortController()
    const reason = new Error('enough')
    const starting = startHandlers([count], { engine, signal: abort.signal })
    for (let turn = 0; turn < turns; turn++) await nextTurn()
    abort.abort(reason)
    const outcome = await starting.catch((error: unknown) => error)
    // Either it was refused, or it had begun already and comes to its end by itself.
    while (outcome !== reason && (await membersOf(engine, 'test.s.Placed')) > 0) await nextTurn()
    expect(await membersOf(engine, 'test.s.Placed')).toBe(0)
    await using running = await startHandlers([count], { engine })
    await running.idle()
    expect(await messagesOf(engine, 'payments')).toHaveLength(10)
  })

  it('while it is under way gives back a file that it opened', async () => {
    using folder = temporaryFolder()
    const source = embedded({ path: folder.path('app.db') })
    const abort = new AbortController()
    const starting = startHandlers([count], { engine: source, signal: abort.signal })
    abort.abort(new Error('enough'))
    await expect(starting).rejects.toThrow('enough')
    await using engine = await source.open()
    expect(await membersOf(engine, 'test.s.Placed')).toBe(0)
  })
})

describe('handlers', () => {
  it('of many topics, published to at the same time, each get their own', async () => {
    await using engine = await memoryEngine()
    const item = z.object({ id: z.string(), n: z.number() })
    const events = Array.from(
      { length: 20 },
      (_, n): EventDefinition<string, Item, Item> =>
        event(`Many${n}`, { topic: `many-${n}`, data: item, key: (d) => d.id }),
    )
    const got: number[][] = events.map(() => [])
    const handlers: readonly Handler[] = events.map((definition, n) =>
      on(definition, (message) => void got[n]?.push(message.data.n)),
    )
    await using running = await startHandlers(handlers, { engine })
    await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        Promise.all(
          events.map((definition, topic) => running.publish(definition({ id: `k${n % 3}`, n: topic * 100 + n }))),
        ),
      ),
    )
    await running.idle()
    for (const [topic, numbers] of got.entries()) {
      expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, n) => topic * 100 + n))
    }
  })

  it('that come later get what was published before them, and the others only what is new', async () => {
    await using engine = await memoryEngine()
    const got: number[][] = []
    const noting = (index: number): Handler => {
      got[index] = []
      return on(Placed, { name: `late-${index}` }, (message) => void got[index]?.push(message.data.n))
    }
    const handlers: Handler[] = []
    for (let round = 0; round < 4; round++) {
      handlers.push(noting(round))
      await using running = await startHandlers(handlers, { engine })
      await running.publish(Placed({ id: 'a', n: round }))
      await running.idle()
      const soFar = Array.from({ length: round + 1 }, (_, n) => n)
      expect(got).toEqual(handlers.map(() => soFar))
    }
  })

  it('from the end and from the start side by side go on where each was, also after a restart', async () => {
    using folder = temporaryFolder()
    const source = embedded({ path: folder.path('app.db') })
    const got = { early: [] as number[], late: [] as number[] }
    const handlers = [
      on(Placed, { name: 'early' }, (message) => void got.early.push(message.data.n)),
      on(Placed, { name: 'late', from: 'latest' }, (message) => void got.late.push(message.data.n)),
    ]
    const publishAll = (running: Awaited<ReturnType<typeof startHandlers>>, from: number, to: number) =>
      running.publish(Array.from({ length: to - from }, (_, n) => Placed({ id: 'a', n: from + n })))
    {
      await using engine = await source.open()
      await engine.topics.ensure('orders')
      await engine.commit({ publish: [{ topic: 'orders', messages: [Placed({ id: 'a', n: 0 })] }] })
    }
    {
      await using running = await startHandlers(handlers, { engine: source })
      await publishAll(running, 1, 5)
      await running.idle()
    }
    {
      // Published while both are away: both find it when they come back.
      await using engine = await source.open()
      await engine.commit({ publish: [{ topic: 'orders', messages: [Placed({ id: 'a', n: 5 })] }] })
    }
    await using running = await startHandlers(handlers, { engine: source })
    await publishAll(running, 6, 10)
    await running.idle()
    expect(got).toEqual({
      early: Array.from({ length: 10 }, (_, n) => n),
      late: Array.from({ length: 9 }, (_, n) => n + 1),
    })
  })
})
