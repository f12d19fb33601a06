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
import type { RunningApp } from './index.ts'

declare const running: RunningApp
declare const account: Account

const GetBalance = query('GetBalance', {
  params: z.object({ id: z.string() }),
  result: z.object({ balance: z.number() }),
})
const CountAll = query('CountAll', { result: z.number() })

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
