import { describe, it } from 'vitest'
import { reject } from '../../src/index.ts'
import { specification } from '../../src/testing/index.ts'
import { AccountOpened, account, Deposit, Deposited, OpenAccount, statements, Withdraw, Withdrawn } from './account.ts'

const accountId = '4711'
const opened = AccountOpened({ accountId, owner: 'Ada' })
const { given } = specification(account)

describe('an account', () => {
  it('is opened once', () => {
    given([])
      .when(OpenAccount({ accountId, owner: 'Ada' }))
      .then(opened)
    given([opened])
      .when(OpenAccount({ accountId, owner: 'Bob' }))
      .then(reject('ALREADY_OPEN', 'The account belongs to Ada.'))
  })

  it('takes deposits when it is open', () => {
    given([])
      .when(Deposit({ accountId, amount: 1 }))
      .then(reject('NOT_OPEN'))
    given([opened])
      .when(Deposit({ accountId, amount: 1 }))
      .then([Deposited({ accountId, amount: 1 })])
  })

  it('gives what there is, and no more', () => {
    const paidIn = [opened, Deposited({ accountId, amount: 100 }), Withdrawn({ accountId, amount: 30 })]
    given(paidIn)
      .when(Withdraw({ accountId, amount: 70 }))
      .then(Withdrawn({ accountId, amount: 70 }))
    given(paidIn)
      .when(Withdraw({ accountId, amount: 71 }))
      .then(reject('OVERDRAWN', 'The balance is 70.', { balance: 70 }))
  })
})

describe('its statement', () => {
  it('has a line for each movement, with the balance after it', () => {
    specification(statements)
      .given([opened, Deposited({ accountId, amount: 100 }), Withdrawn({ accountId, amount: 30 })])
      .then({
        [accountId]: {
          lines: [
            { what: 'deposit', amount: 100, balance: 100 },
            { what: 'withdrawal', amount: -30, balance: 70 },
          ],
        },
      })
  })
})
