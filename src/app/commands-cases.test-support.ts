import { describe, expect, it } from 'vitest'
import { accountDecider, Deposit, Deposited, Open, Withdraw } from '../domain/account.test-support.ts'
import { type CommandOutcome, view } from '../domain/index.ts'
import type { Engine, StoredEvent } from '../engine/index.ts'
import { messagesOf } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, type RunningApp, service } from './index.ts'

const account = accountDecider()
const bank = app('bank', { services: [service('accounts', [account])] })

const sums = view('sums', {
  events: [Deposited],
  key: ({ data }) => data.id,
  initial: 0,
  on: { Deposited: (sum, { data }) => sum + data.amount },
  inline: true,
})

const eventsOf = (engine: Engine, stream: string): Promise<StoredEvent[]> =>
  Array.fromAsync(engine.events.readStream(stream))

async function typesOf(engine: Engine, stream: string): Promise<string[]> {
  return (await eventsOf(engine, stream)).map(({ message }) => message.type)
}

const kindsOf = (outcomes: readonly CommandOutcome[]): string[] =>
  outcomes.map((one) => (one.kind === 'rejected' ? one.code : one.kind))

/** Commands of a running app. */
export function testCommands(ground: AppGround): void {
  describe('ask', () => {
    it('decides over the state of the stream and answers what became of it', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      expect(await running.ask(Deposit({ id: 'a', amount: 1 }))).toEqual({
        kind: 'rejected',
        code: 'NOT_OPEN',
        reason: 'NOT_OPEN',
        details: null,
        repeated: false,
      })
      const opened = await running.ask(Open({ id: 'a' }))
      expect(opened).toMatchObject({ kind: 'accepted', position: 1, repeated: false })
      await running.ask(Deposit({ id: 'a', amount: 100 }))
      const refused = await running.ask(Withdraw({ id: 'a', amount: 101 }), { of: account })
      expect(refused).toMatchObject({ kind: 'rejected', code: 'OVERDRAWN', details: { balance: 100 } })
      await running.ask(Withdraw({ id: 'a', amount: 30 }))
      expect(await typesOf(engine, 'account-a')).toEqual(['Opened', 'Deposited', 'Withdrawn'])
    })

    it('decides what is asked at once in the order in which it was asked, and tells each what is its own', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      const outcomes = await Promise.all([
        running.ask(Open({ id: 'a' })),
        running.ask(Deposit({ id: 'a', amount: 5 })),
        running.ask(Withdraw({ id: 'a', amount: 6 })),
        running.ask(Withdraw({ id: 'a', amount: 5 })),
      ])
      expect(kindsOf(outcomes)).toEqual(['accepted', 'accepted', 'OVERDRAWN', 'accepted'])
      const told = outcomes.flatMap((one) => (one.kind === 'accepted' ? [one] : []))
      expect(told.map(({ events }) => events.length)).toEqual([1, 1, 1])
      await running.idle()
      const ids = (await messagesOf(engine, 'accounts')).map(({ id }) => id)
      expect(ids).toEqual(told.map(({ events }) => events[0]?.id))
    })

    it('is finished when the app has stopped', async () => {
      const source = ground.source()
      const running = await bank.start({ engine: source })
      const asked = Array.from({ length: 50 }, (_, n) => running.ask(Open({ id: `a${n}` })))
      await running.stop()
      expect(kindsOf(await Promise.all(asked))).toEqual(asked.map(() => 'accepted'))
      await expect(running.ask(Open({ id: 'late' }))).rejects.toMatchObject({ code: 'APP_STOPPED' })
    })

    it('does nothing for somebody who had given up before', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      const asked = running.ask(Open({ id: 'a' }), { signal: AbortSignal.abort() })
      await expect(asked).rejects.toMatchObject({ name: 'AbortError' })
      expect(await eventsOf(engine, 'account-a')).toEqual([])
    })

    it('leaves a command to its end when nobody waits any longer', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      const abort = new AbortController()
      const open = Open({ id: 'a' })
      const asked = running.ask(open, { signal: abort.signal })
      abort.abort(new Error('I have to go'))
      await expect(asked).rejects.toThrow('I have to go')
      expect(await running.ask(open)).toMatchObject({ kind: 'accepted', repeated: true })
    })

    it('ties events to their command', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      const command = Open({ id: 'a' }, { correlationid: 'flow-1' })
      await running.ask(command)
      const [opened] = await eventsOf(engine, 'account-a')
      expect(opened?.message).toMatchObject({
        source: '/bank/accounts',
        causationid: command.id,
        correlationid: 'flow-1',
        partitionkey: 'a',
      })
    })

    it('decides the commands of one stream one after the other, whoever asks', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await running.ask(Open({ id: 'a' }))
      await running.ask(Deposit({ id: 'a', amount: 50 }))
      const asked = Array.from({ length: 80 }, () => running.ask(Withdraw({ id: 'a', amount: 1 })))
      const kinds = kindsOf(await Promise.all(asked))
      expect(kinds.filter((kind) => kind === 'accepted')).toHaveLength(50)
      expect(kinds.filter((kind) => kind === 'OVERDRAWN')).toHaveLength(30)
      expect(await eventsOf(engine, 'account-a')).toHaveLength(52)
    })

    it('holds across two starts of the app, each with a cache of its own', async () => {
      await using engine = await ground.open()
      await using first = await bank.start({ engine })
      await using second = await bank.start({ engine })
      await first.ask(Open({ id: 'a' }))
      await second.ask(Deposit({ id: 'a', amount: 30 }))
      const turns: readonly RunningApp[] = [first, second]
      const asked = Array.from({ length: 60 }, (_, n) =>
        (turns[n % 2] as RunningApp).ask(Withdraw({ id: 'a', amount: 1 })),
      )
      const kinds = kindsOf(await Promise.all(asked))
      expect(kinds.filter((kind) => kind === 'accepted')).toHaveLength(30)
      expect(kinds.filter((kind) => kind === 'OVERDRAWN')).toHaveLength(30)
    })

    it('does not reject by what a cache still believes', async () => {
      await using engine = await ground.open()
      await using first = await bank.start({ engine })
      await using second = await bank.start({ engine })
      await first.ask(Open({ id: 'a' }))
      expect(kindsOf([await second.ask(Withdraw({ id: 'a', amount: 5 }))])).toEqual(['OVERDRAWN'])
      await first.ask(Deposit({ id: 'a', amount: 5 }))
      expect(kindsOf([await second.ask(Withdraw({ id: 'a', amount: 5 }))])).toEqual(['accepted'])
    })
  })

  describe('the same command again', () => {
    it('has the same outcome and no effect', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      const open = Open({ id: 'a' })
      const tooEarly = Deposit({ id: 'b', amount: 1 })
      const first = await running.ask(open)
      expect(kindsOf([await running.ask(tooEarly)])).toEqual(['NOT_OPEN'])
      await running.ask(Open({ id: 'b' }))
      const again = await running.ask(open)
      expect(again).toMatchObject({ kind: 'accepted', repeated: true, position: 1 })
      expect(again).toMatchObject({ events: first.kind === 'accepted' ? first.events : [] })
      // The account is open by now, but the answer to this command was given.
      expect(await running.ask(tooEarly)).toMatchObject({ kind: 'rejected', code: 'NOT_OPEN', repeated: true })
      expect(await typesOf(engine, 'account-a')).toEqual(['Opened'])
      expect(await typesOf(engine, 'account-b')).toEqual(['Opened'])
    })

    it('is of the same type: another command under its id is refused, also beside it', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await running.ask(Open({ id: 'a' }))
      const deposit = Deposit({ id: 'a', amount: 5 })
      const other = Withdraw({ id: 'a', amount: 5 }, { id: deposit.id, source: deposit.source })
      const beside = await Promise.allSettled([running.ask(deposit), running.ask(other), running.ask(deposit)])
      expect(beside.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
      await expect(running.ask(other)).rejects.toMatchObject({
        code: 'COMMAND_ID_TAKEN',
        details: { type: 'Withdraw', id: deposit.id, earlierType: 'Deposit' },
      })
      await running.send(other)
      await running.idle()
      expect(await running.deadLetters.list()).toMatchObject([{ error: { code: 'COMMAND_ID_TAKEN' } }])
      expect(await typesOf(engine, 'account-a')).toEqual(['Opened', 'Deposited'])
    })

    it('takes effect once when it is asked many times at once, beside others', async () => {
      await using engine = await ground.open()
      await using running = await bank.start({ engine })
      await running.ask(Open({ id: 'a' }))
      const deposit = Deposit({ id: 'a', amount: 7 })
      const asked = Array.from({ length: 20 }, (_, n) =>
        running.ask(n % 4 === 3 ? Deposit({ id: 'a', amount: 1 }) : deposit),
      )
      const outcomes = await Promise.all(asked)
      expect(new Set(kindsOf(outcomes))).toEqual(new Set(['accepted']))
      expect(await eventsOf(engine, 'account-a')).toHaveLength(1 + 1 + 5)
    })

    it('is forgotten after a while, takes effect again then, and what was remembered is cleared', async () => {
      const clock = ground.clock()
      await using engine = await ground.open({ clock })
      const short = app('bank', {
        services: [service('accounts', [accountDecider({ remember: '1m' })])],
        views: [sums],
      })
      await using running = await short.start({ engine, clock })
      await running.ask(Open({ id: 'a' }))
      const deposit = Deposit({ id: 'a', amount: 7 })
      await running.ask(deposit)
      await clock.advance('1m')
      expect(await running.ask(deposit)).toMatchObject({ repeated: true })
      await clock.advance('3m')
      expect(await running.ask(deposit)).toMatchObject({ repeated: false })
      const ids = (await eventsOf(engine, 'account-a')).map(({ message }) => message.id)
      expect(new Set(ids).size).toBe(3)
      // All that goes with the events goes with each of their lives.
      expect(await running.view(sums).get('a')).toBe(14)
      await clock.advance('10ms')
      for (let turn = 0; turn < 50 && (await engine.state.namespaces('commands:')).length > 1; turn++)
        await clock.advance('1ms')
      expect(await engine.state.namespaces('commands:')).toHaveLength(1)
    })

    it('is known after a restart', async () => {
      const source = ground.source()
      const deposit = Deposit({ id: 'a', amount: 7 })
      {
        await using running = await bank.start({ engine: source })
        await running.ask(Open({ id: 'a' }))
        await running.ask(deposit)
      }
      await using running = await bank.start({ engine: source })
      expect(await running.ask(deposit)).toMatchObject({ kind: 'accepted', repeated: true })
      expect(await eventsOf(running.engine, 'account-a')).toHaveLength(2)
    })
  })
}
