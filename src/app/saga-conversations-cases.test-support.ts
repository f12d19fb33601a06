import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { event } from '../message/index.ts'
import { type AnySaga, saga } from '../saga/index.ts'
import { messagesOf, Paid, Placed, Shipped } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app } from './index.ts'

/** Sagas that talk to each other, and wait. */
export function testSagaConversations(ground: AppGround): void {
  describe('sagas that talk', () => {
    it('to each other through events both get their answers, though each waits for the other', async () => {
      const rounds = 5
      const left = saga('left', { start: Placed, signals: { paid: Paid } }, async (saga, { id }) => {
        const heard: number[] = []
        for (let n = 1; n <= rounds; n++) {
          saga.publish(Shipped({ id, n }))
          heard.push((await saga.signal('paid')).n)
        }
        return heard
      })
      const right = saga('right', { start: Placed, signals: { shipped: Shipped } }, async (saga, { id }) => {
        const heard: number[] = []
        for (let n = 1; n <= rounds; n++) {
          saga.publish(Paid({ id, n: n * 10 }))
          heard.push((await saga.signal('shipped')).n)
        }
        return heard
      })
      await using engine = await ground.open()
      await using running = await app('shop', { sagas: [left, right] }).start({ engine })
      const ids = Array.from({ length: 20 }, (_, n) => `k${n}`)
      await running.publish(ids.map((id) => Placed({ id, n: 0 })))
      const answerOf = async (one: AnySaga, id: string): Promise<unknown> => {
        const outcome = await running.saga(one).outcome(id)
        return outcome.status === 'completed' ? outcome.result : outcome
      }
      const answers = await Promise.all(ids.map(async (id) => [await answerOf(left, id), await answerOf(right, id)]))
      expect(answers).toEqual(
        ids.map(() => [
          [10, 20, 30, 40, 50],
          [1, 2, 3, 4, 5],
        ]),
      )
    })

    it('leave one thread through all that they cause, children included', async () => {
      const child = saga('child', { start: z.string() }, (saga, id) => saga.publish(Shipped({ id, n: 2 })))
      const parent = saga('parent', { start: Placed, children: { child } }, async (saga, { id }) => {
        saga.publish(Shipped({ id, n: 1 }))
        await saga.child('child', id)
        saga.publish(Shipped({ id, n: 3 }))
      })
      await using engine = await ground.open()
      await using running = await app('shop', { sagas: [parent, child] }).start({ engine })
      const placed = Placed({ id: 'a', n: 1 }, { correlationid: 'order-7' })
      await running.publish(placed)
      await running.saga(parent).outcome('a')
      await running.idle()
      const shipped = await messagesOf(engine, 'shipments')
      expect(shipped.map(({ data, correlationid }) => `${data.n} ${correlationid}`)).toEqual([
        '1 order-7',
        '2 order-7',
        '3 order-7',
      ])
      const causes = shipped.map(({ causationid }) => causationid === placed.id)
      expect(causes).toEqual([true, false, true])
    })

    it('cannot be told by an event without a key: it becomes a dead letter, and the others go on', async () => {
      const Unkeyed = event('Unkeyed', { topic: 'orders', data: z.object({ id: z.string() }) })
      const s = saga('s', { start: Unkeyed }, (_saga, { id }) => id)
      await using engine = await ground.open()
      await using running = await app('shop', { sagas: [s] }).start({ engine })
      await running.publish([Unkeyed({ id: 'none' }), Unkeyed({ id: 'a' }, { partitionkey: 'a' })])
      expect(await running.saga(s).outcome('a')).toEqual({ status: 'completed', result: 'a' })
      await running.idle()
      expect(await running.deadLetters.count()).toBe(1)
      expect(await running.saga(s).list()).toHaveLength(1)
    })

    it('get signals whose time was up when these are redriven', async () => {
      const clock = ground.clock()
      const options = { start: z.null(), signals: { go: z.number() }, keep: '1h' } as const
      const s = saga('s', options, async (saga) => [await saga.signal('go'), await saga.signal('go')])
      await using engine = await ground.open({ clock })
      await using running = await app('shop', { sagas: [s] }).start({ engine, clock })
      const client = running.saga(s)
      await client.signal('k', 'go', 1)
      await client.signal('k', 'go', 2)
      await running.idle()
      await ground.pass(clock, async () => (await running.deadLetters.count()) !== 0)
      const [letter] = await running.deadLetters.list()
      expect(letter).toMatchObject({ key: 'k', attempts: 1, error: { code: 'SAGA_NOT_STARTED' } })
      expect(await client.get('k')).toBeUndefined()
      // Too early: it stays a dead letter.
      await running.deadLetters.redrive(letter?.id ?? '')
      await running.idle()
      expect(await running.deadLetters.count()).toBe(1)
      await client.start('k', null)
      await running.idle()
      await running.deadLetters.redrive(letter?.id ?? '')
      expect(await client.outcome('k')).toEqual({ status: 'completed', result: [1, 2] })
      await running.idle()
      expect(await running.deadLetters.count()).toBe(0)
      expect(await client.get('k')).toMatchObject({ signalCount: 0 })
    })

    it('do not wake up early, though the app stops and starts while they sleep', async () => {
      const source = ground.source()
      const clock = ground.clock()
      const s = saga('s', { start: z.number() }, async (saga, minutes) => {
        await saga.sleep('nap', minutes * 60_000)
        return saga.nowMs()
      })
      const shop = app('shop', { sagas: [s] })
      const startedMs = clock.nowMs()
      const naps = [5, 30, 60]
      {
        await using running = await shop.start({ engine: source, clock })
        for (const minutes of naps) await running.saga(s).start(`k${minutes}`, minutes)
        await running.idle()
      }
      const woken: number[] = []
      for (const minutes of naps) {
        // Nobody is there to be woken until shortly before, or after.
        await clock.advance('20m')
        await using running = await shop.start({ engine: source, clock })
        const key = `k${minutes}`
        await ground.pass(clock, async () => (await running.saga(s).get(key))?.status !== 'running')
        const outcome = await running.saga(s).outcome(key)
        woken.push(outcome.status === 'completed' ? (outcome.result - startedMs) / 60_000 : Number.NaN)
      }
      expect(woken.map((minute, index) => minute >= (naps[index] as number))).toEqual([true, true, true])
      // The first slept on while the app was stopped.
      expect(woken[0]).toBeGreaterThanOrEqual(20)
    })
  })
}
