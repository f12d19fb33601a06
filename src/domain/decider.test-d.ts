import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { command, event } from '../message/index.ts'
import { type Decider, type DeciderState, decider } from './decider.ts'
import { reject } from './rejection.ts'

const amount = z.object({ id: z.string(), amount: z.number() })
const Deposit = command('Deposit', { data: amount })
const Withdraw = command('Withdraw', { data: z.object({ id: z.string(), amount: z.number(), note: z.string() }) })
const Deposited = event('Deposited', { data: amount })
const Withdrawn = event('Withdrawn', { data: amount })

describe('decider', () => {
  it('infers commands, events, state and codes of rejections', () => {
    const account = decider('account', {
      commands: [Deposit, Withdraw],
      events: [Deposited, Withdrawn],
      stream: (one) => {
        expectTypeOf(one.data.id).toEqualTypeOf<string>()
        return `account-${one.data.id}`
      },
      initialState: { balance: 0 },
      decide: {
        Deposit: ({ data }, state) => {
          expectTypeOf(state).toEqualTypeOf<Readonly<{ balance: number }>>()
          return data.amount > 100 ? reject('TOO_MUCH') : Deposited(data)
        },
        Withdraw: ({ data }, state) => {
          expectTypeOf(data.note).toEqualTypeOf<string>()
          return data.amount > state.balance ? reject('OVERDRAWN') : [Withdrawn(data)]
        },
      },
      evolve: {
        Deposited: (state, { data }) => ({ balance: state.balance + data.amount }),
        Withdrawn: (state, { data }) => ({ balance: state.balance - data.amount }),
      },
    })
    expectTypeOf<DeciderState<typeof account>>().toEqualTypeOf<{ balance: number }>()
    expectTypeOf<
      typeof account extends Decider<infer _C, infer _E, infer _S, infer Code> ? Code : never
    >().toEqualTypeOf<'TOO_MUCH' | 'OVERDRAWN'>()
    const any: Decider = account
    expectTypeOf(any.name).toEqualTypeOf<string>()
  })

  it('wants a function for each command and event, and the right results', () => {
    decider('a', {
      commands: [Deposit, Withdraw],
      events: [Deposited],
      stream: () => 's',
      initialState: 0,
      // @ts-expect-error Withdraw is missing
      decide: { Deposit: ({ data }) => Deposited(data) },
      evolve: { Deposited: (n) => n + 1 },
    })
    decider('b', {
      commands: [Deposit],
      events: [Deposited],
      stream: () => 's',
      initialState: 0,
      // @ts-expect-error Withdrawn is not among its events
      decide: { Deposit: ({ data }) => Withdrawn(data) },
      evolve: { Deposited: (n) => n + 1 },
    })
    decider('c', {
      commands: [Deposit],
      events: [Deposited],
      stream: () => 's',
      initialState: 0,
      decide: { Deposit: () => undefined },
      // @ts-expect-error the state is a number
      evolve: { Deposited: () => 'x' },
    })
  })
})
