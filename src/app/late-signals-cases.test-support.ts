import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { saga, step } from '../saga/index.ts'
import { Paid, Placed } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app } from './index.ts'

const look = step({ run: () => 1 })
const checkout = saga(
  'checkout',
  { start: Placed, steps: { look }, signals: { paid: Paid, hurry: z.number() }, late: 'dead-letter' },
  async (scope) => {
    await scope.step('look')
    await scope.signal('hurry')
  },
)

/** What comes late for a saga. */
export function testLateSignals(ground: AppGround): void {
  describe('an instance of a running app that has ended', () => {
    it('has events and signals that come late as dead letters, and refuses to skip', async () => {
      await using engine = await ground.open()
      await using running = await app('shop', { sagas: [checkout] }).start({ engine })
      const client = running.saga(checkout)
      await running.publish(Placed({ id: 'a', n: 1 }))
      await running.idle()
      await expect(client.skip('a', 'lost')).rejects.toMatchObject({ code: 'SAGA_SKIP_REFUSED' })
      await expect(client.skip('a', 'look')).rejects.toThrow('its body has been told the outcome already')
      await client.signal('a', 'hurry', 1)
      expect(await client.outcome('a')).toMatchObject({ status: 'completed' })
      await running.publish(Paid({ id: 'a', n: 5 }))
      await client.signal('a', 'hurry', 2)
      await running.idle()
      const letters = await running.deadLetters.list()
      expect(letters.map(({ key, attempts, error }) => [key, attempts, error.code])).toEqual([
        ['a', 1, 'SAGA_LATE'],
        ['a', 1, 'SAGA_LATE'],
      ])
      await expect(client.skip('a', 'look')).rejects.toThrow('it has ended: completed')
      // Nothing of what was refused has reached the instance.
      await running.idle()
      expect(await running.deadLetters.count()).toBe(2)
    })
  })
}
