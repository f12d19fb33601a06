import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { deployment } from '../bridge/index.ts'
import { type Account, accountDecider, Deposit, Deposited, Open, Withdraw } from '../domain/account.test-support.ts'
import { answer, view } from '../domain/index.ts'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import { VirtualClock } from '../kernel/index.ts'
import { command, query } from '../message/index.ts'
import { on, send } from '../runtime/index.ts'
import { engineWith, memoryEngine, Placed, problemsOf } from './app.test-support.ts'
import { embeddedGround } from './app-ground.test-support.ts'
import { AskFailedError, AskTimeoutError, app, service } from './index.ts'
import { testSending } from './sending-cases.test-support.ts'

const account = accountDecider()
const Notify = command('Notify', { data: z.object({ id: z.string() }), key: (d) => d.id })
const GetBalance = query('GetBalance', {
  params: z.object({ id: z.string() }),
  result: z.object({ balance: z.number() }),
})
const balances = view('balances', {
  events: [Deposited],
  key: ({ data }) => data.id,
  initial: 0,
  on: { Deposited: (balance, { data }) => balance + data.amount },
})
const getBalance = answer(GetBalance, async ({ data }, ctx) => ({
  balance: (await ctx.view(balances).get(data.id)) ?? 0,
}))
const bank = app('bank', { services: [service('accounts', [account, getBalance])], views: [balances] })

async function typesOf(engine: Engine, stream: string): Promise<string[]> {
  return (await Array.fromAsync(engine.events.readStream(stream))).map(({ message }) => message.type)
}

describe('on the embedded engine', () => {
  testSending(embeddedGround())
})

describe('send', () => {
  it('waits for its time, also as an effect', async () => {
    const clock = new VirtualClock()
    await using engine = await memoryEngine({ clock })
    const later = on(Placed, ({ data }) => send(Open({ id: data.id }), { after: '15m' }))
    const shop = app('shop', { services: [service('s', [later, account])] })
    await using running = await shop.start({ engine, clock })
    await running.publish(Placed({ id: 'a', n: 1 }))
    await running.send(Open({ id: 'b' }), { after: '20m' })
    await running.idle()
    await clock.advance('14m')
    await running.idle()
    expect([await typesOf(engine, 'account-a'), await typesOf(engine, 'account-b')]).toEqual([[], []])
    const arrived = async (stream: string, minutes: `${number}m`): Promise<string[]> => {
      await clock.advance(minutes)
      for (let turn = 0; turn < 100 && (await typesOf(engine, stream)).length === 0; turn++)
        await clock.advance('100ms')
      return typesOf(engine, stream)
    }
    expect(await arrived('account-a', '2m')).toEqual(['Opened'])
    expect(await typesOf(engine, 'account-b')).toEqual([])
    expect(await arrived('account-b', '4m')).toEqual(['Opened'])
  })
})

describe('one handler for each command and query', () => {
  it('is checked when the app is put together', () => {
    const other = on(Deposit, { name: 'other' }, () => undefined)
    const bank = [service('a', [account, getBalance]), service('b', [other])]
    expect(problemsOf(() => app('x', { services: bank, remote: [Deposit, GetBalance] }))).toEqual([
      'services have Deposit handled by a.account and by b.other and by another app (option remote); a command or query has one handler',
      'services have GetBalance handled by a.GetBalance and by another app (option remote); a command or query has one handler',
    ])
  })
})

describe('an engine without an event store', () => {
  it('is refused at the start', async () => {
    await using engine = await memoryEngine()
    const capabilities = { ...engine.capabilities, atomic: [['topics', 'progress', 'state']] as const }
    const open = (): Promise<never> => Promise.reject(new Error('it is not opened'))
    const source = { name: 'topics alone', capabilities, open }
    await expect(bank.start({ engine: source })).rejects.toMatchObject({
      code: 'STORE_MISSING',
      details: { deciders: ['accounts.account'] },
    })
  })
})

describe('query', () => {
  it('is answered by its handler, checked by its schema', async () => {
    await using engine = await memoryEngine()
    await using running = await bank.start({ engine })
    await running.ask(Open({ id: 'a' }))
    await running.view(balances).waitFor(await running.ask(Deposit({ id: 'a', amount: 5 })))
    expect(await running.query(GetBalance, { id: 'a' })).toEqual({ balance: 5 })
    const wrong = answer(GetBalance, () => ({ balance: 'much' }) as never)
    await running.stop()
    await using broken = await app('broken', { services: [service('s', [wrong])] }).start({ engine })
    await expect(broken.query(GetBalance, { id: 'a' })).rejects.toMatchObject({ code: 'DATA_INVALID' })
  })
})

describe('waitFor', () => {
  const memory = () => embedded({ path: ':memory:' })

  it.each([
    ['one engine', memory()],
    ['two engines, where nobody can tell the places', deployment({ topics: memory(), store: memory() })],
  ])('waits until a view that follows shows what was asked, on %s', async (_name, source) => {
    await using engine = await source.open()
    await using running = await bank.start({ engine })
    await running.ask(Open({ id: 'a' }))
    for (let n = 1; n <= 5; n++) {
      await running.view(balances).waitFor(await running.ask(Deposit({ id: 'a', amount: 1 })))
      expect(await running.view(balances).get('a')).toBe(n)
    }
    await running.view(balances).waitFor(await running.ask(Withdraw({ id: 'a', amount: 9 })))
  })

  it('waits for nothing that others put on its way after the call, on two engines', async () => {
    await using engine = await deployment({ topics: memory(), store: memory() }).open()
    await using running = await bank.start({ engine })
    await running.ask(Open({ id: 'a' }))
    let isOver = false
    // At each moment something of them is on its way.
    const load = Array.from({ length: 20 }, async (_, n) => {
      await running.ask(Open({ id: `load-${n}` }))
      while (!isOver) await running.ask(Deposit({ id: `load-${n}`, amount: 1 }))
    })
    try {
      for (let n = 1; n <= 3; n++) {
        const outcome = await running.ask(Deposit({ id: 'a', amount: 1 }))
        await running.view(balances).waitFor(outcome, { signal: AbortSignal.timeout(20_000) })
        expect(await running.view(balances).get('a')).toBe(n)
      }
    } finally {
      isOver = true
      await Promise.all(load)
    }
  })

  it('waits too while the group of the view has not begun', async () => {
    await using engine = await memoryEngine()
    for (const isToldWhere of [true, false]) {
      let lookCount = 0
      const describe: typeof engine.groups.describe = async (group) =>
        ++lookCount > 3 ? engine.groups.describe(group) : undefined
      await using running = await bank.start({ engine: engineWith(engine, 'groups', { describe }) })
      const outcome = await running.ask(Open({ id: `a${isToldWhere}` }))
      await running.ask(Deposit({ id: `a${isToldWhere}`, amount: 1 }))
      lookCount = 0
      await running.view(balances).waitFor(isToldWhere ? outcome : ({ ...outcome, published: [] } as typeof outcome))
      expect(lookCount).toBeGreaterThan(3)
    }
  })

  it('ends when nobody wants to wait', async () => {
    await using engine = await memoryEngine()
    await using running = await bank.start({ engine })
    const never = [{ topic: 'accounts', partition: 0, offset: 1_000 }]
    const waiting = running.view(balances).waitFor(never, { signal: AbortSignal.timeout(20) })
    await expect(waiting).rejects.toMatchObject({ name: 'TimeoutError' })
    const stopping = running.view(balances).waitFor(never)
    const [told] = await Promise.all([stopping.catch((error: unknown) => error), running.stop()])
    expect(told).toMatchObject({ code: 'APP_STOPPED' })
  })
})

describe('another app', () => {
  const front = app('front', { remote: [Open, Deposit, Withdraw, GetBalance, Notify] })

  it('asks commands and queries by request and reply', async () => {
    await using engine = await memoryEngine()
    await using _bank = await bank.start({ engine })
    await using running = await front.start({ engine })
    expect(await running.ask(Open({ id: 'a' }))).toMatchObject({ kind: 'accepted', repeated: false })
    const deposit = Deposit({ id: 'a', amount: 5 })
    const first = await running.ask(deposit)
    const again = await running.ask(deposit)
    expect(first).toMatchObject({ kind: 'accepted', repeated: false, events: [{ type: 'Deposited' }] })
    expect(again).toMatchObject({ kind: 'accepted', repeated: true, events: [{ type: 'Deposited' }] })
    expect(await running.ask(Withdraw({ id: 'a', amount: 6 }), { of: account })).toMatchObject({
      kind: 'rejected',
      code: 'OVERDRAWN',
      details: { balance: 5 },
    })
    await _bank.idle()
    expect(await running.query(GetBalance, { id: 'a' })).toEqual({ balance: 5 })
  })

  it('may ask the same command again while it waits, and another with the same id', async () => {
    await using engine = await memoryEngine()
    await using running = await front.start({ engine })
    const one = Open({ id: 'a' })
    const other = Open({ id: 'b' }, { id: one.id, source: '/elsewhere' })
    const asked = [one, one, other].map((command) => running.ask(command))
    await using _bank = await bank.start({ engine })
    const outcomes = await Promise.all(asked)
    expect(outcomes.map((outcome) => outcome.kind === 'accepted' && outcome.events[0])).toMatchObject([
      { data: { id: 'a' } },
      { data: { id: 'a' } },
      { data: { id: 'b' } },
    ])
  })

  it('asks when it could not at first', async () => {
    await using engine = await memoryEngine()
    await using _bank = await bank.start({ engine })
    let isAway = true
    const ensure: typeof engine.topics.ensure = (topic, config) =>
      isAway && topic === 'front.replies' ? Promise.reject(new Error('away')) : engine.topics.ensure(topic, config)
    await using running = await front.start({ engine: engineWith(engine, 'topics', { ensure }) })
    await expect(running.ask(Open({ id: 'a' }))).rejects.toThrow('away')
    isAway = false
    expect(await running.ask(Open({ id: 'a' }))).toMatchObject({ kind: 'accepted' })
  })

  it('is told when nobody answers, when it stops itself, and when the handler fails', async () => {
    await using engine = await memoryEngine()
    await using running = await front.start({ engine })
    await expect(running.ask(Open({ id: 'a' }), { timeout: 30 })).rejects.toThrow(AskTimeoutError)
    const second = await front.start({ engine })
    const asked = second.ask(Open({ id: 'a' }))
    const [told] = await Promise.all([asked.catch((error: unknown) => error), second.stop()])
    expect(told).toMatchObject({ code: 'APP_STOPPED' })
    const failing = answer(GetBalance, () => {
      throw new Error('the database is away')
    })
    const broken: Account = {
      ...account,
      decide: () => {
        throw new Error('a fault of the decider')
      },
    }
    await using _broken = await app('broken', { services: [service('s', [failing, broken])] }).start({ engine })
    await expect(running.query(GetBalance, { id: 'a' })).rejects.toThrow('the database is away')
    await expect(running.ask(Deposit({ id: 'a', amount: 1 }))).rejects.toThrow(AskFailedError)
    expect(await _broken.deadLetters.list()).toEqual([])
  })
})
