import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  type Account,
  accountDecider,
  CarriedForward,
  Deposit,
  Deposited,
  inlineBalances,
  Open,
} from '../domain/account.test-support.ts'
import { decider, history, type View, view } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import { command } from '../message/index.ts'
import { append, on } from '../runtime/index.ts'
import { Placed } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, type RunningApp, service } from './index.ts'

const account = accountDecider()

/** A decider that says otherwise where its events come from. */
const Gift = command('Gift', { data: z.object({ id: z.string() }), key: (d) => d.id })
const gifts = decider('gifts', {
  commands: [Gift],
  events: [Deposited],
  stream: ({ data }) => `gift-${data.id}`,
  initialState: {},
  decide: { Gift: ({ data }) => Deposited({ id: data.id, amount: 1 }, { source: 'urn:elsewhere' }) },
  evolve: { Deposited: (state) => state },
})
const audit = on(Placed, ({ data }) => append(`audit-${data.id}`, Deposited({ id: data.id, amount: 1000 })))

const counted: View<number> = view('counted', {
  events: [Deposited, CarriedForward],
  key: ({ data }) => data.id,
  initial: 0,
  on: { Deposited: (n) => n + 1, CarriedForward: (n) => n + 1 },
  inline: true,
})

const bank = app('bank', {
  services: [service('accounts', [account, gifts, audit])],
  views: [counted],
})

/** What inline views count, and what closing books waits for. */
export function testInlineCounting(ground: AppGround): void {
  /** What is in the view after another copy of the same version has taken its place. */
  async function rebuilt(running: RunningApp): Promise<Record<string, number>> {
    const reader = running.view(counted)
    await reader.rebuild({ swap: 'manual' })
    await reader.copies.swap()
    expect((await reader.copies.status()).live.copy).toBe('v1.2')
    const found: Record<string, number> = {}
    for await (const { key, value } of reader.list()) found[key] = value
    return found
  }

  async function open(running: RunningApp, count: number, id = 'a'): Promise<void> {
    await running.ask(Open({ id }))
    for (let n = 0; n < count; n++) await running.ask(Deposit({ id, amount: 1 }))
  }

  describe('a copy of an inline view that is built from the event store', () => {
    it('counts what its app decided, and neither events of other apps nor those that handlers append', async () => {
      await using engine = await ground.open()
      const other = app('other', { services: [service('accounts', [account])], views: [counted] })
      const elsewhere = await other.start({ engine })
      await open(elsewhere, 5, 'b')
      await elsewhere.stop()
      const running = await bank.start({ engine })
      await open(running, 3)
      await running.publish(Placed({ id: 'a', n: 1 }))
      await running.idle()
      expect(await engine.events.describeStream('audit-a')).toMatchObject({ version: 1 })
      expect(await running.view(counted).get('a')).toBe(3)
      // The past goes by what stands in the store, whoever appended it.
      expect(await history(engine).view(counted, 'a')).toBe(4)
      expect(await rebuilt(running)).toEqual({ a: 3 })
      await running.stop()
      await using again = await other.start({ engine })
      expect(await rebuilt(again)).toEqual({ b: 5 })
    })

    it('counts events of its deciders that name another source, and the one that closes the books', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await running.ask(Gift({ id: 'g' }))
      await open(running, 3)
      const { event } = await closeBooks(running, account)
      expect(event.source).toBe('/bank/accounts')
      expect(await running.view(counted).range()).toEqual([
        { key: 'a', value: 4 },
        { key: 'g', value: 1 },
      ])
      // What the books closed is gone for a rebuild; the event that closed them is not.
      expect(await rebuilt(running)).toEqual({ a: 1, g: 1 })
    })

    it('catches up with events that it does not take', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await open(running, 3)
      const { copies } = running.view(counted)
      await running.view(counted).rebuild({ swap: 'manual' })
      while ((await copies.status()).next?.eventsBehind !== 0) await running.idle()
      await running.ask(Open({ id: 'z' }))
      await copies.swap({ timeout: '5s' })
      expect((await copies.status()).live.copy).toBe('v1.2')
    })
  })

  function closeBooks(running: RunningApp, one: Account): ReturnType<RunningApp['closeBooks']> {
    return running.closeBooks(one, 'account-a', ({ balance }) => CarriedForward({ id: 'a', amount: balance }))
  }

  describe('closing books', () => {
    const balances = inlineBalances
    const savings = app('savings', { services: [service('accounts', [account])], views: [balances] })

    async function withBuild(engine: Engine): Promise<RunningApp> {
      const running = await savings.start({ engine })
      await open(running, 3)
      await running.view(balances).rebuild({ swap: 'manual' })
      return running
    }

    it('is refused while a build of an inline view is paused that still needs the events', async () => {
      await using engine = await ground.open()
      await using running = await withBuild(engine)
      const { copies } = running.view(balances)
      await copies.pause()
      await running.ask(Deposit({ id: 'a', amount: 4 }))
      await expect(closeBooks(running, account)).rejects.toMatchObject({
        code: 'BOOKS_NEEDED',
        details: { stream: 'account-a', view: 'balances', copy: 'v1.2' },
      })
      expect(await engine.events.describeStream('account-a')).toMatchObject({ version: 5, truncatedBefore: 1 })
      await copies.resume()
      await closeBooks(running, account)
      await copies.swap()
      expect(await running.view(balances).get('a')).toBe(7)
    })

    it('waits for a build that is on its way', async () => {
      await using engine = await ground.open()
      await using running = await withBuild(engine)
      const { copies } = running.view(balances)
      await copies.pause()
      for (let n = 0; n < 20; n++) await running.ask(Deposit({ id: 'a', amount: 1 }))
      await Promise.all([copies.resume(), running.ask(Deposit({ id: 'a', amount: 1 }))])
      await closeBooks(running, account)
      expect(await engine.events.describeStream('account-a')).toMatchObject({ version: 26, truncatedBefore: 26 })
      await copies.swap()
      expect(await running.view(balances).get('a')).toBe(24)
    })

    it('does not wait for a previous copy that nobody takes further, and marks it', async () => {
      await using engine = await ground.open()
      await using running = await withBuild(engine)
      const { copies } = running.view(balances)
      await copies.swap()
      await copies.rollBack()
      const next = view('balances', {
        events: [Deposited],
        key: ({ data }) => data.id,
        initial: 0,
        on: { Deposited: (n, { data }) => n + data.amount },
        inline: true,
        version: 2,
      })
      await using newer = await app('savings', { services: [service('accounts', [account])], views: [next] }).start({
        engine,
      })
      await newer.idle()
      await running.stop()
      await newer.ask(Deposit({ id: 'a', amount: 1 }))
      expect((await newer.view(next).copies.status()).previous).toMatchObject({ eventsBehind: 1 })
      await closeBooks(newer, account)
      expect(await newer.view(next).get('a')).toBe(4)
      const { copies: ofNewer } = newer.view(next)
      expect((await ofNewer.status()).previous).toMatchObject({
        problem: 'The books of stream "account-a" were closed before it had taken in its events.',
      })
      await newer.stop()
      // Nor does it come to have them when somebody takes it further.
      await using older = await savings.start({ engine })
      const { copies: ofOlder } = older.view(balances)
      while ((await ofOlder.status()).previous?.eventsBehind !== 0) await older.idle()
      await expect(ofOlder.rollBack()).rejects.toMatchObject({
        code: 'VIEW_BEHIND',
        details: { copy: 'v1', lacks: 'account-a' },
      })
      await ofOlder.rollBack({ behind: 'accept' })
      expect((await ofOlder.status()).live).toMatchObject({ copy: 'v1', problem: expect.stringContaining('account-a') })
    })

    /** Balances as before, in a version that a deployment brings. */
    const balancesOf = (version: number, rebuild: 'when-caught-up' | 'manual'): View<number> =>
      view('balances', {
        events: [Deposited],
        key: ({ data }) => data.id,
        initial: 0,
        on: { Deposited: (n, { data }) => n + data.amount },
        inline: true,
        version,
        rebuild,
      })

    it('keeps a copy that is begun later, and does not take what carries the state forward, from taking over by itself', async () => {
      await using engine = await ground.open()
      const running = await savings.start({ engine })
      await open(running, 3)
      await open(running, 2, 'b')
      await closeBooks(running, account)
      await running.ask(Deposit({ id: 'a', amount: 4 }))
      await running.stop()
      const next = balancesOf(2, 'when-caught-up')
      const services = [service('accounts', [account])]
      const newer = await app('savings', { services, views: [next] }).start({ engine })
      await newer.idle()
      const { copies } = newer.view(next)
      const problem = 'The books of stream "account-a" were closed before it had taken in its events.'
      while ((await copies.status()).next?.eventsBehind !== 0) await newer.idle()
      expect(await copies.status()).toMatchObject({
        live: { copy: 'v1', problem: null },
        next: { copy: 'v2', problem },
      })
      expect(await newer.view(next).get('a')).toBe(7)
      expect((await copies.difference()).first).toMatchObject([{ key: 'a', live: 7, other: 4 }])
      const refused = { code: 'VIEW_BEHIND', details: { copy: 'v2', lacks: 'account-a' } }
      await expect(copies.swap()).rejects.toMatchObject({
        ...refused,
        message: expect.stringContaining('Have the view take the event that carries the state forward'),
      })
      await expect(copies.setCanary(0.5)).rejects.toMatchObject(refused)
      // Neither does a restart forget it.
      await newer.stop()
      await using again = await app('savings', { services, views: [next] }).start({ engine })
      await again.idle()
      const { copies: ofAgain } = again.view(next)
      expect((await ofAgain.status()).live.copy).toBe('v1')
      await ofAgain.swap({ behind: 'accept' })
      expect(await again.view(next).get('a')).toBe(4)
      expect((await ofAgain.status()).live).toMatchObject({ copy: 'v2', problem })
      await again.ask(Deposit({ id: 'a', amount: 1 }))
      expect(await again.view(next).get('a')).toBe(5)
      // The copy before lacks nothing, and can be gone back to.
      expect((await ofAgain.status()).previous).toMatchObject({ problem: null })
    })

    it('leaves copies alone that take what carries the state forward, or were begun before', async () => {
      await using engine = await ground.open()
      const services = [service('accounts', [account])]
      const first = app('savings', { services, views: [balances, counted] })
      const running = await first.start({ engine })
      await open(running, 3)
      await running.view(balances).rebuild({ swap: 'manual' })
      const { copies } = running.view(balances)
      while ((await copies.status()).next?.eventsBehind !== 0) await running.idle()
      await closeBooks(running, account)
      await copies.swap()
      expect((await copies.status()).live).toMatchObject({ copy: 'v1.2', problem: null })
      expect(await running.view(balances).get('a')).toBe(3)
      await running.view(counted).rebuild()
      await running.idle()
      expect((await running.view(counted).copies.status()).live).toMatchObject({ copy: 'v1.2', problem: null })
      await running.stop()
    })

    it('marks no previous copy that is kept up to date', async () => {
      await using engine = await ground.open()
      await using running = await withBuild(engine)
      const { copies } = running.view(balances)
      await copies.swap()
      await running.ask(Deposit({ id: 'a', amount: 1 }))
      // On a busy machine that takes longer than closing waits for a previous copy.
      while ((await copies.status()).previous?.eventsBehind !== 0) await running.idle()
      await closeBooks(running, account)
      expect((await copies.status()).previous).toMatchObject({ copy: 'v1', problem: null })
      await copies.rollBack()
      expect(await running.view(balances).get('a')).toBe(4)
    })
  })
}
