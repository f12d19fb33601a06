import { describe, expect, it } from 'vitest'
import { none } from '../runtime/index.ts'
import { StepRejectedError, saga, step } from '../saga/index.ts'
import { type Item, Paid, Placed } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app } from './index.ts'

const reserve = step({ run: ({ n }: Item) => n + 1, undo: () => undefined })
const ship = step({
  run: ({ n }: Item) => {
    if (n < 0) throw new StepRejectedError('nothing to ship')
    return n
  },
  retry: none,
})
const checkout = saga(
  'checkout',
  { start: Placed, steps: { reserve, ship }, signals: { paid: Paid } },
  async (scope, placed) => {
    await scope.step('reserve', placed)
    const paid = await scope.signal('paid')
    return await scope.step('ship', paid)
  },
)
const shop = app('shop', { sagas: [checkout] })

/** The past of sagas, as programs look at it. */
export function testSagaPast(ground: AppGround): void {
  describe('the past of a saga of a running app', () => {
    it('tells what happened, by which messages, and how it was, after restarts, too', async () => {
      const source = ground.source()
      const placed = Placed({ id: 'a', n: 1 })
      const paid = Paid({ id: 'a', n: -1 }, { causationid: placed.id })
      for (const message of [placed, paid]) {
        await using running = await shop.start({ engine: source })
        await running.publish(message)
        await running.idle()
      }
      await using running = await shop.start({ engine: source })
      const instances = running.saga(checkout)
      const past = await instances.past('a')
      expect(past?.happenings.map(({ what, id = '' }) => `${what} ${id}`.trim())).toEqual([
        'started',
        'asked reserve',
        'outcome reserve',
        'asked signal:paid#1',
        'outcome signal:paid#1',
        'asked ship',
        'outcome ship',
        'compensating',
        'undone reserve',
        'compensated',
      ])
      const messages = past?.happenings.flatMap(({ message }) => (message === undefined ? [] : [message]))
      expect(messages).toMatchObject([
        { id: placed.id, type: 'Placed' },
        { id: paid.id, type: 'Paid' },
      ])
      const now = await instances.get('a')
      expect(now).toMatchObject({ status: 'compensated', input: { id: 'a', n: 1 } })
      const endMs = past?.happenings.at(-1)?.timeMs ?? 0
      expect(past?.at({ time: endMs })).toEqual(now)
      expect(past?.at({ time: (past.happenings[0]?.timeMs ?? 0) - 1 })).toBeUndefined()
      const reserved = past?.at({ outcomes: 1 })
      expect(reserved).toMatchObject({ status: 'running', result: null, endedMs: null })
      expect(reserved?.activities.map(({ id, state }) => `${id} ${state}`)).toEqual([
        'reserve done',
        'signal:paid#1 waiting',
      ])
      const { changes, to } = past?.difference({ outcomes: 1 }) ?? { changes: [], to: undefined }
      expect(to).toEqual(now)
      expect(changes).toContainEqual({ path: '/status', before: 'running', after: 'compensated' })
      expect(await instances.past('nobody')).toBeUndefined()
    })
  })
}
