import { describe, expect, it } from 'vitest'
import { fixed, on, publish } from '../runtime/index.ts'
import { channels } from '../telemetry/index.ts'
import { memoryEngine, messagesOf, numbersByKey, Paid, Placed, startHandlers } from './app.test-support.ts'

/** Never returns, whatever its signal says. */
const never = (): Promise<never> => new Promise(() => undefined)

describe('a call to the outside that never returns and listens to no signal', () => {
  it('is a failure for the breaker when its attempt times out', async () => {
    await using engine = await memoryEngine()
    const events: string[] = []
    const breaker = ({ state }: { readonly state: string }): void => void events.push(state)
    const failed = ({ error }: { readonly error: unknown }): void =>
      void events.push((error as { readonly code: string }).code)
    channels.breaker.subscribe(breaker)
    channels.failed.subscribe(failed)
    let callCount = 0
    const options = {
      timeout: 5,
      retry: fixed({ delay: 1, max: 1000 }),
      breaker: { failures: 2, openFor: 20 },
    } as const
    const handler = on(Placed, options, async (message, ctx) => {
      await ctx.call(() => (++callCount <= 3 ? never() : undefined))
      return publish(Paid(message.data))
    })
    await using running = await startHandlers([handler], { engine })
    await running.publish(Placed({ id: 'a', n: 1 }))
    await running.idle()
    channels.breaker.unsubscribe(breaker)
    channels.failed.unsubscribe(failed)
    // Two time-outs open it, the call that tries again times out too, the next one closes it.
    const timeout = 'HANDLER_TIMEOUT'
    expect(events.filter((event) => event !== timeout)).toEqual(['open', 'half-open', 'open', 'half-open', 'closed'])
    expect(events.filter((event) => event === timeout)).toHaveLength(3)
    expect(callCount).toBe(4)
    expect(await messagesOf(engine, 'payments')).toHaveLength(1)
  })

  it('gives its place in the bulkhead back when its attempt times out', async () => {
    await using engine = await memoryEngine()
    const called: string[] = []
    const options = { timeout: 20, retry: fixed({ delay: 1, max: 1000 }), bulkhead: { concurrent: 1 } } as const
    const handler = on(Placed, options, async (message, ctx) => {
      const { n } = message.data
      await ctx.call(() => {
        called.push(`${n}.${ctx.attempt}`)
        return n === 0 && ctx.attempt === 1 ? never() : undefined
      })
      return publish(Paid(message.data))
    })
    await using running = await startHandlers([handler], { engine })
    await running.publish([0, 1, 2].map((n) => Placed({ id: `k${n}`, n })))
    await running.idle()
    expect(await numbersByKey(engine, 'payments')).toEqual({ k0: [0], k1: [1], k2: [2] })
    expect(new Set(called).size).toBe(called.length)
  })

  it('is not made at all once its attempt is over', async () => {
    await using engine = await memoryEngine()
    let late: Promise<unknown> | undefined
    let callCount = 0
    const handler = on(Placed, { timeout: 5, retry: fixed({ delay: 1, max: 2 }) }, async (message, ctx) => {
      if (ctx.attempt > 1) return publish(Paid(message.data))
      await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()))
      late = ctx.call(() => callCount++)
      await late
      return []
    })
    await using running = await startHandlers([handler], { engine })
    await running.publish(Placed({ id: 'a', n: 1 }))
    await running.idle()
    await expect(late).rejects.toMatchObject({ code: 'HANDLER_TIMEOUT' })
    expect(callCount).toBe(0)
  })
})

describe('calls outside', () => {
  it('are made again with the attempt, and their effects are not', async () => {
    await using engine = await memoryEngine()
    let callCount = 0
    const handler = on(Placed, { retry: fixed({ delay: 1, max: 3 }) }, async ({ data }, ctx) => {
      await ctx.call(() => callCount++)
      if (ctx.attempt < 3) throw new RangeError('after the call')
      return publish(Paid(data))
    })
    await using running = await startHandlers([handler], { engine })
    await running.publish(Placed({ id: 'a', n: 1 }))
    await running.idle()
    expect([callCount, (await messagesOf(engine, 'payments')).length]).toEqual([3, 1])
  })
})

describe('the idempotency key', () => {
  it('is the same for each attempt, and another for a message of the same id from another source', async () => {
    await using engine = await memoryEngine()
    const keys: string[] = []
    const handler = on(Placed, { retry: fixed({ delay: 1, max: 3 }) }, (_message, ctx) => {
      keys.push(ctx.key)
      if (ctx.attempt < 2) throw new RangeError('again')
    })
    await using running = await startHandlers([handler], { engine })
    const data = { id: 'a', n: 1 }
    await running.publish([Placed(data, { id: '1', source: '/one' }), Placed(data, { id: '1', source: '/two' })])
    await running.idle()
    expect(keys).toHaveLength(4)
    expect(new Set(keys).size).toBe(2)
    expect(await running.deadLetters.count()).toBe(0)
  })
})
