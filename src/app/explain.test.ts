import { describe, expect, it } from 'vitest'
import { deployment } from '../bridge/index.ts'
import { accountDecider, Deposited } from '../domain/account.test-support.ts'
import { createInvoice } from '../domain/dcb-scenarios.test-support.ts'
import { view } from '../domain/index.ts'
import { embedded } from '../embedded/index.ts'
import type { Capabilities } from '../engine/index.ts'
import { exponential, on, set } from '../runtime/index.ts'
import { memoryEngine, Paid, Placed } from './app.test-support.ts'
import { type App, app, explain, service } from './index.ts'

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
    expect(handlers[0]?.retry).toContain('3 attempts')
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
    expect(weaker?.warnings.join()).toContain('will not start')
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
    expect(account?.commits[0]?.holds.slice(0, 3)).toEqual(['events', 'outcome', 'progress'])
    expect(account?.ordering).toContain('its stream is as it was read')
    expect(invoice?.ordering).toContain('nothing that it read has changed')
    expect(inline).toMatchObject({ delivery: 'exactly-once', source: { topics: [] }, warnings: [] })
    expect(inline?.deliveryBecause).toContain('s.account')
    expect(alone?.warnings).toEqual([expect.stringContaining('No decider')])
  })
})
