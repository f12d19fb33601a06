import { z } from 'zod'
import { type CommandDefinition, command, type EventDefinition, event, type Message } from '../message/index.ts'
import { type Decider, decider, reject, type View, view } from './index.ts'

interface Opening {
  readonly id: string
}
export interface Amount {
  readonly id: string
  readonly amount: number
}

const opening = z.object({ id: z.string() })
const amount = z.object({ id: z.string(), amount: z.number() })

export const Open: CommandDefinition<'Open', Opening, Opening> = command('Open', { data: opening, key: (d) => d.id })
export const Deposit: CommandDefinition<'Deposit', Amount, Amount> = command('Deposit', {
  data: amount,
  key: (d) => d.id,
})
export const Withdraw: CommandDefinition<'Withdraw', Amount, Amount> = command('Withdraw', {
  data: amount,
  key: (d) => d.id,
})
export const Opened: EventDefinition<'Opened', Opening, Opening> = event('Opened', {
  topic: 'accounts',
  data: opening,
  key: (d) => d.id,
})
export const Deposited: EventDefinition<'Deposited', Amount, Amount> = event('Deposited', {
  topic: 'accounts',
  data: amount,
  key: (d) => d.id,
})
export const Withdrawn: EventDefinition<'Withdrawn', Amount, Amount> = event('Withdrawn', {
  topic: 'accounts',
  data: amount,
  key: (d) => d.id,
})
export const CarriedForward: EventDefinition<'CarriedForward', Amount, Amount> = event('CarriedForward', {
  topic: 'accounts',
  data: amount,
  key: (d) => d.id,
})

export interface AccountState {
  readonly isOpen: boolean
  readonly balance: number
}

type Command = Message<'Open', Opening> | Message<'Deposit' | 'Withdraw', Amount>
type Event = Message<'Opened', Opening> | Message<'Deposited' | 'Withdrawn' | 'CarriedForward', Amount>

export type Account = Decider<Command, Event, AccountState, 'OPEN' | 'NOT_OPEN' | 'OVERDRAWN'>

/** A decider as tests need it, with options of their own. */
export function accountDecider(
  options: Partial<Pick<Parameters<typeof decider>[1], 'snapshot' | 'version' | 'publish' | 'remember'>> = {},
  /** Told of each event that is evolved. */
  onEvolve: () => void = () => undefined,
): Account {
  const initialState: AccountState = { isOpen: false, balance: 0 }
  return decider('account', {
    commands: [Open, Deposit, Withdraw],
    events: [Opened, Deposited, Withdrawn, CarriedForward],
    stream: ({ data }) => `account-${data.id}`,
    initialState,
    decide: {
      Open: ({ data }, state) => (state.isOpen ? reject('OPEN', `Account ${data.id} is open.`) : Opened(data)),
      Deposit: ({ data }, state) => (state.isOpen ? Deposited(data) : reject('NOT_OPEN')),
      Withdraw: ({ data }, state) =>
        data.amount > state.balance
          ? reject('OVERDRAWN', 'The balance is too low.', { balance: state.balance })
          : Withdrawn(data),
    },
    evolve: {
      Opened: (state) => ({ ...state, isOpen: true }),
      Deposited: (state, { data }) => {
        onEvolve()
        return { ...state, balance: state.balance + data.amount }
      },
      Withdrawn: (state, { data }) => ({ ...state, balance: state.balance - data.amount }),
      CarriedForward: (_state, { data }) => ({ isOpen: true, balance: data.amount }),
    },
    carriesForward: CarriedForward,
    ...options,
  })
}

/** Balances by account, in the commits of the events. */
export const inlineBalances: View<number> = view('balances', {
  events: [Deposited, Withdrawn],
  key: ({ data }) => data.id,
  initial: 0,
  on: {
    Deposited: (balance, { data }) => balance + data.amount,
    Withdrawn: (balance, { data }) => balance - data.amount,
  },
  inline: true,
})
