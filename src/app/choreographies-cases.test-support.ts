import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { event } from '../message/index.ts'
import { publish } from '../runtime/index.ts'
import { allOf, anyOf, choreography, end, type Rule, timeout } from '../saga/index.ts'
import { messagesOf, Paid, Placed, Shipped } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, service } from './index.ts'

/** Choreographies of apps that run. */
export function testChoreographies(ground: AppGround): void {
  describe('a choreography of a running app', () => {
    it('reacts once, and keeps its time-outs over a restart', async () => {
      const source = ground.source()
      const clock = ground.clock()
      const fulfilment = choreography('fulfilment', {
        events: [Placed, Paid],
        starts: [Placed],
        rules: [
          allOf([Placed, Paid], ({ Placed: { id }, Paid: { n } }) => [publish(Shipped({ id, n })), end('shipped')]),
          timeout({ after: '15m', since: Placed, unless: [Paid] }, (_seen, ctx) => [
            publish(Shipped({ id: ctx.key, n: -1 })),
            end('nobody paid'),
          ]),
        ],
      })
      const shop = app('shop', { services: [service('s', [fulfilment])] })
      {
        await using running = await shop.start({ engine: source, clock })
        await running.publish([Paid({ id: 'a', n: 5 }), Placed({ id: 'a', n: 1 }), Placed({ id: 'b', n: 1 })])
        await running.idle()
      }
      await clock.advance('20m')
      await using engine = await source.open({ clock })
      await using running = await shop.start({ engine, clock })
      await ground.pass(clock, async () => (await messagesOf(engine, 'shipments')).length >= 2)
      await running.idle()
      expect((await messagesOf(engine, 'shipments')).map(({ data }) => data)).toEqual([
        { id: 'a', n: 5 },
        { id: 'b', n: -1 },
      ])
    })

    it('gives up by itself what had waited and comes too late, and takes it in when it is redriven', async () => {
      const clock = ground.clock()
      const paying = choreography('paying', {
        events: [Placed, Paid],
        starts: [Placed],
        late: 'dead-letter',
        keep: '1h',
        rules: [
          timeout({ after: '1m', since: Placed, unless: [Paid] }, () => end('nobody paid')),
          anyOf([Paid], ({ Paid: paid }) => [publish(Shipped({ id: 'a', n: paid?.n ?? 0 })), end('paid')]),
        ],
      })
      await using engine = await ground.open({ clock })
      await using running = await app('shop', { services: [service('s', [paying])] }).start({ engine, clock })
      await running.publish([Paid({ id: 'a', n: 1 }), Paid({ id: 'a', n: 2 })])
      await running.idle()
      await running.publish(Placed({ id: 'a', n: 1 }))
      await ground.pass(clock, async () => (await running.deadLetters.count()) >= 1)
      const [letter] = await running.deadLetters.list()
      expect(letter).toMatchObject({ key: 'a', attempts: 1, error: { code: 'CORRELATION_LATE' } })
      // What is published may leave later than the dead letter is there.
      await running.idle()
      expect((await messagesOf(engine, 'shipments')).map(({ data }) => data)).toEqual([{ id: 'a', n: 1 }])
      // A new process begins, for which it is not late.
      await clock.advance('2h')
      await running.idle()
      await running.publish(Placed({ id: 'a', n: 2 }))
      await running.idle()
      await running.deadLetters.redrive(letter?.id ?? '')
      await running.idle()
      expect((await messagesOf(engine, 'shipments')).map(({ data }) => data)).toEqual([
        { id: 'a', n: 1 },
        { id: 'a', n: 2 },
      ])
      expect(await running.deadLetters.count()).toBe(0)
    })

    it('goes on under the rules of another program with the next event, time-outs included', async () => {
      const clock = ground.clock()
      const stopped = event('Stopped', { topic: 'payments', data: z.object({ id: z.string() }), key: (d) => d.id })
      const events = [Placed, Paid, stopped] as const
      const told =
        (why: number) =>
        (_seen: unknown, { key }: { readonly key: string }) =>
          publish(Shipped({ id: key, n: why }))
      const before = [allOf([Placed, stopped], told(1))]
      const after = [
        allOf([Placed, Paid], told(2)),
        timeout({ after: '15m', since: Placed, unless: [stopped] }, (seen, ctx) => [told(3)(seen, ctx), end('late')]),
      ]
      await using engine = await ground.open({ clock })
      const start = (rules: readonly Rule[]) => {
        const process = choreography('process', { events, starts: [Placed], rules })
        return app('shop', { services: [service('s', [process])] }).start({ engine, clock })
      }
      {
        await using running = await start(before)
        await running.publish([Placed({ id: 'a', n: 1 }), Placed({ id: 'b', n: 1 }), Paid({ id: 'b', n: 1 })])
        await running.idle()
      }
      await using running = await start(after)
      await running.publish([Paid({ id: 'a', n: 1 }), Paid({ id: 'b', n: 2 })])
      await running.idle()
      const shipments = async () => (await messagesOf(engine, 'shipments')).map(({ data: { id, n } }) => `${id} ${n}`)
      expect((await shipments()).sort()).toEqual(['a 2', 'b 2'])
      await clock.advance('14m')
      expect(await shipments()).toHaveLength(2)
      await ground.pass(clock, async () => (await shipments()).length >= 4)
      expect((await shipments()).sort()).toEqual(['a 2', 'a 3', 'b 2', 'b 3'])
    })
  })
}
