import { expect, it } from 'vitest'
import { type View, type ViewOptions, view } from '../domain/index.ts'
import { Placed } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { type App, app } from './index.ts'

type Options = ViewOptions<readonly [typeof Placed], number>

/** Counts orders by key. */
function counts(options: Pick<Options, 'version' | 'key' | 'on'>): View<number> {
  return view('counts', { events: [Placed], initial: 0, rebuild: 'manual', ...options })
}

const shopOf = (one: View<number>): App => app('shop', { views: [one] })

/** Differences of copies of views. */
export function testViewDifference(ground: AppGround): void {
  it('the difference of two copies tells the keys that only one of them has', async () => {
    await using engine = await ground.open()
    const first = counts({ version: 1, key: ({ data }) => `k${data.n % 3}`, on: { Placed: (count) => count + 1 } })
    {
      await using running = await shopOf(first).start({ engine })
      for (let n = 0; n < 9; n++) await running.publish(Placed({ id: `id${n}`, n }))
      await running.idle()
    }
    const forgetful = counts({
      version: 2,
      key: ({ data }) => (data.n === 8 ? 'late' : `k${data.n % 3}`),
      on: { Placed: (count, { data }) => (data.n === 3 ? undefined : count + 1) },
    })
    await using running = await shopOf(forgetful).start({ engine })
    await running.idle()
    const reader = running.view(forgetful)
    // Which of the orders of a key comes first is not told, as each has a key of its own in the topic: but each is there once.
    await running.publish(Placed({ id: 'again', n: 3 }))
    await running.idle()
    expect(await reader.copies.difference()).toEqual({
      copies: { live: 'v1', other: 'v2' },
      sameCount: 1,
      differingCount: 1,
      onlyLiveCount: 1,
      onlyOtherCount: 1,
      first: [
        { key: 'k0', live: 3, other: undefined },
        { key: 'k2', live: 3, other: 2 },
        { key: 'late', live: undefined, other: 1 },
      ],
    })
    expect((await reader.copies.difference({ limit: 1 })).first).toHaveLength(1)
    await reader.copies.swap()
    expect([await reader.get('k0'), await reader.get('late')]).toEqual([undefined, 1])
  })
}
