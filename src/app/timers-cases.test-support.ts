import { describe, expect, it } from 'vitest'
import { cancel, on, publish, schedule, set } from '../runtime/index.ts'
import { numbersByKey, Paid, Placed, Shipped, startHandlers } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'

const reminder = on(
  [Placed, Paid],
  {
    name: 'reminder',
    state: { initial: { reminders: 0 } },
    timers: {
      remind: (timer, state, ctx) => [
        set({ reminders: state.reminders + 1 }),
        publish(Shipped({ id: timer.key, n: ctx.nowMs() - timer.dueMs })),
        state.reminders < 2 && schedule('remind', { after: '10m' }),
      ],
    },
  },
  (message) => (message.type === 'Placed' ? schedule('remind', { after: '10m' }) : cancel('remind')),
)

/** Timers of handlers. */
export function testTimers(ground: AppGround): void {
  describe('timers', () => {
    it('fire when they are due, not before, and may schedule themselves again', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      await using running = await startHandlers([reminder], { engine, clock })
      await running.publish(Placed({ id: 'a', n: 1 }))
      await running.idle()
      const startMs = clock.nowMs()
      await ground.pass(clock, async () => (await numbersByKey(engine, 'shipments'))['a'] !== undefined)
      expect(clock.nowMs() - startMs).toBeGreaterThanOrEqual(600_000)
      await ground.pass(clock, async () => (await numbersByKey(engine, 'shipments'))['a']?.length === 3)
      const lateMs = (await numbersByKey(engine, 'shipments'))['a'] ?? []
      for (const late of lateMs) expect(late).toBeGreaterThanOrEqual(0)
      for (const late of lateMs) expect(late).toBeLessThanOrEqual(ground.latenessMsMax)
      await running.idle()
      expect((await engine.state.get('state:test.s.reminder', 'a'))?.value).toEqual({ reminders: 3 })
      expect(await engine.timers.list()).toEqual([])
    })

    it('that are cancelled never fire, even when another topic carries the message that cancels', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      await using running = await startHandlers([reminder], { engine, clock })
      await running.publish([Placed({ id: 'a', n: 1 }), Placed({ id: 'b', n: 1 })])
      await running.idle()
      await running.publish(Paid({ id: 'a', n: 1 }))
      await running.idle()
      expect(await engine.timers.list()).toHaveLength(1)
      await ground.pass(clock, async () => (await numbersByKey(engine, 'shipments'))['b'] !== undefined)
      expect((await numbersByKey(engine, 'shipments'))['a']).toBeUndefined()
    })

    it('fire after a restart if they fell due meanwhile', async () => {
      const source = ground.source()
      const clock = ground.clock()
      {
        await using running = await startHandlers([reminder], { engine: source, clock })
        await running.publish(Placed({ id: 'a', n: 1 }))
        await running.idle()
      }
      await clock.advance('1h')
      await using engine = await source.open({ clock })
      await using running = await startHandlers([reminder], { engine, clock })
      // Time stands still: it fires at once.
      while ((await numbersByKey(engine, 'shipments'))['a'] === undefined) await clock.advance(0)
      expect((await numbersByKey(engine, 'shipments'))['a']).toEqual([3_000_000])
      await running.stop()
    })

    it('fail the message that schedules what the handler does not have', async () => {
      await using engine = await ground.open()
      const handler = on(Placed, { retry: { delayMs: () => undefined, description: 'never' } }, () =>
        schedule('nothing', { after: '1s' }),
      )
      await using running = await startHandlers([handler], { engine })
      await running.publish(Placed({ id: 'a', n: 1 }))
      await running.idle()
      expect((await running.deadLetters.list()).map((letter) => letter.error.code)).toEqual(['TIMER_UNKNOWN'])
    })
  })
}
