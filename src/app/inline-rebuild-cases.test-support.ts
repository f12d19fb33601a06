import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { accountDecider, Deposit, Deposited, Open } from '../domain/account.test-support.ts'
import { type View, type ViewOptions, view } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import { engineWith } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { type App, app, type RunningApp, service } from './index.ts'

interface Sum {
  readonly count: number
  readonly by?: number
}

function sums(version: number, options: Partial<ViewOptions<readonly [typeof Deposited], Sum>> = {}): View<Sum> {
  return view('sums', {
    events: [Deposited],
    key: ({ data }) => data.id,
    initial: { count: 0 },
    on: { Deposited: ({ count }) => ({ count: count + 1, ...(version > 1 && { by: version }) }) },
    inline: true,
    version,
    ...options,
  })
}

const services = [service('accounts', [accountDecider()])]
const bankOf = (one: View<Sum>): App => app('bank', { services, views: [one] })

async function deposit(running: RunningApp, count: number, id = 'a'): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => running.ask(Deposit({ id, amount: 1 }))))
}

/** Inline views that are built anew. */
export function testInlineRebuild(ground: AppGround): void {
  async function engineWithFirst(count = 20): Promise<Engine> {
    const engine = await ground.open()
    await using running = await bankOf(sums(1)).start({ engine })
    for (const id of ['a', 'b']) await running.ask(Open({ id }))
    await deposit(running, count)
    return engine
  }

  describe('a new version of an inline view', () => {
    it('is built beside the live one, and written by commits from the swap on', async () => {
      await using engine = await engineWithFirst()
      const second = sums(2, { rebuild: 'manual' })
      await using running = await bankOf(second).start({ engine })
      const reader = running.view(second)
      expect(await reader.get('a')).toEqual({ count: 20 })
      await reader.copies.swap()
      expect(await reader.get('a')).toEqual({ count: 20, by: 2 })
      await deposit(running, 5)
      expect(await reader.get('a')).toEqual({ count: 25, by: 2 })
      expect(await reader.copies.status()).toMatchObject({
        live: { copy: 'v2', inline: true, eventsBehind: 0 },
        previous: { copy: 'v1' },
        next: null,
      })
    })

    it('has caught up where nothing is left to do, also if it is swapped in by hand', async () => {
      await using engine = await engineWithFirst(200)
      const second = sums(2, { rebuild: 'manual' })
      await using running = await bankOf(second).start({ engine })
      await running.idle()
      const { copies } = running.view(second)
      expect((await copies.status()).next).toMatchObject({ copy: 'v2', eventsBehind: 0 })
      expect(await copies.difference()).toMatchObject({ differingCount: 1, onlyLiveCount: 0 })
    })

    it('takes commands meanwhile, of which the copy that was live tells how many it lacks', async () => {
      await using engine = await engineWithFirst()
      const second = sums(2, { rebuild: 'manual' })
      await using running = await bankOf(second).start({ engine })
      await deposit(running, 3)
      const { copies } = running.view(second)
      expect((await copies.status()).live).toMatchObject({ copy: 'v1', eventsBehind: 3 })
      const outcome = await running.ask(Deposit({ id: 'b', amount: 1 }))
      const waited = running.view(second).waitFor(outcome)
      await copies.swap()
      await waited
      expect(await running.view(second).get('b')).toEqual({ count: 1, by: 2 })
      // Nobody who knows version 1 is at work: to wait would not help.
      await expect(copies.rollBack({ timeout: '50ms' })).rejects.toMatchObject({
        code: 'VIEW_BEHIND',
        message: expect.stringContaining('or accept that reads go back in time'),
      })
      await copies.rollBack({ behind: 'accept' })
      expect(await running.view(second).get('a')).toEqual({ count: 20 })
      await running.stop()
      await using old = await bankOf(sums(1)).start({ engine })
      expect(await old.view(sums(1)).get('a')).toEqual({ count: 23 })
      await deposit(old, 1)
      expect(await old.view(sums(1)).get('a')).toEqual({ count: 24 })
    })

    it('is swapped in by itself, and stays exact while a program of the version before it goes on', async () => {
      await using engine = await engineWithFirst()
      await using old = await bankOf(sums(1)).start({ engine: engineWith(engine, 'state', {}) })
      const second = sums(2)
      await using running = await bankOf(second).start({ engine })
      for (let round = 0; round < 10; round++) await Promise.all([deposit(old, 5, 'b'), deposit(running, 5, 'b')])
      await running.idle()
      await running.view(second).waitFor(await running.ask(Deposit({ id: 'b', amount: 1 })))
      expect(await running.view(second).get('b')).toEqual({ count: 101, by: 2 })
      expect((await running.view(second).copies.status()).live.copy).toBe('v2')
      await old.stop()
      await deposit(running, 9, 'b')
      await running.view(second).waitFor(await running.ask(Deposit({ id: 'b', amount: 1 })))
      expect(await running.view(second).get('b')).toEqual({ count: 111, by: 2 })
    })

    it('says why it cannot be built until it can, and leaves the live one alone', async () => {
      await using engine = await engineWithFirst()
      let isMended = false
      const failing = sums(2, {
        rebuild: 'manual',
        on: {
          Deposited: ({ count }) => {
            if (count === 7 && !isMended) throw new Error('no eighth')
            return { count: count + 1, by: 2 }
          },
        },
      })
      await using running = await bankOf(failing).start({ engine })
      const { copies } = running.view(failing)
      while ((await copies.status()).next?.paused !== true) await running.idle()
      expect((await copies.status()).next).toMatchObject({ problem: expect.stringContaining('no eighth') })
      expect(await running.view(failing).get('a')).toEqual({ count: 20 })
      await deposit(running, 1, 'b')
      // Resumed without a remedy it fails once more, and says so once more.
      await copies.resume()
      while ((await copies.status()).next?.paused !== true) await running.idle()
      expect((await copies.status()).next).toMatchObject({ problem: expect.stringContaining('no eighth') })
      isMended = true
      await copies.resume()
      while (((await copies.status()).next?.eventsBehind ?? 1) > 0) await running.idle()
      expect((await copies.status()).next).toMatchObject({ paused: false, problem: null })
      await copies.swap()
      expect(await running.view(failing).get('a')).toEqual({ count: 20, by: 2 })
    })
  })

  describe('an event that the functions of the live copy cannot take', () => {
    const knowing = (version: number): View<Sum> =>
      sums(version, {
        rebuild: 'manual',
        on: {
          Deposited: ({ count }, { data }) => {
            if (version === 1 && data.amount === 13) throw new Error('no thirteen')
            return { count: count + 1, by: version }
          },
        },
      })

    it('stops that copy, and neither the program that follows it nor its next start', async () => {
      await using engine = await ground.open()
      const elsewhere = engineWith(engine, 'state', {})
      const [first, second] = [knowing(1), knowing(2)]
      const old = await bankOf(first).start({ engine: elsewhere })
      await old.ask(Open({ id: 'a' }))
      await deposit(old, 1)
      await using running = await bankOf(second).start({ engine })
      await running.ask(Deposit({ id: 'a', amount: 13 }))
      const { copies } = running.view(second)
      while ((await copies.status()).live.problem === null) await running.idle()
      expect((await copies.status()).live).toMatchObject({
        copy: 'v1',
        eventsBehind: 1,
        problem: expect.stringContaining('no thirteen'),
      })
      expect((await old.ask(Deposit({ id: 'a', amount: 1 }))).kind).toBe('accepted')
      await old.stop()
      {
        await using again = await bankOf(first).start({ engine: elsewhere })
        expect((await again.ask(Deposit({ id: 'a', amount: 1 }))).kind).toBe('accepted')
        expect(await again.view(first).get('a')).toEqual({ count: 1, by: 1 })
      }
      await copies.swap()
      expect((await copies.status()).live).toMatchObject({ copy: 'v2', problem: null })
      expect(await running.view(second).get('a')).toEqual({ count: 4, by: 2 })
      expect((await copies.status()).previous).toMatchObject({ problem: expect.stringContaining('no thirteen') })
    })
  })

  describe('an inline view that a new program of the app adds', () => {
    const following = view('other', {
      events: [Deposited],
      key: ({ data }) => data.id,
      initial: 0,
      on: { Deposited: (count) => count + 1 },
    })
    for (const [before, views] of [
      ['a following view only', [following]],
      ['no view at all', []],
    ] as const) {
      it(`misses nothing of a program that had ${before} and has appended already`, async () => {
        await using engine = await ground.open()
        await using old = await app('bank', { services, views }).start({ engine })
        await old.ask(Open({ id: 'a' }))
        await deposit(old, 3)
        const added = sums(1)
        await using running = await app('bank', { services, views: [...views, added] }).start({ engine })
        await deposit(old, 5)
        await running.view(added).waitFor(await old.ask(Deposit({ id: 'a', amount: 1 })))
        expect(await running.view(added).get('a')).toEqual({ count: 9 })
      })
    }
  })

  describe('a rebuild of the same inline version', () => {
    it('repairs what was damaged while commands go on', async () => {
      await using engine = await engineWithFirst()
      const namespace = 'view:bank.sums:v1'
      await engine.commit({ state: [{ kind: 'set', namespace, key: 'a', value: { count: 999 } }] })
      const first = sums(1)
      await using running = await bankOf(first).start({ engine })
      let isOver = false
      const load = (async () => {
        while (!isOver) await deposit(running, 10, 'b')
      })()
      await running.view(first).rebuild()
      while ((await running.view(first).copies.status()).live.copy === 'v1') await deposit(running, 1, 'a')
      isOver = true
      await load
      const counted: Record<string, number> = { a: 0, b: 0 }
      for await (const { message } of engine.events.readAll({ query: { items: [{ types: ['Deposited'] }] } })) {
        const { id } = message.data as { readonly id: string }
        counted[id] = (counted[id] ?? 0) + 1
      }
      expect(await running.view(first).range()).toEqual(
        Object.entries(counted).map(([key, count]) => ({ key, value: { count } })),
      )
    })

    it('goes over from a view that follows its topics to an inline one', async () => {
      await using engine = await engineWithFirst()
      const following = sums(2, { inline: false })
      {
        await using running = await bankOf(following).start({ engine })
        await running.idle()
        expect(await running.view(following).get('a')).toEqual({ count: 20, by: 2 })
        await deposit(running, 5)
        await running.idle()
        expect(await running.view(following).get('a')).toEqual({ count: 25, by: 2 })
      }
      const inline = sums(3)
      await using running = await bankOf(inline).start({ engine })
      await running.idle()
      await deposit(running, 5)
      expect(await running.view(inline).get('a')).toEqual({ count: 30, by: 3 })
    })

    it('goes over to the other way of writing and back under one version, also after a rebuild', async () => {
      await using engine = await engineWithFirst()
      let count = 20
      for (const inline of [false, true, true, false, false, true]) {
        const own = sums(2, { inline })
        await using running = await bankOf(own).start({ engine })
        await running.idle()
        await deposit(running, 4)
        const asked = await running.ask(Deposit({ id: 'a', amount: 1 }))
        count += 5
        await running.view(own).waitFor(asked, { signal: AbortSignal.timeout(20_000) })
        expect(await running.view(own).get('a')).toEqual({ count, by: 2 })
        expect((await running.view(own).copies.status()).live.inline).toBe(inline)
        await running.view(own).rebuild()
        await running.idle()
        expect(await running.view(own).get('a')).toEqual({ count, by: 2 })
      }
    })
  })

  it('an inline view that is rebuilt while commands come equals the fold of all events', {
    timeout: 120_000,
  }, async () => {
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          kind: fc.constant('ask' as const),
          who: fc.nat(1),
          id: fc.nat(4),
          count: fc.integer({ min: 1, max: 12 }),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constantFrom('rebuild' as const, 'upgrade' as const, 'wait' as const),
          who: fc.nat(1),
        }),
      },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 20 }), async (steps) => {
        await using engine = await ground.open()
        const elsewhere = engineWith(engine, 'state', {})
        const start = (version: number, who: number): Promise<RunningApp> =>
          bankOf(sums(version)).start({ engine: who === 0 ? engine : elsewhere })
        const at = [
          { version: 1, running: await start(1, 0) },
          { version: 1, running: await start(1, 1) },
        ]
        for (let id = 0; id < 5; id++) await at[0]?.running.ask(Open({ id: `k${id}` }))
        const expected = new Map<string, number>()
        const work: Promise<unknown>[] = []
        for (const one of steps) {
          const here = at[one.who] as { version: number; running: RunningApp }
          if (one.kind === 'ask') {
            const key = `k${one.id}`
            expected.set(key, (expected.get(key) ?? 0) + one.count)
            work.push(deposit(here.running, one.count, key))
          } else if (one.kind === 'rebuild') {
            work.push(
              here.running
                .view(sums(here.version))
                .rebuild()
                .catch((error: { readonly code?: string }) => {
                  if (!['VIEW_BUILD_UNDER_WAY', 'VIEW_VERSION_DOWN'].includes(error.code ?? '')) throw error
                }),
            )
          } else if (one.kind === 'upgrade') {
            await Promise.all(work.splice(0))
            await here.running.stop()
            here.version++
            here.running = await start(here.version, one.who)
          } else await Promise.all(work.splice(0))
        }
        await Promise.all(work)
        const newest = at.reduce((a, b) => (a.version >= b.version ? a : b))
        const declared = sums(newest.version)
        for (const one of at) if (one !== newest) await one.running.stop()
        await newest.running.idle()
        const { copies } = newest.running.view(declared)
        while ((await copies.status()).next !== null) await newest.running.idle()
        await newest.running.view(declared).waitFor(await newest.running.ask(Deposit({ id: 'k0', amount: 1 })))
        expected.set('k0', (expected.get('k0') ?? 0) + 1)
        const found = new Map<string, number>()
        for await (const { key, value } of newest.running.view(declared).list()) found.set(key, value.count)
        expect(found).toEqual(expected)
        await newest.running.stop()
      }),
      { numRuns: ground.runs(20) },
    )
  })
}
