import { describe, expect, it } from 'vitest'
import {
  type AccountState,
  accountDecider,
  CarriedForward,
  Deposit,
  Deposited,
  Open,
  Withdraw,
} from '../domain/account.test-support.ts'
import { boundary, history, projection } from '../domain/index.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { type App, app, type RunningApp, service } from './index.ts'

const bankOf = (options: Parameters<typeof accountDecider>[0] = {}): App =>
  app('bank', { services: [service('accounts', [accountDecider(options)])] })
const account = accountDecider()
const bank = app('bank', { services: [service('accounts', [account])] })

/** Account a is open with a balance of 10. */
async function openAccount(running: RunningApp): Promise<void> {
  await running.ask(Open({ id: 'a' }))
  await running.ask(Deposit({ id: 'a', amount: 10 }))
}

/** Streams that were deleted. */
export function testDeletedStreams(ground: AppGround): void {
  describe('a stream that was deleted', () => {
    it('begins anew for a process that knew it', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await openAccount(running)
      await engine.events.deleteStream('account-a')
      expect(await running.ask(Withdraw({ id: 'a', amount: 1 }))).toMatchObject({ code: 'OVERDRAWN' })
      await engine.events.deleteStream('account-a')
      expect(await running.ask(Open({ id: 'a' }))).toMatchObject({ kind: 'accepted' })
      expect(await running.ask(Withdraw({ id: 'a', amount: 1 }))).toMatchObject({ details: { balance: 0 } })
    })

    it.each([
      ['a snapshot', { snapshot: { everyEvents: 1 } }],
      ['none', {}],
    ])('begins anew for a process that did not know it, with %s', async (_name, options) => {
      await using engine = await ground.open()
      await using first = await bankOf(options).start({ engine })
      await openAccount(first)
      await engine.events.deleteStream('account-a')
      await using second = await bankOf(options).start({ engine })
      expect(await second.ask(Withdraw({ id: 'a', amount: 1 }))).toMatchObject({ details: { balance: 0 } })
      await using third = await bankOf(options).start({ engine })
      expect(await third.ask(Open({ id: 'a' }))).toMatchObject({ kind: 'accepted' })
      await using fourth = await bankOf(options).start({ engine })
      expect(await fourth.ask(Deposit({ id: 'a', amount: 3 }))).toMatchObject({ kind: 'accepted' })
      expect((await history(engine).state(account, 'account-a')).state).toEqual({ isOpen: true, balance: 3 })
      const [event] = await Array.fromAsync(engine.events.readStream('account-a'))
      expect(event?.version).toBe(4)
    })

    it('begins anew for commands that are sent', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await openAccount(running)
      await engine.events.deleteStream('account-a')
      await running.send(Open({ id: 'a' }))
      await running.send(Deposit({ id: 'a', amount: 3 }))
      await running.idle()
      expect(await running.deadLetters.list()).toEqual([])
      expect((await history(engine).state(account, 'account-a')).state).toEqual({ isOpen: true, balance: 3 })
    })

    it('has books that can be closed', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await openAccount(running)
      await engine.events.deleteStream('account-a')
      await openAccount(running)
      await running.closeBooks(account, 'account-a', ({ balance }: AccountState) =>
        CarriedForward({ id: 'a', amount: balance }),
      )
      await using second = await bank.start({ engine })
      expect(await second.ask(Withdraw({ id: 'a', amount: 11 }))).toMatchObject({ details: { balance: 10 } })
    })

    it('has no past before that, and its beginning may be gone all the same', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await openAccount(running)
      await engine.events.deleteStream('account-a')
      await openAccount(running)
      const gone = { code: 'STREAM_BEGINNING_GONE' }
      await expect(history(engine).state(account, 'account-a', { version: 2 })).rejects.toMatchObject(gone)
      await engine.events.truncateStream('account-a', 5)
      await using second = await bank.start({ engine })
      await expect(second.ask(Deposit({ id: 'a', amount: 1 }))).rejects.toMatchObject(gone)
      await engine.events.truncateStream('account-a', 6)
      await using third = await bank.start({ engine })
      await expect(third.ask(Open({ id: 'a' }))).rejects.toMatchObject(gone)
    })
  })

  describe('a stream with a tombstone', () => {
    it.each([
      ['a command that would be accepted', Deposit({ id: 'a', amount: 1 })],
      ['a command that would be rejected', Withdraw({ id: 'a', amount: 99 })],
    ])('rejects %s, asked by who knew it and who did not, or sent', async (_name, command) => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await openAccount(running)
      await engine.events.deleteStream('account-a', { tombstone: true })
      await using front = await app('front', { remote: [Open, Deposit, Withdraw] }).start({ engine })
      const rejected = { kind: 'rejected', code: 'STREAM_DELETED' }
      // The first is handled as a sent one, with the state in the cache.
      expect(await front.ask(command)).toMatchObject(rejected)
      expect(await running.ask(command)).toMatchObject(rejected)
      await using second = await bank.start({ engine })
      expect(await second.ask(command)).toMatchObject(rejected)
      expect(await running.deadLetters.list()).toEqual([])
    })

    it('rejects commands of a boundary too, asked or sent', async () => {
      const deposit = boundary('deposit', {
        command: Deposit,
        events: [Deposited],
        stream: ({ data }) => `account-${data.id}`,
        reads: () => ({
          all: projection({ events: [Deposited], initial: 0, on: { Deposited: (count) => count + 1 } }),
        }),
        decide: ({ data }) => Deposited(data),
      })
      await using engine = await ground.open()
      await using running = await app('bank', { services: [service('accounts', [deposit])] }).start({ engine })
      await using front = await app('front', { remote: [Deposit] }).start({ engine })
      await running.ask(Deposit({ id: 'a', amount: 1 }))
      await engine.events.deleteStream('account-a', { tombstone: true })
      const rejected = { kind: 'rejected', code: 'STREAM_DELETED', details: { stream: 'account-a' } }
      expect(await front.ask(Deposit({ id: 'a', amount: 1 }))).toMatchObject(rejected)
      expect(await running.ask(Deposit({ id: 'a', amount: 1 }))).toMatchObject(rejected)
      expect(await front.ask(Deposit({ id: 'b', amount: 1 }))).toMatchObject({ kind: 'accepted' })
      expect(await running.deadLetters.list()).toEqual([])
    })
  })
}
