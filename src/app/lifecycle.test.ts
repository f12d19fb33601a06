import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { VirtualClock } from '../kernel/index.ts'
import { exponential, fixed, on, publish, set } from '../runtime/index.ts'
import { type CommittedReport, channels, type HandledReport } from '../telemetry/index.ts'
import { gate, memoryEngine, messagesOf, Paid, Placed, startHandlers, temporaryFolder } from './app.test-support.ts'
import { app, service } from './index.ts'

describe('deduplication', () => {
  it('handles a message as often as it is published, where ids are not remembered', async () => {
    await using engine = await memoryEngine()
    const handler = on(Placed, (message) => publish(Paid(message.data)))
    await using running = await startHandlers([handler], { engine })
    const message = Placed({ id: 'a', n: 1 })
    await running.publish([message, message])
    await running.publish(message)
    await running.idle()
    expect(await messagesOf(engine, 'payments')).toHaveLength(3)
  })

  it('handles a message id once within its window, also after a restart, and again long after', async () => {
    using folder = temporaryFolder()
    const path = folder.path('app.db')
    const clock = new VirtualClock()
    const handler = on(Placed, { dedupe: { window: '1h' } }, (message) => publish(Paid(message.data)))
    const message = Placed({ id: 'a', n: 1 })
    {
      await using running = await startHandlers([handler], { engine: embedded({ path }), clock })
      await running.publish([message, message])
      await running.idle()
      await running.publish([message, Placed({ id: 'a', n: 2 })])
      await running.idle()
    }
    await clock.advance('50m')
    await using engine = await embedded({ path }).open({ clock })
    await using running = await startHandlers([handler], { engine, clock })
    await running.publish([message, Placed({ id: 'a', n: 3 })])
    await running.idle()
    expect((await messagesOf(engine, 'payments')).map(({ data }) => data.n)).toEqual([1, 2, 3])
    await clock.advance('3h')
    await running.publish(message)
    await running.idle()
    expect((await messagesOf(engine, 'payments')).map(({ data }) => data.n)).toEqual([1, 2, 3, 1])
    expect(await engine.state.namespaces('dedupe:')).toHaveLength(1)
  })
})

describe('stop', () => {
  it('lets handlers finish, commits, and leaves', async () => {
    await using engine = await memoryEngine()
    const began = gate()
    const go = gate()
    const handler = on(Placed, async (message) => {
      began.open()
      await go.opened
      return publish(Paid(message.data))
    })
    const running = await startHandlers([handler], { engine })
    await running.publish(Placed({ id: 'a', n: 1 }))
    await began.opened
    const stopped = running.stop()
    go.open()
    await stopped
    expect(await messagesOf(engine, 'payments')).toHaveLength(1)
    expect((await engine.groups.describe('test.s.Placed'))?.members).toEqual([])
    expect((await engine.groups.describe('test.s.Placed'))?.lag.every((lag) => lag.lagMessages === 0)).toBe(true)
    await running.stop()
  })

  it('aborts handlers that take too long and leaves their messages for the next start', async () => {
    await using engine = await memoryEngine()
    const began = gate()
    let isSlow = true
    const handler = on(Placed, async (message, ctx) => {
      if (isSlow) {
        began.open()
        await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()))
        throw ctx.signal.reason
      }
      return publish(Paid(message.data))
    })
    const running = await startHandlers([handler], { engine, stopTimeout: '10ms' })
    await running.publish(Placed({ id: 'a', n: 1 }))
    await began.opened
    await running.stop()
    expect(await engine.topics.describe('payments')).toBeUndefined()
    isSlow = false
    await using again = await startHandlers([handler], { engine })
    await again.idle()
    expect(await messagesOf(engine, 'payments')).toHaveLength(1)
    expect(await again.deadLetters.count()).toBe(0)
  })

  it('does not wait for the next attempt of what fails meanwhile', async () => {
    const clock = new VirtualClock()
    await using engine = await memoryEngine()
    const began = gate()
    const go = gate()
    const handler = on(Placed, { retry: fixed({ delay: '1m' }) }, async () => {
      began.open()
      await go.opened
      throw new Error('not now')
    })
    const running = await startHandlers([handler], { engine, clock })
    await running.publish([Placed({ id: 'a', n: 1 }), Placed({ id: 'a', n: 2 })])
    await began.opened
    // Time stands still, so whatever waited for it would wait for ever.
    const stopped = running.stop()
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    go.open()
    await stopped
    expect((await engine.groups.describe('test.s.Placed'))?.lag.reduce((sum, lag) => sum + lag.lagMessages, 0)).toBe(2)
  })

  it('rejects what waits for idle, and publishing', async () => {
    await using engine = await memoryEngine()
    const handler = on(Placed, () => new Promise<never>(() => undefined))
    const running = await startHandlers([handler], { engine, stopTimeout: 0 })
    await running.publish(Placed({ id: 'a', n: 1 }))
    const idle = running.idle()
    idle.catch(() => undefined)
    await running.stop()
    await expect(idle).rejects.toMatchObject({ code: 'APP_STOPPED' })
    await expect(running.publish(Placed({ id: 'a', n: 1 }))).rejects.toMatchObject({ code: 'APP_STOPPED' })
  })

  it('happens when the signal aborts', async () => {
    await using engine = await memoryEngine()
    const abort = new AbortController()
    await using running = await startHandlers([on(Placed, () => undefined)], { engine, signal: abort.signal })
    abort.abort()
    await running.stop()
    expect((await engine.groups.describe('test.s.Placed'))?.members).toEqual([])
  })
})

describe('a failed engine', () => {
  it('stops the app with its error', async () => {
    const engine = await memoryEngine()
    await using running = await startHandlers([on(Placed, (message) => publish(Paid(message.data)))], { engine })
    await engine.close()
    await expect(running.publish(Placed({ id: 'a', n: 1 }))).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(running.failed).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(running.idle()).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

describe('calls to the outside', () => {
  it('pass the breaker, which holds the partition back when it opens, without using up attempts', async () => {
    await using engine = await memoryEngine()
    let isDown = true
    let calls = 0
    const attempts: number[] = []
    const handler = on(
      Placed,
      { breaker: { failures: 3, openFor: '30ms' }, retry: { delayMs: () => 1, description: 'always' } },
      async (message, ctx) => {
        attempts.push(ctx.attempt)
        await ctx.call(() => {
          if (++calls >= 6) isDown = false
          if (isDown) throw new Error('down')
        })
        return publish(Paid(message.data))
      },
    )
    await using running = await startHandlers([handler], { engine })
    await running.publish(Array.from({ length: 10 }, (_, n) => Placed({ id: `k${n}`, n })))
    await running.idle()
    expect(await messagesOf(engine, 'payments')).toHaveLength(10)
    // Without the breaker all ten would have called at once.
    expect(calls).toBeLessThanOrEqual(25)
    expect(await running.deadLetters.count()).toBe(0)
  })

  it('are at most as many at once as the bulkhead lets in', async () => {
    await using engine = await memoryEngine()
    let now = 0
    let most = 0
    const handler = on(Placed, { bulkhead: { concurrent: 2 } }, async (message, { call }) => {
      await call(async () => {
        most = Math.max(most, ++now)
        await new Promise((resolve) => setImmediate(resolve))
        now--
      })
      return publish(Paid(message.data))
    })
    await using running = await startHandlers([handler], { engine })
    await running.publish(Array.from({ length: 20 }, (_, n) => Placed({ id: `k${n}`, n })))
    await running.idle()
    expect(most).toBe(2)
    expect(await messagesOf(engine, 'payments')).toHaveLength(20)
  })
})

describe('telemetry', () => {
  it('reports what is handled and committed', async () => {
    await using engine = await memoryEngine()
    const handled: HandledReport[] = []
    const committed: CommittedReport[] = []
    const onHandled = (report: unknown): void => void handled.push(report as HandledReport)
    const onCommitted = (report: unknown): void => void committed.push(report as CommittedReport)
    channels.handled.subscribe(onHandled)
    channels.committed.subscribe(onCommitted)
    try {
      const handler = on(Placed, { state: { initial: 0 } }, (message) => [set(1), publish(Paid(message.data))])
      await using running = await startHandlers([handler], { engine })
      await running.publish(Array.from({ length: 5 }, (_, n) => Placed({ id: 'a', n })))
      await running.idle()
    } finally {
      channels.handled.unsubscribe(onHandled)
      channels.committed.unsubscribe(onCommitted)
    }
    expect(handled.map(({ handler, type, attempt, effectCount }) => [handler, type, attempt, effectCount])).toEqual(
      Array.from({ length: 5 }, () => ['test.s.Placed', 'Placed', 1, 2]),
    )
    expect(committed.reduce((sum, report) => sum + report.messageCount, 0)).toBe(5)
  })
})

describe('declarations', () => {
  it('refuse what was not made by the functions that make it', async () => {
    const invalid = expect.objectContaining({ code: 'OPTIONS_INVALID' })
    for (const make of [
      () => on(Placed, null as never, () => undefined),
      () => (on as (...args: unknown[]) => unknown)(Placed),
      () => on(Placed, { state: null as never }, () => undefined),
      () => on(Placed, { name: 5 as never }, () => undefined),
      () => service('s', undefined as never),
      () => service('s', [() => undefined] as never),
      () => app('a', { services: 5 as never }),
      () => app('a', { views: [{}] as never }),
    ]) {
      expect(make).toThrow(invalid)
    }
    const empty = app('a')
    for (const options of [
      undefined,
      {},
      { engine: 5 },
      { engine: {}, stopTimeout: 'soon' },
      { engine: {}, sessionTimeout: '10ms' },
    ]) {
      await expect(empty.start(options as never)).rejects.toEqual(invalid)
    }
    await using engine = await memoryEngine()
    await using running = await empty.start({ engine })
    for (const message of [undefined, null, 5, {}, Placed, [Placed({ id: 'a', n: 1 }), undefined]]) {
      await expect(running.publish(message as never)).rejects.toMatchObject({ code: 'PUBLISH_INVALID' })
    }
    expect((await engine.topics.list()).map(({ name }) => name)).toEqual(['a.dead-letters'])
  })

  it('report all wrong options of a handler together', () => {
    const wrong = { concurrency: 0, timeout: 'soon', onDeadLetter: 'explode' } as never
    expect(() => on(Placed, wrong, () => undefined)).toThrow(
      expect.objectContaining({
        code: 'OPTIONS_INVALID',
        details: expect.objectContaining({ problems: expect.objectContaining({ length: 3 }) }),
      }),
    )
  })

  it('report misspelt options wherever there are some', async () => {
    await using engine = await memoryEngine()
    const handler = (options: object): unknown => on(Placed, options as never, () => undefined)
    const wrong: readonly (readonly [option: string, make: () => unknown])[] = [
      ['service', () => app('a', { service: [] } as never)],
      ['maxAttempts', () => exponential({ maxAttempts: 3 } as never)],
      ['initial', () => fixed({ initial: '1s' } as never)],
      ['state.default', () => handler({ state: { initial: 0, default: 1 } })],
      ['dedupe.for', () => handler({ dedupe: { window: '1h', for: '1h' } })],
      ['breaker.after', () => handler({ breaker: { after: 3 } })],
      ['bulkhead', () => handler({ bulkhead: null })],
      ['stopTimout', () => app('a', {}).start({ engine, stopTimout: '1s' } as never)],
      ['signal', () => app('a', {}).start({ engine, signal: 5 } as never)],
      ['clock', () => app('a', {}).start({ engine, clock: {} } as never)],
    ]
    for (const [option, make] of wrong) {
      await expect((async () => make())()).rejects.toMatchObject({
        code: 'OPTIONS_INVALID',
        details: { problems: [{ option }] },
      })
    }
  })

  it('report a misspelt option of a handler', () => {
    const wrong = { retries: fixed({ delay: '1s', max: 3 }) } as never
    expect(() => on(Placed, wrong, () => undefined)).toThrow(
      expect.objectContaining({
        code: 'OPTIONS_INVALID',
        details: expect.objectContaining({ problems: [{ option: 'retries', problem: 'is no option of on()' }] }),
      }),
    )
  })
})
