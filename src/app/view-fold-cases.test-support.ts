import fc from 'fast-check'
import { expect, it } from 'vitest'
import { view } from '../domain/index.ts'
import { Placed } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app } from './index.ts'

/** Views that are built anew in whatever order things happen. */
export function testViewFold(ground: AppGround): void {
  it('a view that is rebuilt while events come equals the fold of all events', { timeout: 120_000 }, async () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          kind: fc.constant('publish' as const),
          n: fc.nat(50),
          count: fc.integer({ min: 1, max: 30 }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constantFrom('rebuild' as const, 'restart' as const, 'pause' as const) }),
      },
    )
    const totals = (version: number) =>
      view('totals', {
        events: [Placed],
        key: ({ data }) => data.id,
        initial: { placed: 0 },
        on: { Placed: ({ placed }) => (placed === 4 ? undefined : { placed: placed + 1 }) },
        version,
      })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 25 }), async (steps) => {
        await using engine = await ground.open()
        const expected = new Map<string, number>()
        let version = 1
        let running = await app('prop', { views: [totals(version)] }).start({ engine })
        for (const one of steps) {
          if (one.kind === 'publish') {
            const messages = Array.from({ length: one.count }, (_, i) => Placed({ id: `k${(one.n + i) % 7}`, n: i }))
            for (const { data } of messages) expected.set(data.id, ((expected.get(data.id) ?? 0) + 1) % 5)
            await running.publish(messages)
          } else if (one.kind === 'restart') {
            await running.stop()
            running = await app('prop', { views: [totals(++version)] }).start({ engine })
          } else {
            const { copies } = running.view(totals(version))
            const { next } = await copies.status()
            if (one.kind === 'rebuild' && next === null) await running.view(totals(version)).rebuild()
            if (one.kind === 'pause') await (next?.paused ? copies.resume() : copies.pause()).catch(() => undefined)
          }
        }
        const { copies } = running.view(totals(version))
        await copies.resume().catch(() => undefined)
        await running.idle()
        const status = await copies.status()
        expect(status).toMatchObject({ live: { version, eventsBehind: 0 }, next: null })
        const listed: [string, number][] = []
        for await (const { key, value } of running.view(totals(version)).list()) listed.push([key, value.placed])
        expect(new Map(listed)).toEqual(new Map([...expected].filter(([, placed]) => placed > 0)))
        await running.stop()
      }),
      { numRuns: ground.runs(25) },
    )
  })
}
