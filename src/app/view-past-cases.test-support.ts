import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  type AccountState,
  accountDecider,
  CarriedForward,
  Deposit,
  Deposited,
  inlineBalances,
  Open,
  Opened,
  Withdraw,
  Withdrawn,
} from '../domain/account.test-support.ts'
import { history, view } from '../domain/index.ts'
import { sleep, systemClock, type VirtualClock } from '../kernel/index.ts'
import { event, type Message } from '../message/index.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, type RunningApp, service } from './index.ts'

const account = accountDecider()

/** Follows its topic, as `inlineBalances` follows the event store. */
const balances = view('followed-balances', {
  events: [Opened, Deposited, Withdrawn],
  key: ({ data }) => data.id,
  initial: 0,
  on: {
    Opened: (sum) => sum,
    Deposited: (sum, { data }) => sum + data.amount,
    Withdrawn: (sum, { data }) => sum - data.amount,
  },
})

const bank = app('bank', { services: [service('accounts', [account])], views: [balances, inlineBalances] })

const Heard = event('Heard', { topic: 'heard', data: z.object({ id: z.string(), n: z.number() }), key: (d) => d.id })
/** All that was heard under one key, from all partitions, in the order in which it counted. */
const heard = view('heard', {
  events: [Heard],
  key: () => 'all',
  initial: [] as readonly number[],
  on: { Heard: (list, { data }) => [...list, data.n] },
})

/** A moment passes by every clock. */
async function pause(clock: VirtualClock): Promise<void> {
  await clock.advance('1m')
  await sleep(2, systemClock)
}

async function publishInTurn(running: RunningApp, clock: VirtualClock, messages: readonly Message[]): Promise<void> {
  for (const message of messages) {
    await running.publish(message)
    await pause(clock)
  }
  await running.idle()
}

/** The past of views that follow topics. */
export function testViewPast(ground: AppGround): void {
  describe('the past of a view that follows topics', () => {
    it('is told of events that were published and never appended, at any time', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      const past = history(engine)
      expect(await past.view(heard, 'all')).toBeUndefined()
      await using running = await app('ears', { views: [heard] }).start({ engine, clock })
      const ids = ['a', 'b', 'c', 'd', 'e', 'f']
      await publishInTurn(
        running,
        clock,
        ids.map((id, n) => Heard({ id, n })),
      )
      const all = [0, 1, 2, 3, 4, 5]
      expect(await past.view(heard, 'all')).toEqual(all)
      const found = await past.viewDifference(heard, 'all', { time: 0 })
      expect(found).toMatchObject({ from: undefined, to: all })
      expect(new Set(found.events.map((one) => 'partition' in one && one.partition)).size).toBeGreaterThan(1)
      const times = found.events.map(({ timestampMs }) => timestampMs)
      for (const n of all) {
        const time = times[n] as number
        expect(await past.view(heard, 'all', { time })).toEqual(all.slice(0, n + 1))
        expect((await past.view(heard, 'all', { time: time - 1 })) ?? []).toEqual(all.slice(0, n))
      }
      const later = await past.viewDifference(heard, 'all', { time: times[1] as number }, { time: times[3] as number })
      expect([later.from, later.to]).toEqual([
        [0, 1],
        [0, 1, 2, 3],
      ])
      expect(later.events.map(({ message }) => (message.data as { readonly n: number }).n)).toEqual([2, 3])
      expect(later.events[0]).toMatchObject({ topic: 'heard', timestampMs: times[2] })
      const why = await past.whyView(heard, 'all', { time: times[1] as number })
      expect(why.map(({ event: { message } }) => message.type)).toEqual(['Heard', 'Heard'])
    })

    it('has no positions where events stand in no stream, and says so', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      const mixed = view('mixed', {
        events: [Opened, Heard],
        key: () => 'all',
        initial: 0,
        on: { Opened: (sum) => sum + 1, Heard: (sum) => sum + 10 },
      })
      const both = app('bank', { services: [service('accounts', [account])], views: [mixed] })
      await using running = await both.start({ engine, clock })
      await running.ask(Open({ id: 'a' }))
      await running.idle()
      const past = history(engine)
      expect(await past.view(mixed, 'all', { position: 0 })).toBeUndefined()
      expect(await past.view(mixed, 'all', { position: 1 })).toBe(1)
      await pause(clock)
      await publishInTurn(running, clock, [Heard({ id: 'a', n: 0 })])
      expect(await past.view(mixed, 'all')).toBe(11)
      expect(await running.view(mixed).get('all')).toBe(11)
      const missing = { code: 'VIEW_HISTORY_MISSING', details: { view: 'mixed', topic: 'heard', type: 'Heard' } }
      const at = { position: 1 }
      await expect(past.view(mixed, 'all', at)).rejects.toMatchObject(missing)
      await expect(past.viewDifference(mixed, 'all', at)).rejects.toMatchObject(missing)
      await expect(past.whyView(mixed, 'all', at)).rejects.toMatchObject(missing)
      expect(await past.view(mixed, 'all', at, { gone: 'pass-over' })).toBe(1)
      const { events } = await past.viewDifference(mixed, 'all', { time: 0 })
      expect(events[0]).toMatchObject({ stream: 'account-a', version: 1, position: 1 })
      expect(events[1]).toMatchObject({ topic: 'heard', message: { type: 'Heard' } })
    })

    it('is that of its topics, whatever becomes of streams, and has the positions of their events', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      await using running = await bank.start({ engine, clock })
      const commands = [
        Open({ id: 'a' }, { correlationid: 'flow' }),
        Deposit({ id: 'a', amount: 100 }, { correlationid: 'flow' }),
        Withdraw({ id: 'a', amount: 30 }),
        Deposit({ id: 'a', amount: 50 }),
      ]
      for (const command of commands) await running.ask(command)
      await running.ask(Open({ id: 'b' }))
      await running.idle()
      const past = history(engine)
      const values = [0, 1, 2, 3, 4, 5].map((position) => past.view(balances, 'a', { position }))
      expect(await Promise.all(values)).toEqual([undefined, 0, 100, 70, 120, 120])
      expect(await past.view(balances, 'a')).toBe(await running.view(balances).get('a'))
      const { from, to, events } = await past.viewDifference(balances, 'a', { position: 2 }, { position: 3 })
      expect([from, to]).toEqual([100, 70])
      expect(events).toMatchObject([{ stream: 'account-a', version: 3, position: 3 }])
      const why = await past.whyView(balances, 'a', { position: 2 })
      expect(why.map(({ cause }) => cause.type)).toEqual(['Open', 'Deposit'])
      expect(why[1]?.flow).toMatchObject([{ version: 1 }])

      const carry = ({ balance }: AccountState) => CarriedForward({ id: 'b', amount: balance })
      await running.closeBooks(account, 'account-b', carry)
      expect(await past.view(balances, 'a', { position: 3 })).toBe(70)
      await engine.events.deleteStream('account-a')
      expect(await past.view(balances, 'a')).toBe(120)
      await expect(past.view(balances, 'a', { position: 3 })).rejects.toMatchObject({ code: 'VIEW_HISTORY_MISSING' })
      await expect(past.view(inlineBalances, 'a')).rejects.toMatchObject({ code: 'HISTORY_INCOMPLETE' })
    })

    it('does not know of events that were appended and never published', async () => {
      await using engine = await ground.open()
      await engine.commit({
        append: [{ stream: 'account-a', events: [{ message: Deposited({ id: 'a', amount: 5 }) }] }],
      })
      expect(await history(engine).view(balances, 'a')).toBeUndefined()
      expect(await history(engine).view(inlineBalances, 'a')).toBe(5)
    })

    it('is not told in silence of a topic that has let records go', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      await engine.topics.create('heard', { partitions: 1 })
      await using running = await app('ears', { views: [heard] }).start({ engine, clock })
      await publishInTurn(
        running,
        clock,
        [0, 1, 2].map((n) => Heard({ id: 'a', n })),
      )
      const past = history(engine)
      await engine.topics.truncate('heard', 0, 1)
      const incomplete = { code: 'HISTORY_INCOMPLETE', details: { what: 'view heard', topic: 'heard' } }
      await expect(past.view(heard, 'all')).rejects.toMatchObject(incomplete)
      await expect(past.viewDifference(heard, 'all', { time: 0 })).rejects.toMatchObject(incomplete)
      await expect(past.whyView(heard, 'all')).rejects.toMatchObject(incomplete)
      expect(await past.view(heard, 'all', undefined, { gone: 'pass-over' })).toEqual([1, 2])
      const wrong = 'ignore' as 'refuse'
      await expect(past.view(heard, 'all', undefined, { gone: wrong })).rejects.toMatchObject({
        code: 'OPTIONS_INVALID',
      })
    })

    it('is not told of a topic that keeps the last record of a key only', async () => {
      await using engine = await ground.open()
      await engine.topics.create('heard', { cleanup: 'compact' })
      const incomplete = { code: 'HISTORY_INCOMPLETE', details: { topic: 'heard' } }
      await expect(history(engine).view(heard, 'all')).rejects.toMatchObject(incomplete)
    })
  })
}
