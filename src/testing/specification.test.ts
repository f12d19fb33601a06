import { DatabaseSync } from 'node:sqlite'
import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  accountDecider,
  Deposit,
  Deposited,
  Open,
  Opened,
  Withdraw,
  Withdrawn,
} from '../domain/account.test-support.ts'
import { boundary, projection, reject, view } from '../domain/index.ts'
import { command } from '../message/index.ts'
import { sqliteTables, tableView } from '../tables/index.ts'
import { SpecificationFailedError, specification } from './index.ts'

const account = accountDecider()
const { given } = specification(account)
const opened = [Opened({ id: 'a' }), Deposited({ id: 'a', amount: 10 })]

describe('a specification of a decider', () => {
  it('refuses a command that the decider does not handle', () => {
    const Foreign = command('Foreign', { data: z.object({ id: z.string() }) })
    const foreign = (): void =>
      given([])
        .when(Foreign({ id: 'a' }) as never)
        .then([])
    expect(foreign).toThrow(SpecificationFailedError)
    expect(foreign).toThrow(/decider account: it does not handle this command.*"Foreign"/)
  })

  it('holds where the decision is the one that is expected', () => {
    given([])
      .when(Open({ id: 'a' }))
      .then(Opened({ id: 'a' }))
    given(opened)
      .when(Withdraw({ id: 'a', amount: 10 }))
      .then([Withdrawn({ id: 'a', amount: 10 })])
    given(opened)
      .when(Withdraw({ id: 'a', amount: 11 }))
      .then(reject('OVERDRAWN'))
    given(opened)
      .when(Withdraw({ id: 'a', amount: 11 }))
      .then(reject('OVERDRAWN', 'The balance is too low.', { balance: 10 }))
  })

  it.each([
    [
      'other data',
      () =>
        given([])
          .when(Open({ id: 'a' }))
          .then(Opened({ id: 'b' })),
    ],
    [
      'nothing',
      () =>
        given([])
          .when(Open({ id: 'a' }))
          .then([]),
    ],
    [
      'events instead of a rejection',
      () =>
        given([])
          .when(Deposit({ id: 'a', amount: 1 }))
          .then([]),
    ],
    [
      'a rejection instead of events',
      () =>
        given([])
          .when(Open({ id: 'a' }))
          .then(reject('OPEN')),
    ],
    [
      'another code',
      () =>
        given(opened)
          .when(Withdraw({ id: 'a', amount: 11 }))
          .then(reject('OPEN')),
    ],
    [
      'other details',
      () =>
        given(opened)
          .when(Withdraw({ id: 'a', amount: 11 }))
          .then(reject('OVERDRAWN', 'OVERDRAWN', { balance: 1 })),
    ],
  ])('fails on %s', (_what, fails) => {
    expect(fails).toThrow(SpecificationFailedError)
  })

  it('gives test runners both sides', () => {
    let failure: unknown
    try {
      given([])
        .when(Open({ id: 'a' }))
        .then(Opened({ id: 'b' }))
    } catch (error) {
      failure = error
    }
    expect(failure).toMatchObject({
      expected: [{ type: 'Opened', data: { id: 'b' } }],
      actual: [{ type: 'Opened', data: { id: 'a' } }],
    })
  })

  it('is not taken for a promise that is kept', async () => {
    const unfinished: unknown = given([]).when(Open({ id: 'a' }))
    await expect(Promise.resolve(unfinished)).rejects.toThrow('does not say what is expected')
  })

  it('finds out a decision that depends on more than command and events', () => {
    let count = 0
    const moody = { ...account, decide: () => Deposited({ id: 'a', amount: count++ }) }
    expect(() =>
      specification(moody)
        .given([])
        .when(Deposit({ id: 'a', amount: 1 })),
    ).toThrow('differently')
  })

  it('finds out a decision that depends on the time, each time', () => {
    const timely = { ...account, decide: () => Deposited({ id: 'a', amount: Date.now() }) }
    for (let n = 0; n < 50; n++) {
      expect(() =>
        specification(timely)
          .given([])
          .when(Deposit({ id: 'a', amount: 1 })),
      ).toThrow('differently')
    }
  })

  it('finds out a state that is changed in place', () => {
    const careless = {
      ...account,
      evolve: (state: { isOpen: boolean; balance: number }) => {
        state.balance = 7
        return state
      },
    }
    expect(() =>
      specification(careless)
        .given(opened)
        .when(Open({ id: 'a' })),
    ).toThrow(TypeError)
  })
})

describe('a specification of a boundary', () => {
  const open = boundary('open', {
    command: Open,
    events: [Opened],
    reads: () => ({
      opened: projection({ events: [Opened], tags: ['other'], initial: 0, on: { Opened: (n) => n + 1 } }),
    }),
    decide: ({ data }, read) => (read.opened > 0 ? reject('OPEN') : Opened(data)),
  })

  it('counts events by the tags of their definitions', () => {
    // The events of an account have no tags, so this boundary sees none of them.
    specification(open)
      .given(opened)
      .when(Open({ id: 'a' }))
      .then([Opened({ id: 'a' })])
  })
})

describe('a specification of a view', () => {
  const balances = view('balances', {
    events: [Deposited, Withdrawn],
    key: ({ data }) => data.id,
    initial: 0,
    on: {
      Deposited: (balance, { data }) => balance + data.amount,
      Withdrawn: (balance, { data }) => (balance === data.amount ? undefined : balance - data.amount),
    },
  })

  it('compares all keys', () => {
    const events = [...opened, Deposited({ id: 'b', amount: 1 }), Withdrawn({ id: 'b', amount: 1 })]
    specification(balances).given(events).then({ a: 10 })
    expect(() => specification(balances).given(events).then({ a: 10, b: 0 })).toThrow(SpecificationFailedError)
    expect(() => specification(balances).given(events).then({})).toThrow(SpecificationFailedError)
  })

  it('counts an event under each of its keys', () => {
    const both = view('both', {
      events: [Deposited],
      key: ({ data }) => [data.id, 'all'],
      initial: '',
      on: { Deposited: (text, { data }, key) => (data.amount === 0 ? undefined : `${text}${key}${data.amount}`) },
    })
    const { given } = specification(both)
    given([
      Deposited({ id: 'a', amount: 1 }),
      Deposited({ id: 'b', amount: 2 }),
      Deposited({ id: 'b', amount: 0 }),
    ]).then({ a: 'a1' })
  })
})

describe('a specification of a view in tables', () => {
  const database = new DatabaseSync(':memory:')
  afterAll(() => database.close())
  const statement = tableView('statement', {
    database: sqliteTables(database),
    tables: { statement: 'statement_v1' },
    setup: ['CREATE TABLE statement_v1 (id TEXT PRIMARY KEY, balance INTEGER NOT NULL)'],
    events: [Deposited, Withdrawn],
    on: {
      Deposited: (db, { data: { id, amount } }) =>
        db
          .prepare(
            'INSERT INTO statement_v1 VALUES (?, ?) ON CONFLICT DO UPDATE SET balance = balance + excluded.balance',
          )
          .run(id, amount),
      Withdrawn: (db, { data: { id, amount } }) => {
        if (amount === 13) throw new RangeError('unlucky')
        db.prepare('UPDATE statement_v1 SET balance = balance - ? WHERE id = ?').run(amount, id)
        db.prepare('DELETE FROM statement_v1 WHERE balance = 0').run()
      },
    },
  })
  const { given } = specification(statement)
  const all = 'SELECT id, balance FROM statement ORDER BY id'

  it('asks what the events have made of the tables, and leaves nothing behind', async () => {
    const deposit = Deposited({ id: 'a', amount: 10 })
    const events = [deposit, deposit, Deposited({ id: 'b', amount: 5 }), Opened({ id: 'c' })]
    await given(events).then(all, [
      { id: 'a', balance: 10 },
      { id: 'b', balance: 5 },
    ])
    await given([...events, Withdrawn({ id: 'b', amount: 5 })]).then(all, [{ id: 'a', balance: 10 }])
    await given([]).then(all, [])
    expect(database.prepare('SELECT * FROM sqlite_master').all()).toEqual([])
  })

  it('fails on other rows, with both sides, and on what the functions throw', async () => {
    await expect(given([Deposited({ id: 'a', amount: 10 })]).then(all, [])).rejects.toMatchObject({
      code: 'SPECIFICATION_FAILED',
      expected: [],
      actual: [{ id: 'a', balance: 10 }],
    })
    await expect(given([Withdrawn({ id: 'a', amount: 13 })]).then(all, [])).rejects.toThrow('unlucky')
    await expect(given([]).then('SELECT nothing FROM statement', [])).rejects.toThrow('nothing')
    await given([Deposited({ id: 'a', amount: 1 })]).then(all, [{ id: 'a', balance: 1 }])
  })

  it('is not taken for a promise that is kept', async () => {
    const unfinished: unknown = given([])
    await expect(Promise.resolve(unfinished)).rejects.toThrow('does not say what is expected')
  })

  it('finds out a function that works on asynchronously', async () => {
    const careless = tableView('careless', {
      database: sqliteTables(database),
      events: [Deposited],
      on: { Deposited: async () => undefined },
    })
    await expect(
      specification(careless)
        .given([Deposited({ id: 'a', amount: 1 })])
        .then('SELECT 1 AS n', [{ n: 1 }]),
    ).rejects.toMatchObject({ code: 'TABLE_CHANGE_INVALID' })
  })
})

describe('a specification of what is none', () => {
  const wrong = (value: unknown): never => value as never

  it.each([undefined, null, 5, {}])('%j is refused as its subject', (subject) => {
    expect(() => specification(wrong(subject))).toThrow('is no decider, boundary, view or view in tables')
  })

  it.each([undefined, null, 5, [5], [{}], [undefined]])('refuses %j as events', (events) => {
    const counts = view('counts', { events: [Opened], key: () => 'all', initial: 0, on: { Opened: (n) => n + 1 } })
    expect(() => given(wrong(events)).when(Open({ id: 'a' }))).toThrow(/given(\[0\])? is/)
    expect(() => specification(counts).given(wrong(events))).toThrow(/given(\[0\])? is/)
  })

  it('refuses an expectation that says nothing', () => {
    const decided = given([]).when(Open({ id: 'a' }))
    const counts = view('counts', { events: [Opened], key: () => 'all', initial: 0, on: { Opened: (n) => n + 1 } })
    for (const nothing of [undefined, null, 5, [undefined]]) {
      expect(() => decided.then(wrong(nothing))).toThrow('then[0] is no message')
      expect(() => specification(counts).given([]).then(wrong(nothing))).toThrow('then is no object with states by key')
    }
  })

  it('compares states as they are kept, without what is undefined', () => {
    const initial: { n: number; name?: string | undefined } = { n: 0 }
    const names = view('names', {
      events: [Opened],
      key: ({ data }) => data.id,
      initial,
      on: { Opened: ({ n }) => ({ n: n + 1, name: undefined }) },
    })
    specification(names)
      .given([Opened({ id: 'signal' })])
      .then({ signal: { n: 1, name: undefined } })
  })
})
