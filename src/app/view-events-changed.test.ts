import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type View, view } from '../domain/index.ts'
import { type EventDefinition, event } from '../message/index.ts'
import { type Item, memoryEngine, Paid, Placed, Shipped } from './app.test-support.ts'
import { type App, app } from './index.ts'

type Definition = EventDefinition<'Placed' | 'Paid' | 'Shipped', Item, Item>

function counts(version: number, events: readonly [Definition, ...Definition[]]): View<number> {
  const count = (n: number): number => n + 1
  return view('counts', {
    events,
    key: () => 'all',
    initial: 0,
    on: Object.fromEntries(events.map(({ type }) => [type, count])) as Record<Definition['type'], typeof count>,
    version,
    rebuild: 'manual',
  })
}
const shopOf = (one: View): App => app('shop', { views: [one] })

describe('a view that takes other events under the same version', () => {
  const before = counts(1, [Placed, Paid])

  it('refuses to start, and says what has changed and what to do', async () => {
    await using engine = await memoryEngine()
    await (await shopOf(before).start({ engine })).stop()
    await expect(shopOf(counts(1, [Placed, Shipped])).start({ engine })).rejects.toMatchObject({
      code: 'VIEW_EVENTS_CHANGED',
      details: {
        view: 'counts',
        copy: 'v1',
        added: ['Shipped', 'topic shipments'],
        removed: ['Paid', 'topic payments'],
        nextVersion: 2,
      },
      remedy: expect.stringContaining('version 2'),
    })
    // The order of the events is of no account.
    await (await shopOf(counts(1, [Paid, Placed])).start({ engine })).stop()
    await using running = await shopOf(counts(2, [Placed, Shipped])).start({ engine })
    await running.idle()
    expect((await running.view(counts(2, [Placed, Shipped])).copies.status()).next).toMatchObject({ copy: 'v2' })
  })

  it('does so where a definition has gone to another topic, and of a copy that is being built', async () => {
    await using engine = await memoryEngine()
    await (await shopOf(before).start({ engine })).stop()
    const moved = event('Placed', {
      topic: 'new-orders',
      data: z.object({ id: z.string(), n: z.number() }),
      key: (d) => d.id,
    })
    await expect(shopOf(counts(1, [moved as Definition, Paid])).start({ engine })).rejects.toMatchObject({
      details: { added: ['topic new-orders'], removed: ['topic orders'] },
    })
    await (await shopOf(counts(2, [Placed])).start({ engine })).stop()
    await expect(shopOf(counts(2, [Placed, Paid])).start({ engine })).rejects.toMatchObject({
      code: 'VIEW_EVENTS_CHANGED',
      details: { copy: 'v2', nextVersion: 3 },
    })
  })

  it('is taken as it is where nothing says what it was built from', async () => {
    await using engine = await memoryEngine()
    await (await shopOf(before).start({ engine })).stop()
    const key = 'shop.counts'
    await engine.commit({ state: [{ kind: 'delete', namespace: 'views', key }] })
    await (await shopOf(counts(1, [Placed])).start({ engine })).stop()
    expect((await engine.state.get('views', key))?.value).toMatchObject({
      live: { types: ['Placed'], topics: ['orders'] },
    })
  })
})
