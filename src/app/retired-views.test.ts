import { describe, expect, it } from 'vitest'
import { accountDecider, Deposit, Deposited, inlineBalances, Open } from '../domain/account.test-support.ts'
import { retireView, type View, view } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import { clockAhead, gate, memoryEngine, Placed, placedCounts, withCommits } from './app.test-support.ts'
import { type App, app, service } from './index.ts'

const services = [service('accounts', [accountDecider()])]
const shopOf = (...views: readonly View[]): App => app('shop', { services, views })
const counts = placedCounts(1)

/** What an app without the view leaves of it, when the time of grace is over. */
async function keptAfterwards(engine: Engine): Promise<readonly string[]> {
  await using running = await shopOf().start({ engine, clock: clockAhead() })
  while ((await engine.state.namespaces('dropped-views')).length > 0) await running.idle()
  return [...(await engine.state.namespaces('view')), ...(await engine.groups.list())].filter((one) =>
    /view:/.test(one),
  )
}

describe('a view that is retired', () => {
  it('goes with its copies, groups and state, and is built anew when it is declared again', async () => {
    await using engine = await memoryEngine()
    {
      await using running = await shopOf(counts, inlineBalances).start({ engine })
      await running.ask(Open({ id: 'a' }))
      await running.ask(Deposit({ id: 'a', amount: 3 }))
      await running.publish([Placed({ id: 'a', n: 1 }), Placed({ id: 'b', n: 2 })])
      await running.idle()
      await expect(retireView(engine, { app: 'shop', view: 'counts' })).rejects.toMatchObject({
        code: 'VIEW_IN_USE',
        details: { copy: 'v1', memberCount: 1 },
      })
    }
    {
      await using running = await shopOf(placedCounts(2), inlineBalances).start({ engine })
      await running.idle()
    }
    expect(await retireView(engine, { app: 'shop', view: 'counts' })).toEqual(['v1', 'v2'])
    expect(await retireView(engine, { app: 'shop', view: 'balances' })).toEqual(['v1'])
    await expect(retireView(engine, { app: 'shop', view: 'counts' })).rejects.toMatchObject({ code: 'VIEW_NEVER_RUN' })
    expect((await engine.state.namespaces('view:')).length).toBe(3)
    expect(await keptAfterwards(engine)).toEqual([])

    await using again = await shopOf(counts, inlineBalances).start({ engine })
    await again.idle()
    await again.ask(Deposit({ id: 'a', amount: 4 }))
    expect((await again.view(counts).copies.status()).live).toMatchObject({ copy: 'v1.2', eventsBehind: 0 })
    expect(await again.view(counts).get('all')).toBe(2)
    expect((await again.view(inlineBalances).copies.status()).live.copy).toBe('v1.2')
    expect(await again.view(inlineBalances).get('a')).toBe(7)
  })

  it('leaves nothing to wait for to a program that still declares it, if it is inline', async () => {
    await using engine = await memoryEngine()
    const sums = (version: number): View<number> =>
      view('sums', {
        events: [Deposited],
        key: ({ data }) => data.id,
        initial: 0,
        on: { Deposited: (sum, { data }) => sum + data.amount },
        version,
        inline: true,
      })
    {
      await using running = await shopOf(sums(1)).start({ engine })
      await running.ask(Open({ id: 'a' }))
      await running.ask(Deposit({ id: 'a', amount: 3 }))
    }
    const go = gate()
    const held = withCommits(engine, async ({ state = [] }) => {
      if (state.some((one) => one.kind === 'set' && one.key === 'view:shop.sums:v2')) await go.opened
    })
    const next = sums(2)
    await using running = await shopOf(next).start({ engine: held })
    const waited = running.view(next).waitFor(await running.ask(Deposit({ id: 'a', amount: 4 })))
    const idle = running.idle()
    await retireView(engine, { app: 'shop', view: 'sums' })
    await expect(waited).rejects.toMatchObject({ code: 'VIEW_NEVER_RUN' })
    await idle
    go.open()
  })

  it('is written no more by a program that still declares it, if it is inline, and stops nobody', async () => {
    await using engine = await memoryEngine()
    await using running = await shopOf(inlineBalances).start({ engine })
    await running.ask(Open({ id: 'a' }))
    await running.ask(Deposit({ id: 'a', amount: 3 }))
    await retireView(engine, { app: 'shop', view: 'balances' })
    await running.ask(Deposit({ id: 'a', amount: 4 }))
    expect(await running.view(inlineBalances).get('a')).toBe(3)
    await running.stop()
    expect(await keptAfterwards(engine)).toEqual([])
    await using again = await shopOf(inlineBalances).start({ engine })
    expect(await again.view(inlineBalances).get('a')).toBe(7)
  })

  it('from before copies were registered is retired, too', async () => {
    await using engine = await memoryEngine()
    {
      await using running = await shopOf(counts).start({ engine })
      await running.publish(Placed({ id: 'a', n: 1 }))
      await running.idle()
    }
    await engine.commit({ state: [{ kind: 'delete', namespace: 'views', key: 'shop.counts' }] })
    expect(await retireView(engine, { app: 'shop', view: 'counts' })).toEqual(['v1'])
    expect(await keptAfterwards(engine)).toEqual([])
  })
})
