import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../kernel/index.ts'
import { type Effects, fixed, type HandlerContext, none, on, publish, schedule, set } from '../runtime/index.ts'
import { channels } from '../telemetry/index.ts'
import {
  engineWith,
  gate,
  memoryEngine,
  numbersByKey,
  Paid,
  Placed,
  Shipped,
  startHandlers,
} from './app.test-support.ts'

interface Progress {
  readonly done: readonly string[]
}
const initial: Progress = { done: [] }

/** Does two things outside, and tells its state after each. */
function twoThings(outside: string[], trouble: (what: string, ctx: HandlerContext) => void = () => undefined) {
  return on(Placed, { state: { initial }, retry: fixed({ delay: 1, max: 3 }) }, async (message, state, ctx) => {
    let { done } = state
    for (const what of ['first', 'second']) {
      if (done.includes(what)) continue
      outside.push(`${what} ${message.data.id}`)
      done = [...done, what]
      await ctx.checkpoint([set({ done }), publish(Paid({ id: message.data.id, n: done.length }))])
      trouble(what, ctx)
    }
    return publish(Shipped({ id: message.data.id, n: done.length }))
  })
}

describe('a checkpoint', () => {
  it('is real before the handler goes on, and what failed later is not done again', async () => {
    await using engine = await memoryEngine()
    const outside: string[] = []
    const handler = twoThings(outside, (what, ctx) => {
      if (what === 'first' && ctx.attempt === 1) throw new RangeError('after the first')
    })
    await using running = await startHandlers([handler], { engine })
    await running.publish(Placed({ id: 'a', n: 1 }))
    await running.idle()
    expect(outside).toEqual(['first a', 'second a'])
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [1, 2] })
    expect(await numbersByKey(engine, 'shipments')).toEqual({ a: [2] })
    expect((await engine.state.get('state:test.s.Placed', 'a'))?.value).toEqual({ done: ['first', 'second'] })
  })

  it('is one commit with those of other keys', async () => {
    await using engine = await memoryEngine()
    await using running = await startHandlers([twoThings([])], { engine })
    let commits = 0
    const count = (): number => ++commits
    channels.committed.subscribe(count)
    const keys = 60
    await running.publish(Array.from({ length: keys }, (_, n) => Placed({ id: `k${n}`, n })))
    await running.idle()
    channels.committed.unsubscribe(count)
    expect(Object.keys(await numbersByKey(engine, 'shipments'))).toHaveLength(keys)
    expect(commits).toBeLessThan(keys)
  })

  it('that the engine refuses fails alone, and its state stays as it was', async () => {
    await using engine = await memoryEngine()
    const seen: string[] = []
    const handler = on(
      Placed,
      { state: { initial }, retry: fixed({ delay: 1, max: 2 }) },
      async (message, state, ctx) => {
        const { id, n } = message.data
        const large = publish(Paid({ id: n === 0 ? 'x'.repeat(2_000_000) : id, n }))
        await ctx.checkpoint([set({ done: ['large'] }), large]).catch((error: { readonly code?: string }) => {
          // Those that were in one commit with it begin anew.
          if (!ctx.signal.aborted) seen.push(`${id} ${error.code}`)
          throw error
        })
        return [set({ done: [...state.done, 'end'] })]
      },
    )
    await using running = await startHandlers([handler], { engine })
    await running.publish(Array.from({ length: 5 }, (_, n) => Placed({ id: `k${n}`, n })))
    await running.idle()
    expect(seen).toEqual(['k0 RECORD_TOO_LARGE', 'k0 RECORD_TOO_LARGE'])
    expect((await running.deadLetters.list()).map(({ key }) => key)).toEqual(['k0'])
    expect(await engine.state.get('state:test.s.Placed', 'k0')).toBeUndefined()
    expect((await numbersByKey(engine, 'payments'))['k4']).toEqual([4])
  })

  it('that is no list of effects, or comes when the handler is over, is refused', async () => {
    await using engine = await memoryEngine()
    const late = Promise.withResolvers<unknown>()
    const wrong: unknown[] = []
    const handler = on(Placed, { state: { initial } }, async (_message, _state, ctx) => {
      await ctx
        .checkpoint({ kind: 'nonsense' } as unknown as Effects<unknown>)
        .catch((error: unknown) => wrong.push(error))
      setImmediate(() => void ctx.checkpoint(set({ done: ['late'] })).then(late.resolve, late.resolve))
    })
    await using running = await startHandlers([handler], { engine })
    await running.publish(Placed({ id: 'a', n: 1 }))
    expect(await late.promise).toMatchObject({ code: 'CHECKPOINT_REFUSED' })
    expect(wrong).toMatchObject([{ code: 'EFFECT_INVALID' }])
    await running.idle()
    expect(await engine.state.get('state:test.s.Placed', 'a')).toBeUndefined()
  })

  it('of a timer that the engine refuses makes a dead letter of that timer, and ends nothing else', async () => {
    const clock = new VirtualClock()
    await using engine = await memoryEngine({ clock })
    const handler = on(
      Placed,
      {
        retry: fixed({ delay: 1, max: 2 }),
        state: { initial: 0 },
        timers: {
          late: async (_timer, state, ctx) => {
            await ctx.checkpoint(publish(Paid({ id: 'x'.repeat(2_000_000), n: 1 })))
            return set(state)
          },
        },
      },
      (_message, state) => [set(state + 1), schedule('late', { after: '1m' })],
    )
    await using running = await startHandlers([handler], { engine, clock })
    await running.publish(Placed({ id: 'a', n: 7 }))
    await running.idle()
    for (let seconds = 0; seconds < 120 && (await running.deadLetters.count()) === 0; seconds += 5)
      await clock.advance('5s')
    expect(await running.deadLetters.list()).toMatchObject([{ reason: 'timer', error: { code: 'RECORD_TOO_LARGE' } }])
    await running.publish(Placed({ id: 'b', n: 1 }))
    await running.idle()
    expect((await engine.state.get('state:test.s.Placed', 'b'))?.value).toBe(1)
  })

  it('that comes about after its attempt was given up changes nothing of what came after it', async () => {
    await using engine = await memoryEngine()
    const [isAsked, isThere] = [gate(), gate()]
    let isSlow = true
    const slow = engineWith(engine, 'topics', {
      ensure: async (...given) => {
        if (given[0] === 'payments' && isSlow) {
          isSlow = false
          isAsked.open()
          await isThere.opened
        }
        return engine.topics.ensure(...given)
      },
    })
    const handler = on(
      Placed,
      { name: 'h', state: { initial: 0 }, retry: none, timeout: 50 },
      async ({ data }, state, ctx) => {
        if (data.n === 1) await ctx.checkpoint([set(100), publish(Paid(data))])
        return set(state + 1)
      },
    )
    await using running = await startHandlers([handler], { engine: slow })
    await running.publish([1, 2].map((n) => Placed({ id: 'a', n })))
    await isAsked.opened
    while ((await engine.state.get('state:test.s.h', 'a')) === undefined) await pause(5)
    isThere.open()
    await pause(20)
    await running.publish(Placed({ id: 'a', n: 3 }))
    await running.idle()
    expect((await engine.state.get('state:test.s.h', 'a'))?.value).toBe(2)
    expect(await running.deadLetters.list()).toMatchObject([{ offset: 0, error: { code: 'HANDLER_TIMEOUT' } }])
  })
})
