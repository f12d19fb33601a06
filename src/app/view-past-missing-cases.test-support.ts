import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { accountDecider, inlineBalances, Open, Opened } from '../domain/account.test-support.ts'
import { history, view } from '../domain/index.ts'
import { event } from '../message/index.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, service } from './index.ts'

const bank = app('bank', { services: [service('accounts', [accountDecider()])], views: [inlineBalances] })

/** The past of views of whose events a store does not hold all. */
export function testViewPastMissing(ground: AppGround): void {
  describe('the past', () => {
    it('of a view whose events were published and never appended is not told, instead of being nothing', async () => {
      await using engine = await ground.open()
      const Heard = event('Heard', { topic: 'heard', data: z.object({ id: z.string() }), key: (d) => d.id })
      const counted = view('counted', {
        events: [Heard],
        key: ({ data }) => data.id,
        initial: 0,
        on: { Heard: (sum) => sum + 1 },
      })
      const past = history(engine)
      expect(await past.view(counted, 'a')).toBeUndefined()
      await using running = await app('ears', { views: [counted] }).start({ engine })
      await running.publish(Heard({ id: 'a' }))
      await running.idle()
      const missing = { code: 'VIEW_HISTORY_MISSING', details: { view: 'counted', topic: 'heard', type: 'Heard' } }
      await expect(past.view(counted, 'a')).rejects.toMatchObject(missing)
      await expect(past.viewDifference(counted, 'a', { position: 0 })).rejects.toMatchObject(missing)
      await expect(past.whyView(counted, 'a')).rejects.toMatchObject(missing)
      expect(await past.view(counted, 'a', undefined, { gone: 'pass-over' })).toBeUndefined()
    })

    it('of a view of which one type of events was published and never appended is not told, instead of being half of it', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      const Heard = event('Heard', { topic: 'heard', data: z.object({ id: z.string() }), key: (d) => d.id })
      const mixed = view('mixed', {
        events: [Opened, Heard],
        key: () => 'all',
        initial: 0,
        on: { Opened: (sum) => sum + 1, Heard: (sum) => sum + 1 },
      })
      await using running = await bank.start({ engine, clock })
      await running.ask(Open({ id: 'a' }))
      const past = history(engine)
      expect(await past.view(mixed, 'all')).toBeGreaterThan(0)
      await using ears = await app('ears', { views: [mixed] }).start({ engine, clock })
      await ears.publish(Heard({ id: 'a' }))
      const missing = { code: 'VIEW_HISTORY_MISSING', details: { view: 'mixed', topic: 'heard', type: 'Heard' } }
      await expect(past.view(mixed, 'all')).rejects.toMatchObject(missing)
      expect(await past.view(mixed, 'all', undefined, { gone: 'pass-over' })).toBeGreaterThan(0)
    })
  })
}
