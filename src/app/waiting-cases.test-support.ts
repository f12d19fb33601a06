import { describe, expect, it } from 'vitest'
import { view } from '../domain/index.ts'
import { none, on, publish } from '../runtime/index.ts'
import { gate, messagesOf, Paid, Placed, Shipped, startHandlers } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, service } from './index.ts'

/** Waiting until messages are handled. */
export function testWaiting(ground: AppGround): void {
  describe('waiting until everything is handled', () => {
    it('ends when there is nothing, and when all was handled before the wait', async () => {
      await using engine = await ground.open()
      await using running = await startHandlers([on(Placed, (message) => publish(Paid(message.data)))], { engine })
      await running.idle()
      await running.publish(Placed({ id: 'a', n: 1 }))
      while ((await messagesOf(engine, 'payments')).length === 0) await new Promise((resolve) => setImmediate(resolve))
      await running.idle()
      await Promise.all([running.idle(), running.idle()])
    })

    it('includes what was published just before it, and what came of that', async () => {
      await using engine = await ground.open()
      const pay = on(Placed, async (message) => {
        await new Promise((resolve) => setImmediate(resolve))
        return publish(Paid(message.data))
      })
      const ship = on(Paid, (message) => publish(Shipped(message.data)))
      await using running = await startHandlers([pay, ship], { engine })
      for (let n = 0; n < 10; n++) {
        await running.publish(Placed({ id: `k${n}`, n }))
        await running.idle()
        expect(await messagesOf(engine, 'shipments')).toHaveLength(n + 1)
      }
    })

    it('takes a message with which there was nothing to do for handled', async () => {
      await using engine = await ground.open()
      const seen: number[] = []
      const handler = on(Placed, ({ data }) => {
        seen.push(data.n)
        return data.n % 3 === 0 ? publish(Paid(data)) : undefined
      })
      await using running = await startHandlers([handler], { engine })
      await running.publish(Array.from({ length: 9 }, (_, n) => Placed({ id: 'a', n })))
      await running.idle()
      expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
      expect((await messagesOf(engine, 'payments')).map(({ data }) => data.n)).toEqual([0, 3, 6])
      expect((await running.lag()).map(({ lagMessages }) => lagMessages)).toEqual([0])
    })

    it('for a view or a handler counts a dead letter, and what waits behind one, as handled', async () => {
      await using engine = await ground.open()
      const refuse = (n: number): void => {
        if (n === 2) throw new RangeError('two is too much')
      }
      const counted = view('counted', {
        events: [Placed],
        key: ({ data }) => data.id,
        initial: 0,
        on: {
          Placed: (count, { data }) => {
            refuse(data.n)
            return count + 1
          },
        },
      })
      const paying = on(Placed, { name: 'paying', retry: none, onDeadLetter: 'park-key' }, ({ data }) => {
        refuse(data.n)
        return publish(Paid(data))
      })
      const shop = app('shop', { services: [service('s', [paying])], views: [counted] })
      await using running = await shop.start({ engine })
      for (const n of [1, 2, 3]) {
        const places = await running.publish(Placed({ id: 'a', n }))
        await running.view(counted).waitFor(places)
        await running.waitFor(paying, places)
      }
      expect(await running.view(counted).get('a')).toBe(1)
      expect((await messagesOf(engine, 'payments')).map(({ data }) => data.n)).toEqual([1])
      expect(await running.deadLetters.count()).toBe(2)
    })

    it('for a handler that the app does not have is refused', async () => {
      await using engine = await ground.open()
      await using running = await startHandlers([on(Placed, () => undefined)], { engine })
      const places = await running.publish(Placed({ id: 'a', n: 1 }))
      await expect(
        running.waitFor(
          on(Placed, () => undefined),
          places,
        ),
      ).rejects.toMatchObject({
        code: 'HANDLER_UNKNOWN',
        details: { handler: 'Placed', app: 'test' },
      })
    })

    it.each<[string, unknown, string]>([
      ['a partition that is not there', [{ topic: 'orders', partition: 99, offset: 0 }], 'PARTITION_UNKNOWN'],
      ['an offset that is none', [{ topic: 'orders', partition: 0, offset: Number.NaN }], 'ARGUMENT_INVALID'],
      ['nothing at all', undefined, 'ARGUMENT_INVALID'],
      ['something else', { kind: 'other' }, 'ARGUMENT_INVALID'],
    ])('for %s is refused, for handlers and for views', async (_, what, code) => {
      await using engine = await ground.open()
      const handler = on(Placed, () => undefined)
      const counted = view('counted', {
        events: [Placed],
        key: () => 'all',
        initial: 0,
        on: { Placed: (sum) => sum + 1 },
      })
      const counting = app('test', { services: [service('s', [handler])], views: [counted] })
      await using running = await counting.start({ engine })
      await running.publish(Placed({ id: 'a', n: 1 }))
      await expect(running.waitFor(handler, what as never)).rejects.toMatchObject({ code })
      await expect(running.view(counted).waitFor(what as never)).rejects.toMatchObject({ code })
    })

    it('ends with the reason of its signal when it takes too long, and harms nothing', async () => {
      await using engine = await ground.open()
      const go = gate()
      const handler = on(Placed, async (message) => {
        await go.opened
        return publish(Paid(message.data))
      })
      await using running = await startHandlers([handler], { engine })
      await running.publish(Placed({ id: 'a', n: 1 }))
      const abort = new AbortController()
      const reason = new Error('too long')
      const waiting = running.idle({ signal: abort.signal })
      const other = running.idle()
      abort.abort(reason)
      await expect(waiting).rejects.toBe(reason)
      await expect(running.idle({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
      go.open()
      await other
      expect(await messagesOf(engine, 'payments')).toHaveLength(1)
    })
  })
}
