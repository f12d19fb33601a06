import { z } from 'zod'
import { answer, command, decider, event, query, reject, view } from '../../src/index.ts'

const opening = z.object({ accountId: z.string(), owner: z.string() })
/** Amounts are whole euros. */
const transfer = z.object({ accountId: z.string(), amount: z.number().int().positive() })
const key = { key: (data: { readonly accountId: string }) => data.accountId }

export const OpenAccount = command('OpenAccount', { data: opening, ...key })
export const Deposit = command('Deposit', { data: transfer, ...key })
export const Withdraw = command('Withdraw', { data: transfer, ...key })

export const AccountOpened = event('AccountOpened', { topic: 'bank', data: opening, ...key })
export const Deposited = event('Deposited', { topic: 'bank', data: transfer, ...key })
export const Withdrawn = event('Withdrawn', { topic: 'bank', data: transfer, ...key })

export interface AccountState {
  readonly owner: string | null
  readonly balance: number
}

const initialState: AccountState = { owner: null, balance: 0 }

/** What may happen to an account, and what it is then. */
export const account = decider('account', {
  commands: [OpenAccount, Deposit, Withdraw],
  events: [AccountOpened, Deposited, Withdrawn],
  stream: ({ data }) => streamOf(data.accountId),
  initialState,
  decide: {
    OpenAccount: ({ data }, { owner }) =>
      owner === null ? AccountOpened(data) : reject('ALREADY_OPEN', `The account belongs to ${owner}.`),
    Deposit: ({ data }, { owner }) => (owner === null ? reject('NOT_OPEN') : Deposited(data)),
    Withdraw: ({ data }, { owner, balance }) => {
      if (owner === null) return reject('NOT_OPEN')
      return data.amount > balance ? reject('OVERDRAWN', `The balance is ${balance}.`, { balance }) : Withdrawn(data)
    },
  },
  evolve: {
    AccountOpened: (state, { data }) => ({ ...state, owner: data.owner }),
    Deposited: (state, { data }) => ({ ...state, balance: state.balance + data.amount }),
    Withdrawn: (state, { data }) => ({ ...state, balance: state.balance - data.amount }),
  },
  snapshot: { everyEvents: 100 },
  // The same command again has the same outcome for a week at least.
  remember: '7d',
})

export function streamOf(accountId: string): string {
  return `account-${accountId}`
}

/** Balances as whoever asked for a change reads them: in the commit of the events. */
export const balances = view('balances', {
  events: [AccountOpened, Deposited, Withdrawn],
  key: ({ data }) => data.accountId,
  initial: 0,
  on: {
    AccountOpened: (balance) => balance,
    Deposited: (balance, { data }) => balance + data.amount,
    Withdrawn: (balance, { data }) => balance - data.amount,
  },
  inline: true,
})

export interface Statement {
  readonly lines: readonly { readonly what: string; readonly amount: number; readonly balance: number }[]
}

const emptyStatement: Statement = { lines: [] }

/** Statements, as they are printed: a little behind, and never in the way of a command. */
export const statements = view('statements', {
  events: [Deposited, Withdrawn],
  key: ({ data }) => data.accountId,
  initial: emptyStatement,
  on: {
    Deposited: (statement, { data }) => withLine(statement, 'deposit', data.amount),
    Withdrawn: (statement, { data }) => withLine(statement, 'withdrawal', -data.amount),
  },
})

function withLine({ lines }: Statement, what: string, amount: number): Statement {
  const balance = (lines.at(-1)?.balance ?? 0) + amount
  return { lines: [...lines, { what, amount, balance }] }
}

export const GetBalance = query('GetBalance', {
  params: z.object({ accountId: z.string() }),
  result: z.object({ balance: z.number() }),
})

export const getBalance = answer(GetBalance, async ({ data }, ctx) => ({
  balance: (await ctx.view(balances).get(data.accountId)) ?? 0,
}))
