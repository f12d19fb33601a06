import assert from 'node:assert/strict'
import type { TimerWrite } from '../write-batch.ts'
import { type ConformanceCase, survivesClose } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'

const schedule = (owner: string, id: string, dueMs: number, payload: unknown = null): TimerWrite => ({
  kind: 'schedule',
  owner,
  id,
  dueMs,
  payload: payload as never,
})

async function scheduled(f: Fixture, ...timers: readonly (readonly [id: string, dueMs: number])[]): Promise<string> {
  const owner = f.name('owner')
  await f.commit({ timers: timers.map(([id, dueMs]) => schedule(owner, id, dueMs)) })
  return owner
}

async function dueIds(f: Fixture, owner: string, nowMs: number, limit?: number): Promise<string[]> {
  return (await f.engine.timers.due(owner, nowMs, limit)).map(({ id }) => id)
}

async function revision(f: Fixture, owner: string, id: string): Promise<number> {
  const timer = (await f.engine.timers.list({ owner })).find((one) => one.id === id)
  assert.ok(timer, `timer ${id} must be scheduled`)
  return timer.revision
}

/** Durable timers. */
export const timerCases: readonly ConformanceCase[] = [
  {
    name: 'timers: due at its time, never before',
    async run(f) {
      const owner = await scheduled(f, ['t', 1000])
      assert.deepEqual(await dueIds(f, owner, 999), [])
      assert.deepEqual(await dueIds(f, owner, 1000), ['t'])
      assert.deepEqual(await dueIds(f, owner, 5000), ['t'])
    },
  },
  {
    name: 'timers: a timer comes back whole',
    async run(f) {
      const owner = f.name('owner')
      const payload = { a: [1, 'ä', null], b: { c: true } }
      await f.commit({ timers: [schedule(owner, 't', 1000, payload)] })
      const [timer] = await f.engine.timers.due(owner, 1000)
      assert.deepEqual(timer, { owner, id: 't', dueMs: 1000, payload, revision: timer?.revision })
      assert.deepEqual(await f.engine.timers.list({ owner }), [timer])
    },
  },
  {
    name: 'timers: the oldest come first, as many as were asked for',
    async run(f) {
      const owner = await scheduled(f, ['c', 30], ['a', 10], ['d', 40], ['b', 20])
      assert.deepEqual(await dueIds(f, owner, 35), ['a', 'b', 'c'])
      assert.deepEqual(await dueIds(f, owner, 100, 2), ['a', 'b'])
      assert.equal(await f.engine.timers.nextDueMs(owner), 10)
      assert.equal(await f.engine.timers.nextDueMs(f.name('owner')), undefined)
      assert.equal((await f.engine.timers.list({ owner, limit: 3 })).length, 3)
    },
  },
  {
    name: 'timers: scheduling again replaces the time, the payload and the revision',
    async run(f) {
      const owner = await scheduled(f, ['t', 1000])
      const before = await revision(f, owner, 't')
      await f.commit({ timers: [schedule(owner, 't', 5000, 'new')] })
      assert.deepEqual(await dueIds(f, owner, 4999), [])
      const timers = await f.engine.timers.due(owner, 5000)
      assert.deepEqual(
        timers.map(({ dueMs, payload }) => [dueMs, payload]),
        [[5000, 'new']],
      )
      assert.notEqual(timers[0]?.revision, before)
    },
  },
  {
    name: 'timers: a cancelled timer is gone, and cancelling nothing is fine',
    async run(f) {
      const owner = await scheduled(f, ['a', 10], ['b', 20])
      await f.commit({
        timers: [
          { kind: 'cancel', owner, id: 'a' },
          { kind: 'cancel', owner, id: 'none' },
        ],
      })
      assert.deepEqual(await dueIds(f, owner, 100), ['b'])
      assert.equal(await f.engine.timers.nextDueMs(owner), 20)
    },
  },
  {
    name: 'timers: a timer fires once',
    async run(f) {
      const owner = await scheduled(f, ['t', 10])
      const fire = { kind: 'fire', owner, id: 't', revision: await revision(f, owner, 't') } as const
      await f.commit({ timers: [fire] })
      assert.deepEqual(await dueIds(f, owner, 100), [])
      const conflict = await f.conflict({ timers: [fire] }, 'timer')
      assert.deepEqual([conflict.owner, conflict.id], [owner, 't'])
    },
  },
  {
    name: 'timers: of many that fire the same timer one wins',
    async run(f) {
      const owner = await scheduled(f, ['t', 10])
      const fire = { kind: 'fire', owner, id: 't', revision: await revision(f, owner, 't') } as const
      const outcomes = await Promise.all(Array.from({ length: 10 }, () => f.engine.commit({ timers: [fire] })))
      assert.equal(outcomes.filter(({ ok }) => ok).length, 1)
    },
  },
  {
    name: 'timers: what was replaced or cancelled since it was read does not fire',
    async run(f) {
      const owner = await scheduled(f, ['replaced', 10], ['cancelled', 10], ['again', 10])
      const fire = async (id: string) => ({ kind: 'fire', owner, id, revision: await revision(f, owner, id) }) as const
      const fires = [await fire('replaced'), await fire('cancelled'), await fire('again')]
      await f.commit({ timers: [schedule(owner, 'replaced', 10)] })
      await f.commit({
        timers: [
          { kind: 'cancel', owner, id: 'cancelled' },
          { kind: 'cancel', owner, id: 'again' },
        ],
      })
      await f.commit({ timers: [schedule(owner, 'again', 10)] })
      for (const one of fires) await f.conflict({ timers: [one] }, 'timer')
      assert.deepEqual((await dueIds(f, owner, 10)).sort(), ['again', 'replaced'])
    },
  },
  {
    name: 'timers: a timer that fires may schedule itself anew in the same batch',
    async run(f) {
      const owner = await scheduled(f, ['t', 10])
      const first = await revision(f, owner, 't')
      await f.commit({ timers: [{ kind: 'fire', owner, id: 't', revision: first }, schedule(owner, 't', 20)] })
      assert.deepEqual(await dueIds(f, owner, 19), [])
      assert.deepEqual(await dueIds(f, owner, 20), ['t'])
      await f.conflict({ timers: [{ kind: 'fire', owner, id: 't', revision: first }] }, 'timer')
    },
  },
  {
    name: 'timers: a timer cannot fire twice in one batch, nor after the batch cancelled it',
    async run(f) {
      const owner = await scheduled(f, ['t', 10])
      const fire = { kind: 'fire', owner, id: 't', revision: await revision(f, owner, 't') } as const
      await f.conflict({ timers: [fire, fire] }, 'timer')
      await f.conflict({ timers: [{ kind: 'cancel', owner, id: 't' }, fire] }, 'timer')
      await f.conflict({ timers: [schedule(owner, 't', 10), fire] }, 'timer')
      await f.commit({ timers: [fire] })
    },
  },
  {
    name: 'timers: writes of one batch are applied in their order',
    async run(f) {
      const owner = f.name('owner')
      await f.commit({
        timers: [
          schedule(owner, 'a', 1),
          schedule(owner, 'a', 2),
          { kind: 'cancel', owner, id: 'b' },
          schedule(owner, 'b', 3),
          schedule(owner, 'c', 4),
          { kind: 'cancel', owner, id: 'c' },
        ],
      })
      assert.deepEqual(
        (await f.engine.timers.due(owner, 100)).map(({ id, dueMs }) => [id, dueMs]),
        [
          ['a', 2],
          ['b', 3],
        ],
      )
    },
  },
  {
    name: 'timers: owners do not see each other',
    async run(f) {
      const [one, two] = [await scheduled(f, ['t', 10]), await scheduled(f, ['t', 20])]
      await f.commit({ timers: [{ kind: 'cancel', owner: one, id: 't' }] })
      assert.deepEqual([await dueIds(f, one, 100), await dueIds(f, two, 100)], [[], ['t']])
      const all = await f.engine.timers.list({ limit: 10_000 })
      assert.ok(all.some(({ owner }) => owner === two))
    },
  },
  {
    name: 'timers: names of prototype members are owners and ids like any other',
    async run(f) {
      for (const name of ['__proto__', 'constructor']) {
        await f.commit({ timers: [schedule(name, name, 10, { a: 1 })] })
        assert.deepEqual(
          (await f.engine.timers.due(name, 10)).map(({ id, payload }) => [id, payload]),
          [[name, { a: 1 }]],
        )
        await f.commit({ timers: [{ kind: 'cancel', owner: name, id: name }] })
        assert.equal(await f.engine.timers.nextDueMs(name), undefined)
      }
    },
  },
  {
    name: 'timers: who listens is told after each commit that scheduled one of its timers',
    async run(f) {
      const [owner, other] = [f.name('owner'), f.name('owner')]
      const told: number[] = []
      const stop = f.engine.timers.onScheduled(owner, (dueMs) => told.push(dueMs))
      await f.commit({ timers: [schedule(other, 't', 5)] })
      const stale = { kind: 'fire', owner, id: 'none', revision: 1 } as const
      await f.conflict({ timers: [schedule(owner, 't', 6), stale] }, 'timer')
      await f.commit({ timers: [schedule(owner, 't', 70)] })
      await f.eventually('the call', () => told.length > 0)
      assert.deepEqual(told, [70])
      stop()
      await f.commit({ timers: [schedule(owner, 't', 80)] })
      await f.commit({})
      assert.deepEqual(told, [70])
    },
  },
  {
    name: 'timers: times that are none are errors, and nothing is scheduled',
    async run(f) {
      const owner = f.name('owner')
      for (const dueMs of [
        Number.NaN,
        Number.POSITIVE_INFINITY,
        -1,
        '5' as unknown as number,
        null as unknown as number,
      ]) {
        await refuses(() => f.engine.commit({ timers: [schedule(owner, 'ok', 1), schedule(owner, 't', dueMs)] }))
      }
      await refuses(() => f.engine.commit({ timers: [schedule(owner, 't', 1, 10n)] }))
      await refuses(() => f.engine.commit({ timers: [{ kind: 'snooze', owner, id: 't' } as never] }))
      assert.deepEqual(await f.engine.timers.list({ owner }), [])
    },
  },
  {
    name: 'timers: they are there after a restart, with their revisions',
    requires: survivesClose,
    async run(f) {
      const owner = await scheduled(f, ['a', 10], ['b', 20], ['c', 30])
      await f.commit({ timers: [schedule(owner, 'b', 25, { p: 1 }), { kind: 'cancel', owner, id: 'c' }] })
      const before = await f.engine.timers.list({ owner })
      await f.reopen()
      assert.deepEqual(await f.engine.timers.list({ owner }), before)
      for (const { id, revision: one } of before)
        await f.commit({ timers: [{ kind: 'fire', owner, id, revision: one }] })
      assert.deepEqual(await f.engine.timers.list({ owner }), [])
    },
  },
  {
    name: 'timers: a revision of a timer from before a restart is never given again',
    requires: survivesClose,
    async run(f) {
      const owner = await scheduled(f, ['t', 10])
      const before = await revision(f, owner, 't')
      await f.commit({ timers: [{ kind: 'cancel', owner, id: 't' }] })
      await f.reopen()
      await f.commit({ timers: [schedule(owner, 't', 10)] })
      await f.conflict({ timers: [{ kind: 'fire', owner, id: 't', revision: before }] }, 'timer')
    },
  },
]
