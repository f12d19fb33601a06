import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../kernel/index.ts'
import { on } from '../runtime/index.ts'
import { memoryEngine, Placed, startHandlers } from './app.test-support.ts'

describe('a handler that takes at most so many messages a second', () => {
  it.each([
    { starts: 1, rate: 50, messages: 150 },
    { starts: 3, rate: 50, messages: 150 },
    { starts: 1, rate: 0.5, messages: 4 },
  ])('takes no more with $starts starts at $rate, and all of them', async ({ starts, rate, messages }) => {
    const clock = new VirtualClock()
    await using engine = await memoryEngine({ clock })
    const handledMs: number[] = []
    const handler = on(Placed, { messagesPerSecond: rate }, () => void handledMs.push(clock.monotonicMs()))
    await using open = new AsyncDisposableStack()
    const running = await Promise.all(
      Array.from({ length: starts }, async () => open.use(await startHandlers([handler], { engine, clock }))),
    )
    await running[0]?.publish(Array.from({ length: messages }, (_, n) => Placed({ id: `k${n}`, n })))
    while (handledMs.length < messages) await clock.advance(20)
    await Promise.all(running.map((one) => one.idle()))
    expect(handledMs).toHaveLength(messages)
    // Each start may make up for a tenth of a second, and takes a piece of as much at once.
    const spare = starts * 2 * Math.max(1, rate / 10)
    const inOneSecond = handledMs.map(
      (startMs) => handledMs.filter((ms) => ms >= startMs && ms < startMs + 1000).length,
    )
    expect(Math.max(...inOneSecond)).toBeLessThanOrEqual(Math.ceil(rate + spare))
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(((messages - spare) / rate) * 1000)
  })

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, '5'])('is refused for a rate of %o', (rate) => {
    expect(() => on(Placed, { messagesPerSecond: rate as never }, () => undefined)).toThrow(
      expect.objectContaining({
        code: 'OPTIONS_INVALID',
        details: expect.objectContaining({ problems: [expect.objectContaining({ option: 'messagesPerSecond' })] }),
      }),
    )
  })
})
