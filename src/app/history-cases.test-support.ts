import { describe, expect, it } from 'vitest'
import {
  type Account,
  type AccountState,
  accountDecider,
  CarriedForward,
  Deposit,
  inlineBalances,
  Open,
  Opened,
  Withdraw,
} from '../domain/account.test-support.ts'
import { history, view } from '../domain/index.ts'
import type { Engine, EngineSource } from '../engine/index.ts'
import { sleep, systemClock, type VirtualClock } from '../kernel/index.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { type App, app, type RunningApp, service } from './index.ts'

const bankOf = (account: Account): App =>
  app('bank', { services: [service('accounts', [account])], views: [inlineBalances] })
const account = accountDecider()
const bank = bankOf(account)

/** 0 + 100 − 30 + 50, a minute apart by the clock, and at least a moment by that of a server. */
async function fill(running: RunningApp, clock: VirtualClock): Promise<void> {
  const commands = [
    Open({ id: 'a' }, { correlationid: 'flow' }),
    Deposit({ id: 'a', amount: 100 }, { correlationid: 'flow' }),
    Withdraw({ id: 'a', amount: 30 }),
    Deposit({ id: 'a', amount: 50 }),
  ]
  for (const command of commands) {
    await running.ask(command)
    await clock.advance('1m')
    await sleep(2, systemClock)
  }
}

/** When the events of the account were stored: the one of version 1 first. */
async function storedMs(engine: Engine): Promise<readonly [number, number, number, number]> {
  const times = await Array.fromAsync(engine.events.readStream('account-a'), ({ timestampMs }) => timestampMs)
  expect([...new Set(times)]).toHaveLength(4)
  return times as [number, number, number, number]
}

/** The past of streams and views, snapshots and closed books. */
export function testHistory(ground: AppGround): void {
  describe('history', () => {
    it('tells the state of a stream at a version, position and time', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      await using running = await bank.start({ engine, clock })
      await fill(running, clock)
      await running.ask(Open({ id: 'b' }))
      const past = history(engine)
      const [, secondMs, , fourthMs] = await storedMs(engine)
      const balanceAt = async (at?: Parameters<typeof past.state>[2]): Promise<number> =>
        (await past.state(account, 'account-a', at)).state.balance
      expect(await balanceAt()).toBe(120)
      expect(await Promise.all([0, 1, 2, 3, 4, 9].map((version) => balanceAt({ version })))).toEqual([
        0, 0, 100, 70, 120, 120,
      ])
      expect(await Promise.all([1, 2, 3, 4].map((position) => balanceAt({ position })))).toEqual([0, 100, 70, 120])
      expect(await balanceAt({ time: secondMs })).toBe(100)
      expect(await balanceAt({ time: new Date(fourthMs - 1).toISOString() })).toBe(70)
      expect(await past.state(account, 'account-a', { version: 2 })).toEqual({
        state: { isOpen: true, balance: 100 },
        version: 2,
        position: 2,
        timeMs: secondMs,
      })
      await expect(balanceAt({ time: 'yesterday' })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
    })

    const noPlaces = [
      { position: -1 },
      { position: undefined as unknown as number },
      { time: Number.NaN },
      { time: '' },
      null as never,
      7 as never,
      {} as never,
    ]

    it.each([{ version: -1 }, { version: Number.NaN }, { version: 1.5 }, ...noPlaces])(
      'refuses %o as a point of a stream',
      async (at) => {
        await using engine = await ground.open()
        const state = history(engine).state(account, 'account-a', at)
        await expect(state).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
      },
    )

    it.each(noPlaces)('refuses %o as a point of the store', async (at) => {
      await using engine = await ground.open()
      const refused = { code: 'OPTIONS_INVALID' }
      await expect(history(engine).view(inlineBalances, 'a', at)).rejects.toMatchObject(refused)
      await expect(history(engine).projections({}, at)).rejects.toMatchObject(refused)
    })

    it('does not make a state of the time before a deletion of nothing', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      await using running = await bank.start({ engine, clock })
      await fill(running, clock)
      const [, secondMs] = await storedMs(engine)
      await engine.events.deleteStream('account-a')
      const past = history(engine)
      const gone = { code: 'STREAM_BEGINNING_GONE', details: { stream: 'account-a' } }
      for (const at of [{ version: 2 }, { version: 4 }, { position: 2 }, { time: secondMs }]) {
        await expect(past.state(account, 'account-a', at)).rejects.toMatchObject(gone)
      }
      const nothing = { state: account.initialState, version: 0 }
      for (const at of [undefined, { version: 0 }, { version: 5 }]) {
        expect(await past.state(account, 'account-a', at)).toMatchObject(nothing)
      }
      expect(await past.state(account, 'account-b', { version: 2 })).toMatchObject(nothing)
    })

    it('tells what changed under a key of a view, and why', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      await using running = await bank.start({ engine, clock })
      await fill(running, clock)
      await running.ask(Open({ id: 'b' }))
      await running.ask(Deposit({ id: 'b', amount: 7 }))
      const past = history(engine)
      const [, secondMs] = await storedMs(engine)
      const { events, ...change } = await past.viewDifference(inlineBalances, 'a', { position: 2 })
      expect(change).toEqual({ from: 100, to: 120, changes: [{ path: '', before: 100, after: 120 }] })
      expect(events.map(({ message }) => message.type)).toEqual(['Withdrawn', 'Deposited'])
      const back = await past.viewDifference(inlineBalances, 'a', { position: 3 }, { time: secondMs })
      expect([back.from, back.to, back.events.length]).toEqual([70, 100, 1])
      expect(await past.viewDifference(inlineBalances, 'nobody', { position: 1 })).toEqual({
        from: undefined,
        to: undefined,
        changes: [],
        events: [],
      })
      const why = await past.whyView(inlineBalances, 'a', { position: 3 })
      expect(why.map(({ cause }) => cause.type)).toEqual(['Deposit', 'Withdraw'])
      expect(why[0]?.flow.map(({ message }) => message.type)).toEqual(['Opened'])
    })

    it.each(['deleted', 'closed'])('does not leave the events of a stream out in silence that was %s', async (how) => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await running.ask(Open({ id: 'a' }))
      await running.ask(Deposit({ id: 'a', amount: 10 }))
      await running.ask(Open({ id: 'b' }))
      const past = history(engine)
      expect(await past.view(inlineBalances, 'a')).toBe(10)
      if (how === 'deleted') await engine.events.deleteStream('account-a')
      else {
        await running.closeBooks(account, 'account-a', ({ balance }: AccountState) =>
          CarriedForward({ id: 'a', amount: balance }),
        )
      }
      const incomplete = { code: 'HISTORY_INCOMPLETE', details: { stream: 'account-a' } }
      await expect(past.view(inlineBalances, 'a')).rejects.toMatchObject(incomplete)
      await expect(past.projections({})).rejects.toMatchObject(incomplete)
      const left = await past.view(inlineBalances, 'a', undefined, { gone: 'pass-over' })
      expect(left ?? 0).toBeLessThan(10)
      const wrong = 'ignore' as 'refuse'
      await expect(past.view(inlineBalances, 'a', undefined, { gone: wrong })).rejects.toMatchObject({
        code: 'OPTIONS_INVALID',
      })
    })

    it('tells what changed between two points, and by what', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      await using running = await bank.start({ engine, clock })
      await fill(running, clock)
      const { changes, events } = await history(engine).difference(account, 'account-a', { version: 0 }, { version: 3 })
      expect(changes).toEqual([
        { path: '/isOpen', before: false, after: true },
        { path: '/balance', before: 0, after: 70 },
      ])
      expect(events.map(({ message }) => message.type)).toEqual(['Opened', 'Deposited', 'Withdrawn'])
      expect((await history(engine).difference(account, 'account-a', { version: 4 })).changes).toEqual([])
    })

    it('tells why', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      await using running = await bank.start({ engine, clock })
      await fill(running, clock)
      const reasons = await history(engine).why('account-a', { version: 3 })
      expect(reasons.map(({ cause }) => cause.type)).toEqual(['Open', 'Deposit', 'Withdraw'])
      expect(reasons[1]).toMatchObject({ correlationid: 'flow', flow: [{ version: 1 }] })
      expect(reasons[2]?.flow).toEqual([])
      expect(reasons[2]?.cause.id).toBe(reasons[2]?.correlationid)
    })

    it('tells what a view held', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      await using running = await bank.start({ engine, clock })
      await fill(running, clock)
      const past = history(engine)
      const [, secondMs] = await storedMs(engine)
      expect(await past.view(inlineBalances, 'a', { position: 3 })).toBe(70)
      expect(await past.view(inlineBalances, 'a', { time: secondMs })).toBe(100)
      expect(await past.view(inlineBalances, 'b')).toBeUndefined()
      expect(await running.view(inlineBalances).get('a')).toBe(await past.view(inlineBalances, 'a'))
    })
  })

  describe('snapshots', () => {
    /** How many deposits a fresh process has to evolve. */
    async function evolvedAfterRestart(
      source: EngineSource,
      options: Parameters<typeof accountDecider>[0],
    ): Promise<{ readonly count: number; readonly balance: number }> {
      let count = 0
      await using running = await bankOf(accountDecider(options, () => count++)).start({ engine: source })
      const outcome = await running.ask(Withdraw({ id: 'a', amount: 1_000_000 }))
      const details = outcome.kind === 'rejected' ? outcome.details : null
      return { count, balance: (details as { readonly balance: number }).balance }
    }

    async function deposits(
      source: EngineSource,
      options: Parameters<typeof accountDecider>[0],
      count: number,
    ): Promise<void> {
      await using running = await bankOf(accountDecider(options)).start({ engine: source })
      await running.ask(Open({ id: 'a' }))
      for (let n = 0; n < count; n++) await running.ask(Deposit({ id: 'a', amount: 1 }))
    }

    it('spare a new process the events before them, until evolve changes its version', async () => {
      const source = ground.source()
      const snapshot = { everyEvents: 10 }
      await deposits(source, { snapshot }, 25)
      expect(await evolvedAfterRestart(source, { snapshot })).toEqual({ count: 6, balance: 25 })
      expect(await evolvedAfterRestart(source, { snapshot, version: 2 })).toEqual({ count: 25, balance: 25 })
      expect(await evolvedAfterRestart(source, {})).toEqual({ count: 25, balance: 25 })
    })

    it('come by size too', async () => {
      const source = ground.source()
      // {"id":"a","amount":1} has 21 characters, {"id":"a"} 10.
      const snapshot = { everyCharacters: 10 + 21 * 4 }
      await deposits(source, { snapshot }, 7)
      expect(await evolvedAfterRestart(source, { snapshot })).toEqual({ count: 3, balance: 7 })
    })

    it('come by time too', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      const decider = accountDecider({ snapshot: { every: '2m' } })
      await using running = await bankOf(decider).start({ engine, clock })
      await fill(running, clock)
      const [namespace] = await engine.state.namespaces('snapshots:')
      expect(namespace).toBe('snapshots:bank.accounts.account:v1')
      expect((await engine.state.get(namespace as string, 'account-a'))?.value).toMatchObject({
        version: 3,
        state: { balance: 70 },
      })
    })

    it('are refused when they say nothing or nonsense', () => {
      expect(() => accountDecider({ snapshot: {} })).toThrow('says nothing about when')
      expect(() => accountDecider({ snapshot: { everyEvents: 0 } })).toThrow('not a whole number')
    })
  })

  describe('closing the books', () => {
    const carry = ({ balance }: AccountState) => CarriedForward({ id: 'a', amount: balance })
    const eventsOf = async (engine: Engine): Promise<[number, string][]> =>
      (await Array.fromAsync(engine.events.readStream('account-a'))).map(({ version, message }) => [
        version,
        message.type,
      ])

    it('leaves one event that carries the state, and the stream goes on', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      await using running = await bank.start({ engine, clock })
      await fill(running, clock)
      expect(await running.closeBooks(account, 'account-a', carry)).toMatchObject({ version: 5 })
      await running.ask(Withdraw({ id: 'a', amount: 20 }))
      expect(await eventsOf(engine)).toEqual([
        [5, 'CarriedForward'],
        [6, 'Withdrawn'],
      ])
      // A start that has nothing cached makes its state of what is left.
      await using second = await bank.start({ engine, clock })
      expect(await second.ask(Withdraw({ id: 'a', amount: 101 }))).toMatchObject({ details: { balance: 100 } })
      expect((await history(engine).state(account, 'account-a')).state).toEqual({ isOpen: true, balance: 100 })
      await expect(history(engine).state(account, 'account-a', { version: 3 })).rejects.toMatchObject({
        code: 'STREAM_BEGINNING_GONE',
      })
    })

    it('is finished, and not done again, under the id of an event that stands there', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      await using running = await bank.start({ engine, clock })
      await fill(running, clock)
      const monthly = ({ balance }: AccountState) => CarriedForward({ id: 'a', amount: balance }, { id: 'a-2026-01' })
      const first = await running.closeBooks(account, 'account-a', monthly)
      for (const earlier of [0, 1]) {
        if (earlier > 0) await running.ask(Withdraw({ id: 'a', amount: 20 }))
        expect(await running.closeBooks(account, 'account-a', monthly)).toEqual(first)
        expect((await eventsOf(engine)).length).toBe(1 + earlier)
      }
      expect((await history(engine).state(account, 'account-a')).state).toEqual({ isOpen: true, balance: 100 })
      await running.ask(Open({ id: 'b' }))
      await expect(
        running.closeBooks(account, 'account-b', () => CarriedForward({ id: 'b', amount: 0 }, { id: 'a-2026-01' })),
      ).rejects.toMatchObject({ code: 'EVENT_ID_TAKEN' })
    })

    it('counts in inline views too, if they take the event', async () => {
      const openings = view('openings', {
        events: [Opened, CarriedForward],
        key: ({ data }) => data.id,
        initial: [''],
        on: { Opened: (types) => [...types, 'Opened'], CarriedForward: (types) => [...types, 'CarriedForward'] },
        inline: true,
      })
      await using engine = await ground.open()
      const one = app('bank', { services: [service('accounts', [account])], views: [openings] })
      await using running = await one.start({ engine })
      await running.ask(Open({ id: 'a' }))
      await running.closeBooks(account, 'account-a', carry)
      expect(await running.view(openings).get('a')).toEqual(['', 'Opened', 'CarriedForward'])
    })

    it('changes nothing if the event does not carry the state', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await running.ask(Open({ id: 'a' }))
      await running.ask(Deposit({ id: 'a', amount: 7 }))
      const wrong = [() => CarriedForward({ id: 'a', amount: 8 }), () => Opened({ id: 'a' })]
      for (const one of wrong) {
        await expect(running.closeBooks(account, 'account-a', one)).rejects.toMatchObject({ code: 'BOOKS_UNBALANCED' })
      }
      expect(await eventsOf(engine)).toHaveLength(2)
    })

    it('does not take a stream of which nothing is left for one that never was', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await running.ask(Open({ id: 'a' }))
      await running.ask(Open({ id: 'b' }))
      await engine.events.truncateStream('account-a', 2)
      await engine.events.deleteStream('account-b')
      await expect(history(engine).state(account, 'account-a')).rejects.toMatchObject({ code: 'STREAM_BEGINNING_GONE' })
      // What was deleted may begin anew.
      expect((await history(engine).state(account, 'account-b')).state).toEqual({ isOpen: false, balance: 0 })
    })

    it('does not make up a state when the beginning of a stream is gone without it', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await running.ask(Open({ id: 'a' }))
      await running.ask(Deposit({ id: 'a', amount: 7 }))
      await engine.events.truncateStream('account-a', 2)
      await using second = await bank.start({ engine })
      await expect(second.ask(Deposit({ id: 'a', amount: 7 }))).rejects.toMatchObject({ code: 'STREAM_BEGINNING_GONE' })
    })
  })
}
