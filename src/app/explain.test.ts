import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { deployment } from '../bridge/index.ts'
import { accountDecider, Deposited } from '../domain/account.test-support.ts'
import { createInvoice } from '../domain/dcb-scenarios.test-support.ts'
import { view } from '../domain/index.ts'
import { embedded } from '../embedded/index.ts'
import type { Capabilities } from '../engine/index.ts'
import { kafka } from '../kafka/index.ts'
import type { MillraceError } from '../kernel/index.ts'
import { exponential, on, set } from '../runtime/index.ts'
import { saga } from '../saga/index.ts'
import { sqliteTables, tableView } from '../tables/index.ts'
import { memoryEngine, Paid, Placed } from './app.test-support.ts'
import { type App, app, explain, StartRefusedError, service } from './index.ts'

const one = embedded({ path: 'one.db' })
const other = embedded({ path: 'other.db' })

function shop(requires?: 'exactly-once'): App {
  const options = { ...(requires !== undefined && { requires }), retry: exponential({ max: 3 }) }
  return app('shop', {
    services: [
      service('payment', [
        on(Placed, { ...options, state: { initial: 0 }, timers: { remind: () => [] } }, (_order, n) => set(n + 1)),
        on([Placed, Paid], { name: 'both', dedupe: { window: '1h' }, onDeadLetter: 'park-key' }, () => undefined),
      ]),
    ],
    views: [view('paid', { events: [Paid], key: (e) => e.data.id, initial: 0, on: { Paid: (n) => n + 1 } })],
  })
}

/** Ground that declares what one likes; nobody opens it. */
function ground(over: Partial<Capabilities>): { name: string; capabilities: Capabilities } {
  return { name: 'ground', capabilities: { ...one.capabilities, ...over } }
}

describe('explain', () => {
  it('finds one commit where one engine keeps all', () => {
    const { engine, durability, handlers } = explain(shop(), one)
    expect([engine, durability]).toEqual(['embedded', 'synced'])
    expect(handlers.map(({ name }) => name)).toEqual(['payment.Placed', 'payment.both', 'view paid'])
    for (const { delivery, publications, warnings } of handlers) {
      expect([delivery, publications, warnings]).toEqual(['exactly-once', 'exactly-once', []])
    }
    expect(handlers[0]?.commits).toEqual([
      { engine: 'embedded', holds: ['progress', 'state', 'timers', 'publications'] },
    ])
    expect(handlers[0]?.retry).toContain('3 attempts, from 100ms up to 1m apart; an attempt takes at most 30s.')
    expect(handlers[1]).toMatchObject({ dedupeWindowMs: 3_600_000, source: { topics: ['orders', 'payments'] } })
    expect(handlers[1]?.retry).toContain('wait behind it')
  })

  it('finds an outbox between two engines, which delivers as often as the topics can tell', () => {
    const [first] = explain(shop(), deployment({ topics: one, store: other })).handlers
    expect(first).toMatchObject({ delivery: 'exactly-once', publications: 'exactly-once' })
    expect(first?.commits.map(({ holds }) => holds)).toEqual([
      ['progress', 'state', 'timers', 'outbox'],
      ['publications', 'mark of the relay'],
    ])
    const forgetful = { ...one, capabilities: ground({ atomic: [['topics'], ['progress']] }).capabilities }
    const [weaker] = explain(shop('exactly-once'), deployment({ topics: forgetful, store: other })).handlers
    expect(weaker).toMatchObject({ delivery: 'exactly-once', publications: 'at-least-once' })
    expect(weaker?.publicationsBecause).toContain('under the same ids')
    expect(weaker?.refusedBy).toBe('GUARANTEE_MISSING')
  })

  it('says at least once where nothing brings state and progress together', () => {
    const apart = ground({
      atomic: [
        ['topics', 'progress'],
        ['events', 'state', 'timers'],
      ],
    })
    for (const { delivery, publications } of explain(shop(), apart).handlers) {
      expect([delivery, publications]).toEqual(['at-least-once', 'at-least-once'])
    }
  })

  it('warns of memory, and of keys that only one process at a time can work on', () => {
    const warnings = (over: Partial<Capabilities>): string[] =>
      explain(shop(), ground(over)).handlers.map((handler) => handler.warnings.join())
    for (const warning of warnings({ durability: 'memory' })) expect(warning).toContain('gone with the process')
    const shared = warnings({ members: 'network' })
    expect(shared.slice(0, 2)).toEqual(['', ''])
    expect(shared[2]).toContain('one process at a time')
  })
})

describe("requires: 'exactly-once'", () => {
  it('keeps an app from starting where that is not given, and names all handlers', async () => {
    await using engine = await memoryEngine()
    const apart = new Proxy(engine, {
      get: (target, name) =>
        name === 'capabilities'
          ? ground({ atomic: [['topics']] }).capabilities
          : (Reflect.get(target, name) as unknown),
    })
    await expect(shop('exactly-once').start({ engine: apart })).rejects.toMatchObject({
      code: 'GUARANTEE_MISSING',
      details: { engine: 'embedded', handlers: [{ name: 'payment.Placed' }] },
    })
    await using running = await shop('exactly-once').start({ engine })
    expect(running.name).toBe('shop')
  })

  it('takes nothing else', () => {
    expect(() => on(Placed, { requires: 'twice' as never }, () => undefined)).toThrow(
      /requires is twice, not exactly-once/,
    )
  })

  it('tells what deciders, boundaries and inline views rest on', () => {
    const balances = view('balances', {
      events: [Deposited],
      key: ({ data }) => data.id,
      initial: 0,
      on: { Deposited: (n) => n },
      inline: true,
    })
    const lonely = view('lonely', {
      events: [Paid],
      key: ({ data }) => data.id,
      initial: 0,
      on: { Paid: (n) => n },
      inline: true,
    })
    const bank = app('bank', {
      services: [service('s', [accountDecider({ remember: '1h' }), createInvoice])],
      views: [balances, lonely],
    })
    const [account, invoice, inline, alone] = explain(bank, deployment({ topics: one, store: other })).handlers
    expect(account).toMatchObject({
      name: 's.account',
      source: { events: ['Open', 'Deposit', 'Withdraw'], topics: ['commands'] },
      delivery: 'exactly-once',
      dedupeWindowMs: 3_600_000,
    })
    expect(account?.commits[0]?.holds.slice(0, 3)).toEqual(['progress', 'events', 'outcome'])
    expect(account?.ordering).toContain('its stream is as it was read')
    expect(invoice?.ordering).toContain('nothing that it read has changed')
    expect(inline).toMatchObject({ delivery: 'exactly-once', source: { topics: [] }, warnings: [] })
    expect(inline?.deliveryBecause).toContain('s.account')
    expect(alone?.warnings).toEqual([expect.stringContaining('No decider')])
  })
})

describe('what explain says of kinds of handlers', () => {
  const network = ground({ members: 'network', ownedState: true })

  it('inline views: from the event store, without partitions, repeats and processes that stand by', () => {
    const balances = view('balances', {
      events: [Deposited],
      key: ({ data }) => data.id,
      initial: 0,
      on: { Deposited: (n) => n },
      inline: true,
    })
    const bank = app('bank', { services: [service('s', [accountDecider()])], views: [balances] })
    const inline = explain(bank, network).handlers.find(({ name }) => name === 'view balances')
    expect(inline).toMatchObject({
      source: { topics: [], engine: 'ground' },
      deduplication: 'An event changes it once: in the commit that appends it.',
      warnings: [],
    })
    const over = explain(bank, deployment({ topics: one, store: { ...other, name: 'store' } })).handlers
    expect(over.find(({ name }) => name === 'view balances')?.source.engine).toBe('store')
  })

  it('table views: effects and ids stand in the database of the user', () => {
    using database = new DatabaseSync(':memory:')
    const totals = tableView('totals', {
      database: sqliteTables(database),
      events: [Paid],
      on: { Paid: () => undefined },
      keep: '30d',
    })
    const [told] = explain(app('shop', { services: [service('reports', [totals])] }), ground({ atomic: [] })).handlers
    expect(told).toMatchObject({
      commits: [
        { engine: 'the SQLite database', holds: ['tables', 'inbox'] },
        { engine: 'ground', holds: ['progress', 'dead letters'] },
      ],
      delivery: 'exactly-once',
      dedupeWindowMs: 2_592_000_000,
      deduplication: 'A message id is applied once: the SQLite database notes it for 30d at least.',
    })
  })

  it('sagas: durations in units that people know', () => {
    const shipping = saga('shipping', { start: Paid, steps: {} }, () => Promise.resolve())
    const [told] = explain(app('shop', { sagas: [shipping] }), one).handlers
    expect(told?.retry).toContain('an attempt takes at most 365d.')
  })

  it('calls outside: repeated, whatever the ground', () => {
    expect(explain(shop(), one).outside).toContain('made again whenever a handler is run again')
  })
})

describe('explain and the start', () => {
  const plain = on(Placed, { name: 'plain' }, () => undefined)
  const strict = on(Placed, { name: 'strict', requires: 'exactly-once' }, () => undefined)
  const timed = on(Placed, { name: 'timed', timers: { late: () => undefined } }, () => undefined)
  const inline = view('inline', {
    events: [Deposited],
    key: () => 'all',
    initial: 0,
    on: { Deposited: (n) => n },
    inline: true,
  })
  const follower = view('follower', { events: [Paid], key: () => 'all', initial: 0, on: { Paid: (n) => n } })
  const apps: readonly App[] = [
    app('plain', { services: [service('s', [plain])], views: [follower] }),
    app('strict', { services: [service('s', [strict])] }),
    app('timed', { services: [service('s', [timed])] }),
    app('deciding', { services: [service('s', [accountDecider()])] }),
    app('bounded', { services: [service('s', [createInvoice])] }),
    app('inline', { views: [inline] }),
    app('saga', { sagas: [saga('shipping', { start: Paid, steps: {} }, () => Promise.resolve())] }),
    app('all', {
      services: [service('s', [plain, strict, timed, accountDecider()])],
      views: [inline, follower],
      sagas: [saga('shipping', { start: Paid, steps: {} }, () => Promise.resolve())],
    }),
  ]
  const topicsAlone = kafka({ brokers: ['localhost:9092'] })
  const topicsAndState = kafka({ brokers: ['localhost:9092'], state: { folder: 'copies' } })
  const grounds: Readonly<Record<string, Capabilities>> = {
    whole: one.capabilities,
    'Kafka without state': topicsAlone.capabilities,
    'Kafka with state': topicsAndState.capabilities,
    'Kafka and a store': deployment({ topics: topicsAlone, store: one }).capabilities,
    'without timers': { ...one.capabilities, keeps: ['topics', 'progress', 'state', 'events'] },
    'an event store apart': { ...one.capabilities, atomic: [['topics', 'progress', 'state', 'timers'], ['events']] },
    'progress apart': { ...one.capabilities, atomic: [['topics', 'state', 'timers', 'events'], ['progress']] },
  }
  const cases = apps.flatMap((one) => Object.keys(grounds).map((name) => [one.name, name, one] as const))

  it.each(cases)('agree on app %s on ground: %s', async (_app, name, one) => {
    await using engine = await memoryEngine()
    const capabilities = grounds[name] as Capabilities
    const claiming = new Proxy(engine, {
      get: (target, property) => {
        if (property === 'capabilities') return capabilities
        const value: unknown = Reflect.get(target, property, target)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      },
    })
    const { refusals, handlers } = explain(one, claiming)
    const started = one.start({ engine: claiming }).then(
      async (running) => {
        await running.stop()
        return undefined
      },
      // For a single reason its own error, for several one that holds them all.
      (error: MillraceError) => {
        const { code, problem, remedy } = error
        return error instanceof StartRefusedError ? error.details.refusals : [{ code, problem, remedy }]
      },
    )
    expect(await started).toEqual(refusals.length === 0 ? undefined : refusals)
    const codes = new Set(handlers.flatMap(({ refusedBy }) => refusedBy ?? []))
    const [first] = refusals
    expect(first === undefined ? codes.size === 0 : codes.has(first.code)).toBe(true)
  })

  it('stand in one error of the start', async () => {
    const open = (): Promise<never> => Promise.reject(new Error('it is not opened'))
    const source = { ...topicsAndState, open }
    const refused: unknown = await (apps.at(-1) as App).start({ engine: source }).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(StartRefusedError)
    const { message, details } = refused as StartRefusedError
    expect(details.refusals.map(({ code }) => code)).toEqual(['ENGINE_LACKS', 'STORE_MISSING'])
    for (const { problem, remedy } of details.refusals) {
      expect(message).toContain(problem)
      expect(message).toContain(remedy)
    }
  })

  it('tell all reasons together, each with its handlers', () => {
    const told = explain(apps.at(-1) as App, topicsAndState)
    expect(told.refusals.map(({ code }) => code)).toEqual(['ENGINE_LACKS', 'STORE_MISSING'])
    expect(told.handlers.map(({ name, refusedBy }) => [name, refusedBy])).toEqual([
      ['s.plain', null],
      ['s.strict', null],
      ['s.timed', 'ENGINE_LACKS'],
      ['s.account', 'STORE_MISSING'],
      ['view inline', 'STORE_MISSING'],
      ['view follower', null],
      ['saga shipping', 'ENGINE_LACKS'],
    ])
  })
})
