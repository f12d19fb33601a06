import { expect, it } from 'vitest'
import { type ViewBuild, ViewCopies } from '../domain/index.ts'
import { systemClock } from '../kernel/index.ts'
import { engineWith, Placed, placedCounts } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app } from './index.ts'

/** Copies of views that others change. */
export function testViewCopies(ground: AppGround): void {
  for (const [what, move] of [
    ['swap', (copies: ViewCopies) => copies.swap()],
    ['setCanary', (copies: ViewCopies) => copies.setCanary(0.5)],
  ] as const) {
    it(`checks a build that takes the place of the checked one, too: ${what}`, async () => {
      await using engine = await ground.open()
      for (const version of [1, 2]) {
        await using running = await app('shop', { views: [placedCounts(version)] }).start({ engine })
        await running.publish([Placed({ id: `id${version}`, n: version })])
        await running.idle()
      }
      const place = { app: 'shop', view: 'counts', clock: systemClock }
      const elsewhere = new ViewCopies({ ...place, engine })
      const checked = (await elsewhere.read()).register.next as ViewBuild
      let isReplaced = false
      const describe = async (group: string): ReturnType<typeof engine.groups.describe> => {
        const found = await engine.groups.describe(group)
        if (isReplaced) return found
        isReplaced = true
        await elsewhere.drop('next')
        await elsewhere.begin(checked, { swap: 'manual', eventsPerSecond: null })
        return found
      }
      const copies = new ViewCopies({ ...place, engine: engineWith(engine, 'groups', { describe }) })
      await expect(move(copies)).rejects.toMatchObject({ code: 'VIEW_BEHIND', details: { copy: 'v2.2' } })
      // Nor does what the checked one could not take stop the other one.
      await copies.pauseFailed(checked, 'cannot go on')
      expect((await copies.read()).register).toMatchObject({
        live: { version: 1 },
        next: { build: 2, paused: false, problem: null },
        canary: 0,
      })
    })
  }

  it('swaps and rolls back nothing once the signal has aborted, or with options that are none', async () => {
    await using engine = await ground.open()
    for (const version of [1, 2]) {
      await using running = await app('shop', { views: [placedCounts(version)] }).start({ engine })
      await running.idle()
    }
    const copies = new ViewCopies({ app: 'shop', view: 'counts', clock: systemClock, engine })
    const signal = AbortSignal.abort(new RangeError('changed my mind'))
    await expect(copies.swap({ signal })).rejects.toThrow('changed my mind')
    await expect(copies.swap({ deadLetters: 'maybe' as never })).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    await expect(copies.difference({ limt: 5 } as object)).rejects.toThrow('limt is no option')
    expect((await copies.read()).register.live.version).toBe(1)
    await copies.swap()
    await expect(copies.rollBack({ signal, behind: 'accept' })).rejects.toThrow('changed my mind')
    expect((await copies.read()).register.live.version).toBe(2)
  })

  it('refuses to do anything with copies of a view that has never run', async () => {
    await using engine = await ground.open()
    const copies = new ViewCopies({ app: 'shop', view: 'counts', clock: systemClock, engine })
    for (const refused of [
      () => copies.status(),
      () => copies.difference(),
      () => copies.swap(),
      () => copies.pause(),
      () => copies.drop('next'),
    ]) {
      await expect(refused()).rejects.toMatchObject({
        code: 'VIEW_NEVER_RUN',
        details: { view: 'counts', app: 'shop' },
      })
    }
    expect(await engine.state.namespaces('')).toEqual([])
  })
}
