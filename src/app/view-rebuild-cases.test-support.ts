import { describe, expect, it } from 'vitest'
import { type View, type ViewOptions, view } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import { clockAhead, Placed } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { type App, app, type RunningApp } from './index.ts'

interface Count {
  readonly placed: number
  readonly by?: number
}

/** Counts orders by key; each version says that it made the value. */
function counts(version: number, options: Partial<ViewOptions<readonly [typeof Placed], Count>> = {}): View<Count> {
  return view('counts', {
    events: [Placed],
    key: ({ data }) => `k${data.n % 3}`,
    initial: { placed: 0 },
    on: { Placed: ({ placed }) => ({ placed: placed + 1, ...(version > 1 && { by: version }) }) },
    version,
    ...options,
  })
}

const first = counts(1)
const second = counts(2, { rebuild: 'manual' })
const shopOf = (one: View<Count>): App => app('shop', { views: [one] })

async function place(running: RunningApp, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await running.publish(Placed({ id: `id${n}`, n }))
}

/** Views that are built anew beside the live one. */
export function testViewRebuild(ground: AppGround): void {
  /** Runs the first version and lets it take in some orders. */
  async function engineWithFirst(count = 9): Promise<Engine> {
    const engine = await ground.open()
    await using running = await shopOf(first).start({ engine })
    await place(running, count)
    await running.idle()
    return engine
  }

  const keptOf = (engine: Engine): Promise<readonly string[]> => engine.state.namespaces('view:')

  /** What is left when the time of grace is over. */
  async function removeGivenUp(engine: Engine, one: View<Count>): Promise<void> {
    await using running = await shopOf(one).start({ engine, clock: clockAhead() })
    while ((await engine.state.namespaces('dropped-views')).length > 0) await running.idle()
  }

  describe('a new version of a view', () => {
    it('is built beside the live one, which serves reads until the swap', async () => {
      await using engine = await engineWithFirst()
      await using running = await shopOf(second).start({ engine })
      await running.idle()
      const reader = running.view(second)
      expect(await reader.get('k1')).toEqual({ placed: 3 })
      expect(await reader.copies.status()).toMatchObject({
        live: { copy: 'v1', eventsBehind: 0, memberCount: 0 },
        next: { copy: 'v2', eventsDone: 9, eventsTotal: 9, eventsBehind: 0, swap: 'manual' },
        previous: null,
      })
      await reader.copies.swap()
      expect(await reader.get('k1')).toEqual({ placed: 3, by: 2 })
      expect(await reader.copies.status()).toMatchObject({ live: { copy: 'v2' }, previous: { copy: 'v1' }, next: null })
      await place(running, 3)
      await running.idle()
      expect(await reader.get('k1')).toEqual({ placed: 4, by: 2 })
    })

    it('takes its place by itself as soon as it has caught up', async () => {
      await using engine = await engineWithFirst()
      const declared = counts(2)
      await using running = await shopOf(declared).start({ engine })
      await running.idle()
      expect(await running.view(declared).get('k1')).toEqual({ placed: 3, by: 2 })
    })

    it('waits for programs of the version before it, which go on with theirs', async () => {
      await using engine = await engineWithFirst()
      const old = await shopOf(first).start({ engine })
      const declared = counts(2)
      await using running = await shopOf(declared).start({ engine })
      await place(running, 9)
      await Promise.all([old.idle(), running.idle()])
      expect(await running.view(declared).get('k1')).toEqual({ placed: 6 })
      expect(await old.view(first).get('k1')).toEqual({ placed: 6 })
      expect((await running.view(declared).copies.status()).next).toMatchObject({ copy: 'v2', eventsBehind: 0 })
      const watching = new AbortController()
      const moved = running.view(declared).watch({ key: 'k1', signal: watching.signal })
      const next = moved[Symbol.asyncIterator]().next()
      await old.stop()
      await running.idle()
      // A watcher goes over to the copy that is live, and is told what it holds.
      expect((await next).value).toEqual({ key: 'k1', value: { placed: 6, by: 2 } })
      watching.abort()
    })

    it('tells a watcher that takes its time what changes after the swap', async () => {
      await using engine = await engineWithFirst()
      await using running = await shopOf(first).start({ engine })
      await running.idle()
      const over = new AbortController()
      const watching = running.view(first).watch({ key: 'k1', signal: over.signal })[Symbol.asyncIterator]()
      const told = watching.next()
      await place(running, 3)
      await running.idle()
      expect((await told).value).toEqual({ key: 'k1', value: { placed: 4 } })
      // Nobody asks for the next change while another copy becomes the live one, and changes.
      await running.view(first).rebuild()
      await running.idle()
      while ((await running.view(first).copies.status()).next !== null) await running.idle()
      await place(running, 3)
      await running.idle()
      expect((await watching.next()).value).toEqual({ key: 'k1', value: { placed: 5 } })
      over.abort()
    })

    it('is shown to programs of the version before it as they say', async () => {
      await using engine = await engineWithFirst()
      const old = counts(1, {
        adapt: (value, version) => ({ placed: (value as { placed: number }).placed * 100 + version }),
      })
      await using oldRunning = await shopOf(old).start({ engine })
      await using running = await shopOf(second).start({ engine })
      await running.idle()
      expect(await oldRunning.view(old).get('k1')).toEqual({ placed: 3 })
      await running.view(second).copies.swap()
      const followed = async (): Promise<boolean> => (await oldRunning.view(old).get('k1'))?.placed === 302
      while (!(await followed())) await oldRunning.idle()
      expect(await oldRunning.view(old).range({ limit: 1 })).toEqual([{ key: 'k0', value: { placed: 302 } }])
    })

    it('gives up the copy before the previous one with all that was kept of it', async () => {
      await using engine = await engineWithFirst()
      for (const version of [2, 3]) {
        await using running = await shopOf(counts(version)).start({ engine })
        await running.idle()
      }
      await removeGivenUp(engine, counts(3))
      expect(await engine.groups.list()).toEqual(['shop.view:counts.v2', 'shop.view:counts.v3'])
      const kept = await engine.state.namespaces('')
      // Where topics are kept elsewhere, progress is state, too.
      expect(kept.filter((one) => !/^progress:.*\.v[23]$/.test(one))).toEqual([
        'chain:shop.view:counts.v2',
        'chain:shop.view:counts.v3',
        'view:shop.counts:v2',
        'view:shop.counts:v3',
        'views',
      ])
    })

    it('replaces a build of a version that was not finished', async () => {
      await using engine = await engineWithFirst()
      {
        await using running = await shopOf(second).start({ engine })
        await running.idle()
      }
      const third = counts(3, { rebuild: 'manual' })
      await using running = await shopOf(third).start({ engine })
      await running.idle()
      expect(await running.view(third).copies.status()).toMatchObject({ live: { copy: 'v1' }, next: { copy: 'v3' } })
      await running.stop()
      await removeGivenUp(engine, third)
      expect(await keptOf(engine)).toEqual(['view:shop.counts:v1', 'view:shop.counts:v3'])
    })

    it('is not swapped in by itself while there are events that it cannot take', async () => {
      await using engine = await engineWithFirst()
      const failing = counts(2, {
        on: {
          Placed: ({ placed }) => {
            if (placed === 1) throw new Error('no')
            return { placed: placed + 1 }
          },
        },
      })
      await using running = await shopOf(failing).start({ engine })
      const { copies } = running.view(failing)
      while (((await copies.status()).next?.eventsBehind ?? 1) > 0) await running.deadLetters.count()
      await running.idle()
      expect(await copies.status()).toMatchObject({ live: { copy: 'v1' }, next: { deadLetterCount: 3 } })
      await copies.drop('next')
      await running.stop()
      await removeGivenUp(engine, first)
      expect(await engine.state.count('dead-letters:shop')).toBe(0)
      expect(await keptOf(engine)).toEqual(['view:shop.counts:v1'])
    })
  })

  describe('a rebuild of the same version', () => {
    it('repairs what was damaged while the damaged copy is read', async () => {
      await using engine = await engineWithFirst()
      const namespace = 'view:shop.counts:v1'
      await engine.commit({ state: [{ kind: 'set', namespace, key: 'k1', value: { placed: 999 } }] })
      await using running = await shopOf(first).start({ engine })
      const reader = running.view(first)
      await reader.rebuild({ swap: 'manual' })
      await expect(reader.rebuild()).rejects.toMatchObject({ code: 'VIEW_BUILD_UNDER_WAY', details: { copy: 'v1.2' } })
      await running.idle()
      expect(await reader.get('k1')).toEqual({ placed: 999 })
      expect(await reader.copies.difference()).toEqual({
        copies: { live: 'v1', other: 'v1.2' },
        sameCount: 2,
        differingCount: 1,
        onlyLiveCount: 0,
        onlyOtherCount: 0,
        first: [{ key: 'k1', live: { placed: 999 }, other: { placed: 3 } }],
      })
      await reader.copies.swap()
      expect(await reader.get('k1')).toEqual({ placed: 3 })
      await place(running, 3)
      await running.idle()
      // Both are kept up to date, since this program has the functions of both.
      expect((await reader.copies.difference({ to: 'previous' })).first).toEqual([
        { key: 'k1', live: { placed: 4 }, other: { placed: 1000 } },
      ])
      await reader.copies.drop('previous')
      await expect(reader.copies.rollBack()).rejects.toMatchObject({ code: 'VIEW_PREVIOUS_MISSING' })
      await running.stop()
      await removeGivenUp(engine, first)
      expect(await keptOf(engine)).toEqual(['view:shop.counts:v1.2'])
    })

    it('is shared by the starts of the app', async () => {
      await using engine = await engineWithFirst(60)
      await using running = await shopOf(first).start({ engine })
      await using other = await shopOf(first).start({ engine })
      await running.view(first).rebuild()
      await Promise.all([running.idle(), other.idle()])
      for (const one of [running, other]) {
        while ((await one.view(first).copies.status()).live.copy === 'v1') await one.idle()
        expect(await one.view(first).get('k2')).toEqual({ placed: 20 })
      }
    })
  })

  describe('the operations on copies', () => {
    it('roll back to a copy that is up to date, or that is behind with leave', async () => {
      await using engine = await engineWithFirst()
      {
        await using running = await shopOf(second).start({ engine })
        await running.idle()
        const { copies } = running.view(second)
        await copies.swap()
        await copies.rollBack()
        expect(await running.view(second).get('k1')).toEqual({ placed: 3 })
        await copies.rollBack()
        await place(running, 3)
        await running.idle()
        await expect(copies.rollBack()).rejects.toMatchObject({
          code: 'VIEW_BEHIND',
          remedy: expect.stringContaining('behind: "accept"'),
          details: { copy: 'v1', eventsBehind: 3, operation: 'roll-back', paused: false, isRun: false },
        })
        expect(await running.view(second).get('k1')).toEqual({ placed: 4, by: 2 })
        await copies.rollBack({ behind: 'accept' })
        expect(await running.view(second).get('k1')).toEqual({ placed: 3 })
      }
      // Who declares the version that was rolled back from does not bring it back by starting.
      {
        await using running = await shopOf(counts(2)).start({ engine })
        await running.idle()
        expect(await running.view(counts(2)).get('k1')).toEqual({ placed: 3 })
      }
      await using running = await shopOf(first).start({ engine })
      await running.idle()
      expect(await running.view(first).get('k1')).toEqual({ placed: 4 })
      expect(await running.view(first).copies.status()).toMatchObject({
        live: { copy: 'v1' },
        previous: { copy: 'v2' },
      })
    })

    it('refuse what makes no sense, each with its code', async () => {
      await using engine = await engineWithFirst()
      await using running = await shopOf(first).start({ engine })
      const { copies } = running.view(first)
      for (const refused of [
        () => copies.swap(),
        () => copies.pause(),
        () => copies.resume(),
        () => copies.setCanary(0.5),
        () => copies.difference(),
      ]) {
        await expect(refused()).rejects.toMatchObject({ code: 'VIEW_BUILD_MISSING' })
      }
      await expect(copies.setPace(0)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
      await expect(copies.setCanary(1.5)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
      await expect(copies.drop('previous')).rejects.toMatchObject({ code: 'VIEW_PREVIOUS_MISSING' })
      await expect(running.view(first).rebuild({ eventsPerSecond: -1 })).rejects.toMatchObject({
        code: 'OPTIONS_INVALID',
      })
    })

    it('do not let a program build below the version that is live', async () => {
      await using engine = await engineWithFirst()
      {
        await using running = await shopOf(counts(2)).start({ engine })
        await running.idle()
      }
      await using running = await shopOf(first).start({ engine })
      await expect(running.view(first).rebuild()).rejects.toMatchObject({ code: 'VIEW_VERSION_DOWN' })
      expect(await running.view(first).get('k1')).toEqual({ placed: 3, by: 2 })
    })

    it('are not swapped in if they could not take all events, unless that is accepted', async () => {
      await using engine = await engineWithFirst()
      const broken = counts(2, {
        rebuild: 'manual',
        on: {
          Placed: () => {
            throw new Error('broken')
          },
        },
      })
      await using running = await shopOf(broken).start({ engine })
      await running.idle()
      const { copies } = running.view(broken)
      await expect(copies.swap()).rejects.toMatchObject({ code: 'VIEW_DEAD_LETTERS', details: { copy: 'v2' } })
      expect((await copies.status()).live.copy).toBe('v1')
      await expect(copies.drop('live' as 'next')).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
      await copies.swap({ deadLetters: 'accept' })
      expect((await copies.status()).live.copy).toBe('v2')
    })

    it('pause a build, which nobody goes on with until it is resumed', async () => {
      await using engine = await engineWithFirst()
      {
        await using running = await shopOf(second).start({ engine })
        await running.idle()
        await running.view(second).copies.pause()
        await place(running, 6)
        await running.idle()
        await expect(running.view(second).copies.swap()).rejects.toMatchObject({
          code: 'VIEW_BEHIND',
          message: expect.stringContaining('its build is paused'),
          remedy: expect.stringContaining('resume()'),
          details: { eventsBehind: 6, operation: 'swap', paused: true, isRun: false },
        })
      }
      await using running = await shopOf(second).start({ engine })
      await running.idle()
      const { copies } = running.view(second)
      expect((await copies.status()).next).toMatchObject({ paused: true, eventsBehind: 6, memberCount: 0 })
      await copies.resume()
      await running.idle()
      await copies.swap()
      expect(await running.view(second).get('k1')).toEqual({ placed: 5, by: 2 })
    })

    it('read a share of the keys from the build, always the same ones, and count what differs', async () => {
      await using engine = await ground.open()
      const perId = (version: number): View<Count> => counts(version, { rebuild: 'manual', key: ({ data }) => data.id })
      {
        await using running = await shopOf(perId(1)).start({ engine })
        await place(running, 100)
        await running.idle()
      }
      const declared = perId(2)
      await using running = await shopOf(declared).start({ engine })
      await running.idle()
      const reader = running.view(declared)
      const fromBuild = async (): Promise<readonly string[]> => {
        const found: string[] = []
        for (let n = 0; n < 100; n++) if ((await reader.get(`id${n}`))?.by === 2) found.push(`id${n}`)
        return found
      }
      expect(await fromBuild()).toEqual([])
      await reader.copies.setCanary(0.3)
      const share = await fromBuild()
      expect(share.length).toBeGreaterThan(10)
      expect(share.length).toBeLessThan(60)
      expect(await fromBuild()).toEqual(share)
      expect((await reader.copies.status()).canary).toEqual({
        share: 0.3,
        readCount: share.length * 2,
        differingCount: share.length * 2,
      })
      await reader.copies.setCanary(1)
      expect(await fromBuild()).toHaveLength(100)
      await reader.copies.setCanary(0)
      expect(await fromBuild()).toEqual([])
    })
  })
}
