import { describe, expect, it } from 'vitest'
import type { Engine } from '../engine/index.ts'
import type { VirtualClock } from '../kernel/index.ts'
import { byError, fixed, type Handler, on, type RetryPolicy, set } from '../runtime/index.ts'
import { Placed } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, type RunningApp, service } from './index.ts'

/** A handler that fails as it is told to, and when it was called. */
function failing(clock: VirtualClock, retry: RetryPolicy) {
  const calls: { readonly id: string; readonly atMs: number }[] = []
  const fails: { by: ((id: string) => Error | undefined) | undefined } = { by: () => new Error('not yet') }
  const handler: Handler = on(Placed, { name: 'h', retry, state: { initial: 0 } }, ({ data }, state) => {
    calls.push({ id: data.id, atMs: clock.nowMs() })
    const error = fails.by?.(data.id)
    if (error !== undefined) throw error
    return set(state + 1)
  })
  return { handler, calls, fails }
}

/** Servers may have much to do; the clock stands still meanwhile. */
const soon = { timeout: 30_000 }

const kept = (engine: Engine): Promise<number> => engine.state.count('attempts:test.s.h')

/** Attempts that go on after a restart. */
export function testKeptAttempts(ground: AppGround): void {
  const start = (engine: Engine, clock: VirtualClock, handler: Handler): Promise<RunningApp> =>
    app('test', { services: [service('s', [handler])] }).start({ engine, clock })
  const passUntil = (clock: VirtualClock, holds: () => boolean): Promise<void> =>
    ground.pass(clock, () => Promise.resolve(holds()))

  describe('a message that is to be tried again later', () => {
    it('waits for what is left of the pause, and has no more attempts than it may, over several starts', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      const { handler, calls, fails } = failing(clock, fixed({ delay: '10m', max: 3 }))
      fails.by = (id) => (id === 'bad' ? new Error('not yet') : undefined)
      let running = await start(engine, clock, handler)
      await running.publish([Placed({ id: 'bad', n: 0 }), Placed({ id: 'good', n: 1 })])
      const callsOf = (id: string): readonly number[] => calls.filter((one) => one.id === id).map(({ atMs }) => atMs)
      const firstFailureMs: number[] = []
      for (let attempt = 1; attempt < 3; attempt++) {
        await passUntil(clock, () => callsOf('bad').length === attempt)
        firstFailureMs.push(callsOf('bad')[0] as number)
        // With the clock standing still: the pause has begun.
        await expect.poll(() => kept(engine), soon).toBe(1)
        await running.stop()
        await clock.advance('4m')
        running = await start(engine, clock, handler)
        await clock.advance('3m')
        expect(callsOf('bad')).toHaveLength(attempt)
      }
      await ground.pass(clock, async () => (await running.deadLetters.count()) === 1)
      await running.idle()
      expect(await running.deadLetters.list()).toMatchObject([
        { key: 'bad', attempts: 3, firstFailureMs: firstFailureMs[0] },
      ])
      const times = callsOf('bad')
      const pauses = times.slice(1).map((atMs, index) => atMs - (times[index] as number))
      expect(pauses.every((pauseMs) => pauseMs >= 600_000)).toBe(true)
      expect(callsOf('good')).toHaveLength(1)
      expect(await kept(engine)).toBe(0)
      await running.stop()
    })

    it('is forgotten once it is handled', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      const { handler, calls, fails } = failing(clock, fixed({ delay: '1m', max: 3 }))
      let running = await start(engine, clock, handler)
      await running.publish(Placed({ id: 'a', n: 0 }))
      await expect.poll(() => kept(engine), soon).toBe(1)
      await running.stop()
      fails.by = undefined
      running = await start(engine, clock, handler)
      await passUntil(clock, () => calls.length === 2)
      await running.idle()
      expect(await kept(engine)).toBe(0)
      expect((await engine.state.get('state:test.s.h', 'a'))?.value).toBe(1)
      await running.stop()
    })

    it('is given up in time, by the time since its first attempt', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      const { handler, calls } = failing(clock, fixed({ delay: '10m', max: 100, maxTime: '25m' }))
      let running = await start(engine, clock, handler)
      await running.publish(Placed({ id: 'a', n: 0 }))
      await expect.poll(() => kept(engine), soon).toBe(1)
      await running.stop()
      running = await start(engine, clock, handler)
      await ground.pass(clock, async () => (await running.deadLetters.count()) === 1)
      expect(calls).toHaveLength(3)
      await running.stop()
    })

    it('has the attempts of each kind of error counted on', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      const minutes = (max: number): RetryPolicy => fixed({ delay: '1m', max })
      const retry = byError([{ on: TypeError, use: byError([{ on: Error, use: minutes(100) }]) }], minutes(3))
      const { handler, calls, fails } = failing(clock, retry)
      fails.by = () => (calls.length <= 3 ? new TypeError('away') : new Error('wrong'))
      let running = await start(engine, clock, handler)
      await running.publish(Placed({ id: 'a', n: 0 }))
      for (const count of [3, 4, 5]) {
        await passUntil(clock, () => calls.length === count)
        await running.stop()
        running = await start(engine, clock, handler)
      }
      await ground.pass(clock, async () => (await running.deadLetters.count()) === 1)
      expect(await running.deadLetters.list()).toMatchObject([{ attempts: 6 }])
      await running.stop()
    })

    it('begins anew with another policy, and after what nobody here has written', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      const first = failing(clock, fixed({ delay: '10m', max: 2 }))
      let running = await start(engine, clock, first.handler)
      await running.publish([Placed({ id: 'a', n: 0 }), Placed({ id: 'a', n: 1 })])
      await expect.poll(() => kept(engine), soon).toBe(1)
      await running.stop()
      const namespace = 'attempts:test.s.h'
      const [entry] = await engine.state.range(namespace)
      for (const policy of [fixed({ delay: '1m', max: 2 }), fixed({ delay: '10m', max: 2 })]) {
        const { handler, calls } = failing(clock, policy)
        running = await start(engine, clock, handler)
        await expect.poll(async () => [calls.length, await kept(engine)], soon).toEqual([1, 1])
        await running.stop()
        const value = { ...(entry?.value as object), delayMs: null }
        if (entry !== undefined) await engine.commit({ state: [{ kind: 'set', namespace, key: entry.key, value }] })
      }
      const { handler, calls } = failing(clock, fixed({ delay: '10m', max: 2 }))
      running = await start(engine, clock, handler)
      await ground.pass(clock, async () => (await running.deadLetters.count()) === 2)
      expect(calls).toHaveLength(4)
      expect(await running.deadLetters.list()).toMatchObject([{ attempts: 2 }, { attempts: 2 }])
      await running.stop()
    })

    it('is another one where its topic was made anew', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      const { handler, calls } = failing(clock, fixed({ delay: '10m', max: 2 }))
      let running = await start(engine, clock, handler)
      await running.publish(Placed({ id: 'a', n: 0 }))
      await expect.poll(() => kept(engine), soon).toBe(1)
      await running.stop()
      await engine.topics.delete('orders')
      running = await start(engine, clock, handler)
      await running.publish(Placed({ id: 'b', n: 0 }))
      await ground.pass(clock, async () => (await running.deadLetters.count()) === 1)
      expect(calls.map(({ id }) => id)).toEqual(['a', 'b', 'b'])
      await running.idle()
      expect(await running.deadLetters.list()).toMatchObject([{ key: 'b', attempts: 2 }])
      await running.stop()
    })
  })
}
