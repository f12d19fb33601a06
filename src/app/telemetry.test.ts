import { describe, expect, it } from 'vitest'
import { append, fixed, on, publish } from '../runtime/index.ts'
import { channels } from '../telemetry/index.ts'
import { memoryEngine, Paid, Placed, Shipped, startHandlers } from './app.test-support.ts'

type Reports = { readonly [Name in keyof typeof channels]: Parameters<(typeof channels)[Name]['publish']>[0][] }

/** Listens on all channels until it is disposed. */
function listen(): { readonly reports: Reports } & Disposable {
  const reports: Record<string, unknown[]> = {}
  const stops = Object.entries(channels).map(([name, channel]) => {
    const heard: unknown[] = []
    reports[name] = heard
    const note = (report: unknown): void => void heard.push(report)
    channel.subscribe(note)
    return () => channel.unsubscribe(note)
  })
  return {
    reports: reports as unknown as Reports,
    [Symbol.dispose]: () => {
      for (const stop of stops) stop()
    },
  }
}

const handler = 'test.s.Placed'

describe('the channels', () => {
  it('tell the life of a message that is retried and given up, and of those that go through', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    using heard = listen()
    const one = on(Placed, { retry: fixed({ delay: 1, max: 2 }) }, (message) => {
      if (message.data.n === 1) throw new RangeError('one')
      return publish(Paid(message.data))
    })
    await using running = await startHandlers([one], { engine })
    const messages = [0, 1, 2].map((n) => Placed({ id: `k${n}`, n }))
    await running.publish(messages)
    await running.idle()
    const { reports } = heard
    const place = { handler, topic: 'orders', partition: 0 }
    const failed = {
      ...place,
      offset: 1,
      key: 'k1',
      type: 'Placed',
      messageId: messages[1]?.id,
      error: new RangeError('one'),
    }
    expect(reports.rebalanced[0]).toEqual({
      handler,
      change: 'assigned',
      partitions: [{ topic: 'orders', partition: 0 }],
    })
    expect(reports.consumed.reduce((sum, { recordCount }) => sum + recordCount, 0)).toBe(3)
    expect(reports.handled.map(({ offset, effectCount }) => [offset, effectCount])).toEqual([
      [0, 1],
      [2, 1],
    ])
    expect(reports.failed).toEqual([1, 2].map((attempt) => ({ ...failed, attempt })))
    expect(reports.retried).toEqual([{ ...failed, attempt: 1, delayMs: 1 }])
    expect(reports.deadLettered).toMatchObject([{ ...failed, attempt: 2, id: `${handler}/orders/0/0000000000000001` }])
    expect(reports.lag.at(-1)).toEqual({ ...place, lagMessages: 0 })
    const committed = reports.committed.reduce((sum, { messageCount }) => sum + messageCount, 0)
    expect(committed).toBe(3)
    expect(reports.published[0]).toMatchObject({ app: 'test', handler: null, messageCount: 3 })
    const byHandler = reports.published.filter((report) => report.handler === handler)
    // Two payments and the event about the dead letter.
    expect(byHandler.reduce((sum, { messageCount }) => sum + messageCount, 0)).toBe(3)
    for (const { durationMs } of [...reports.handled, ...reports.committed, ...reports.published]) {
      expect(durationMs).toBeGreaterThanOrEqual(0)
    }
  })

  it('tell of commits that concern one message only', async () => {
    await using engine = await memoryEngine()
    using heard = listen()
    const one = on(Placed, (message) => [
      append(`s-${message.data.n}`, Paid(message.data), { expected: 'none' }),
      publish(Shipped(message.data)),
    ])
    await using running = await startHandlers([one], { engine })
    await running.publish([0, 1, 2, 3].map((n) => Placed({ id: `k${n}`, n })))
    await running.idle()
    const { committed, published, lag } = heard.reports
    expect(committed.map(({ messageCount, publishedCount }) => [messageCount, publishedCount])).toEqual(
      Array.from({ length: 4 }, () => [1, 1]),
    )
    expect(published.filter((report) => report.handler === handler)).toHaveLength(4)
    expect(new Set(lag.map(({ partition }) => partition)).size).toBeGreaterThan(1)
  })

  it('tell when a breaker opens, tries and closes, also if calls end only because their attempt took too long', async () => {
    await using engine = await memoryEngine()
    using heard = listen()
    let isDown = true
    const hang = (signal: AbortSignal): Promise<void> =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new DOMException('The call was aborted.', 'AbortError')))
      })
    const options = { timeout: 5, retry: fixed({ delay: 1, max: 1000 }), breaker: { failures: 2, openFor: 5 } } as const
    const one = on(Placed, options, async (_message, ctx) => {
      await ctx.call((signal) => {
        if (heard.reports.breaker.length > 2) isDown = false
        return isDown ? hang(signal) : undefined
      })
    })
    await using running = await startHandlers([one], { engine })
    await running.publish(Placed({ id: 'a', n: 1 }))
    await running.idle()
    const states = heard.reports.breaker.map(({ state }) => state)
    expect(states.slice(0, 3)).toEqual(['open', 'half-open', 'open'])
    expect(states.at(-1)).toBe('closed')
  })
})
