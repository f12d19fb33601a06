import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { accountDecider, Deposit, Deposited, Open, Withdraw } from '../domain/account.test-support.ts'
import { view } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import { command } from '../message/index.ts'
import { none, on, publish, send } from '../runtime/index.ts'
import { channels, type DecidedReport } from '../telemetry/index.ts'
import { messagesOf, Paid, Placed } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, HandlerMissingError, service } from './index.ts'

const account = accountDecider()
const Notify = command('Notify', { data: z.object({ id: z.string() }), key: (d) => d.id })
const balances = view('balances', {
  events: [Deposited],
  key: ({ data }) => data.id,
  initial: 0,
  on: { Deposited: (balance, { data }) => balance + data.amount },
})
const bank = app('bank', { services: [service('accounts', [account])], views: [balances] })

async function typesOf(engine: Engine, stream: string): Promise<string[]> {
  return (await Array.fromAsync(engine.events.readStream(stream))).map(({ message }) => message.type)
}

/** Commands that are sent: handled later, once, by whoever handles them. */
export function testSending(ground: AppGround): void {
  describe('send', () => {
    it('has a command handled later, once, in the order of its key', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      const deposit = Deposit({ id: 'a', amount: 5 })
      await running.send(Open({ id: 'a' }))
      await running.send(deposit)
      await running.send(deposit)
      await running.idle()
      expect(await typesOf(engine, 'account-a')).toEqual(['Opened', 'Deposited'])
      expect(await running.ask(deposit)).toMatchObject({ kind: 'accepted', repeated: true })
      expect(await running.view(balances).get('a')).toBe(5)
    })

    it('tells of rejections by a channel', async () => {
      const reports: DecidedReport[] = []
      const listener = (report: DecidedReport): number => reports.push(report)
      channels.decided.subscribe(listener)
      try {
        await using engine = await ground.open()
        await using running = await bank.start({ engine })
        await running.send(Withdraw({ id: 'a', amount: 5 }))
        await running.idle()
        expect(reports).toMatchObject([{ handler: 'bank.accounts.account', outcome: 'rejected', code: 'OVERDRAWN' }])
      } finally {
        channels.decided.unsubscribe(listener)
      }
    })

    it('is decided anew when the stream was changed meanwhile', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await running.ask(Open({ id: 'a' }))
      await running.ask(Deposit({ id: 'a', amount: 40 }))
      // Without a key they are handled side by side, and meet each other and those that are asked.
      const withoutKey = Array.from({ length: 30 }, () => {
        const { partitionkey: _, ...rest } = Withdraw({ id: 'a', amount: 1 })
        return Object.freeze(rest)
      })
      await Promise.all([
        ...withoutKey.map((one) => running.send(one)),
        ...Array.from({ length: 20 }, () => running.ask(Withdraw({ id: 'a', amount: 1 }))),
      ])
      await running.idle()
      expect((await typesOf(engine, 'account-a')).filter((type) => type === 'Withdrawn')).toHaveLength(40)
      expect(await running.deadLetters.list()).toEqual([])
    })

    it('is an effect, together with the progress of its handler', async () => {
      await using engine = await ground.open()
      const opening = on(Placed, { retry: none }, ({ data }) => {
        const effects = [send(Open({ id: data.id })), send(Deposit({ id: data.id, amount: data.n }))]
        return data.n === 13 ? [...effects, { kind: 'nonsense' } as never] : effects
      })
      const shop = app('shop', { services: [service('s', [opening, account])] })
      await using running = await shop.start({ engine })
      await running.publish([Placed({ id: 'a', n: 3 }), Placed({ id: 'b', n: 13 })])
      await running.idle()
      expect(await typesOf(engine, 'account-a')).toEqual(['Opened', 'Deposited'])
      expect(await typesOf(engine, 'account-b')).toEqual([])
    })

    it('goes to a handler made by on() too, which replies to nobody', async () => {
      await using engine = await ground.open()
      const notify = on(Notify, ({ data }) => publish(Paid({ id: data.id, n: 1 })))
      const shop = app('shop', { services: [service('s', [notify])] })
      await using running = await shop.start({ engine })
      await running.send(Notify({ id: 'a' }))
      await running.idle()
      expect((await messagesOf(engine, 'payments')).map(({ data }) => data.id)).toEqual(['a'])
      await expect(running.ask(Notify({ id: 'a' }))).rejects.toThrow(HandlerMissingError)
    })

    it('refuses what nobody handles, also as an effect', async () => {
      await using engine = await ground.open()
      const lost = on(Placed, { retry: none }, ({ data }) => send(Notify({ id: data.id })))
      const shop = app('shop', { services: [service('s', [lost, account])] })
      await using running = await shop.start({ engine })
      await expect(running.send(Notify({ id: 'a' }))).rejects.toThrow(HandlerMissingError)
      await running.publish(Placed({ id: 'a', n: 1 }))
      await running.idle()
      const [letter] = await running.deadLetters.list()
      expect(letter?.error).toMatchObject({
        code: 'EFFECT_INVALID',
        message: expect.stringContaining('nobody handles'),
      })
    })
  })
}
