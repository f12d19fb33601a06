import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import {
  type Account,
  type AccountState,
  type Amount,
  CarriedForward,
  Deposit,
} from '../domain/account.test-support.ts'
import { type CommandOutcome, history, type StateAt } from '../domain/index.ts'
import { type Message, query } from '../message/index.ts'
import { publish, send } from '../runtime/index.ts'
import type { RunningApp } from './index.ts'

declare const running: RunningApp
declare const account: Account

const GetBalance = query('GetBalance', {
  params: z.object({ id: z.string() }),
  result: z.object({ balance: z.number() }),
})
const CountAll = query('CountAll', { result: z.number() })

describe('buses', () => {
  it('take what they are for', async () => {
    const deposit = Deposit({ id: 'a', amount: 1 })
    const event = CarriedForward({ id: 'a', amount: 1 })
    await running.send(deposit)
    await running.publish([event])
    publish(event)
    send(deposit)
    // @ts-expect-error an event is not sent
    await running.send(event)
    // @ts-expect-error nor asked
    await running.ask(event)
    // @ts-expect-error a command is not published
    await running.publish(deposit)
    // @ts-expect-error nor is one among events
    await running.publish([event, deposit])
    // @ts-expect-error nor by a handler
    publish(deposit)
    // @ts-expect-error which sends no events either
    send(event)
  })

  it('take what is of unknown kind, such as what was read from elsewhere', async () => {
    const foreign = {} as Message
    await running.publish(foreign)
    await running.send(foreign)
  })
})

describe('ask and query', () => {
  it('know events and codes of the decider that is named', async () => {
    const outcome = await running.ask(Deposit({ id: 'a', amount: 1 }), { of: account })
    if (outcome.kind === 'rejected') {
      expectTypeOf(outcome.code).toEqualTypeOf<'OPEN' | 'NOT_OPEN' | 'OVERDRAWN' | 'STREAM_DELETED'>()
    } else {
      const [first] = outcome.events
      if (first?.type === 'Deposited') expectTypeOf(first.data).toEqualTypeOf<Amount>()
    }
    expectTypeOf(running.ask(Deposit({ id: 'a', amount: 1 }))).toEqualTypeOf<Promise<CommandOutcome<Message, string>>>()
    // @ts-expect-error it is no command of this decider
    await running.ask(CarriedForward({ id: 'a', amount: 1 }), { of: account })
  })

  it('know parameters and answers', async () => {
    expectTypeOf(running.query(GetBalance, { id: 'a' })).toEqualTypeOf<Promise<{ balance: number }>>()
    expectTypeOf(running.query(CountAll)).toEqualTypeOf<Promise<number>>()
    // @ts-expect-error the id is missing
    await running.query(GetBalance, {})
  })

  it('know states', async () => {
    expectTypeOf(history(running.engine).state(account, 's')).toEqualTypeOf<Promise<StateAt<AccountState>>>()
    await running.closeBooks(account, 's', (state) => {
      expectTypeOf(state).toEqualTypeOf<AccountState>()
      return CarriedForward({ id: 'a', amount: state.balance })
    })
  })
})
