import { describe, expect, it } from 'vitest'
import type { Json } from '../kernel/index.ts'
import { on, publish } from '../runtime/index.ts'
import { allOf, choreography, end, timeout } from '../saga/index.ts'
import { messagesOf, Paid, Placed } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, service } from './index.ts'

const fulfilment = choreography('fulfilment', {
  events: [Placed, Paid],
  starts: [Placed],
  rules: [
    allOf([Placed, Paid], () => end('paid')),
    timeout({ after: '15m', since: Placed, unless: [Paid] }, () => end('nobody paid')),
  ],
})
/** Pays at once what is not free. */
const paying = on(Placed, { name: 'paying' }, ({ data }) => (data.n === 0 ? [] : publish(Paid(data))))
const shop = app('shop', { services: [service('s', [fulfilment, paying])] })
const namespace = 'state:shop.s.fulfilment'

/** The past of processes, as programs look at it. */
export function testProcessPast(ground: AppGround): void {
  describe('the past of a process of a running app', () => {
    it('tells what happened, by which messages and their causes, and how it was, after a restart, too', async () => {
      const source = ground.source()
      {
        await using running = await shop.start({ engine: source })
        await running.publish(Placed({ id: 'a', n: 7 }))
        await running.idle()
      }
      await using engine = await source.open()
      await using running = await shop.start({ engine })
      const processes = running.processes(fulfilment)
      const past = await processes.past('a')
      const [placed] = await messagesOf(engine, 'orders')
      const [paid] = await messagesOf(engine, 'payments')
      expect(past?.since).toBeNull()
      // Whoever pays may be faster than the beginning.
      const last = past?.happenings.at(-1)
      expect(past?.happenings.find(({ what }) => what === 'started')).toMatchObject({ type: 'Placed', id: placed?.id })
      expect(last).toMatchObject({
        what: 'came',
        type: 'Paid',
        id: paid?.id,
        cause: { id: placed?.id },
        applied: ['all of Placed, Paid'],
        outcome: 'paid',
      })
      expect(past?.at({ happenings: 0 })).toBeUndefined()
      expect(past?.at({ happenings: (last?.number ?? 0) - 1 })).toMatchObject({ status: 'open', outcome: null })
      expect(past?.at({ time: last?.timeMs ?? 0 })).toEqual(await processes.get('a'))
      expect(past?.difference({ time: 0 }).to).toEqual(await processes.get('a'))
      expect(await processes.past('nobody')).toBeUndefined()
    })

    it('tells of time-outs', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      await using running = await shop.start({ engine, clock })
      await running.publish(Placed({ id: 'a', n: 0 }))
      await running.idle()
      const processes = running.processes(fulfilment)
      const begunMs = (await processes.get('a'))?.startedMs ?? 0
      await ground.pass(clock, async () => (await processes.get('a'))?.status === 'ended')
      const past = await processes.past('a')
      expect(past?.happenings).toMatchObject([
        { what: 'started' },
        { what: 'due', applied: ['15m after Placed without Paid'], outcome: 'nobody paid' },
      ])
      expect(past?.at({ time: begunMs + 15 * 60_000 - 1 })).toMatchObject({ status: 'open', endedMs: null })
    })

    it('begins, where the version before has begun the process, with what happens next', async () => {
      const source = ground.source()
      {
        await using running = await shop.start({ engine: source })
        await running.publish(Placed({ id: 'a', n: 0 }))
        await running.idle()
      }
      await using engine = await source.open()
      {
        // As the version before has left it.
        const { value } = (await engine.state.get(namespace, 'a')) ?? {}
        const { past: _past, ...before } = value as { readonly [field: string]: Json }
        await engine.commit({ state: [{ kind: 'set', namespace, key: 'a', value: before }] })
      }
      await using running = await shop.start({ engine })
      const processes = running.processes(fulfilment)
      const none = await processes.past('a')
      expect([none?.happenings, none?.since]).toEqual([[], { happenings: 0, timeMs: null }])
      await running.publish(Paid({ id: 'a', n: 0 }))
      await running.idle()
      const past = await processes.past('a')
      expect(past?.happenings).toMatchObject([{ number: 1, what: 'came', outcome: 'paid' }])
      expect(past?.since).toEqual({ happenings: 0, timeMs: past?.happenings[0]?.timeMs })
      expect(past?.at({ happenings: 0 })).toMatchObject({ status: 'open', dueMs: expect.any(Number) })
      expect(() => past?.at({ time: 0 })).toThrow(expect.objectContaining({ code: 'PROCESS_PAST_GONE' }))
    })
  })
}
