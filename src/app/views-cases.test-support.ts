import { describe, expect, it } from 'vitest'
import { view } from '../domain/index.ts'
import { Paid, Placed } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, type RunningApp } from './index.ts'

const totals = view('totals', {
  events: [Placed, Paid],
  key: (event) => (event.data.n < 0 ? undefined : `k${event.data.n % 3}`),
  initial: { placed: 0, paid: 0 },
  on: {
    Placed: (state) => ({ ...state, placed: state.placed + 1 }),
    Paid: (state) => (state.paid === 2 ? undefined : { ...state, paid: state.paid + 1 }),
  },
})

const shop = app('test', { views: [totals] })

async function publishTwelve(running: RunningApp): Promise<void> {
  for (let n = 0; n < 12; n++) await running.publish(Placed({ id: `id${n}`, n }))
  await running.publish(Placed({ id: 'skipped', n: -1 }))
}

/** Views that follow topics. */
export function testViews(ground: AppGround): void {
  describe('views', () => {
    it('are built once by each event, and can be read by key, page and list', async () => {
      await using engine = await ground.open()
      await using running = await shop.start({ engine })
      await publishTwelve(running)
      await running.idle()
      const reader = running.view(totals)
      expect(await reader.get('k1')).toEqual({ placed: 4, paid: 0 })
      expect(await reader.get('none')).toBeUndefined()
      expect(await reader.range({ limit: 2 })).toEqual([
        { key: 'k0', value: { placed: 4, paid: 0 } },
        { key: 'k1', value: { placed: 4, paid: 0 } },
      ])
      const listed: string[] = []
      for await (const { key } of reader.list({ reverse: true })) listed.push(key)
      expect(listed).toEqual(['k2', 'k1', 'k0'])
      for (let n = 0; n < 3; n++) await running.publish(Paid({ id: 'a', n: 0 }))
      await running.idle()
      expect(await reader.get('k0')).toBeUndefined()
      expect(await reader.count()).toBe(2)
    })

    it.each([
      ['wait behind an event on which it throws', undefined, 1, 3],
      ['pass an event on which it throws, where it says so', 'continue', 2, 3],
    ] as const)('%s', async (_what, onDeadLetter, before, after) => {
      await using engine = await ground.open()
      let isMended = false
      const fragile = view('fragile', {
        events: [Placed],
        key: (event) => event.data.id,
        initial: 0,
        on: {
          Placed: (count, { data }) => {
            if (data.n === 2 && !isMended) throw new RangeError('two is too much')
            return count + 1
          },
        },
        ...(onDeadLetter !== undefined && { onDeadLetter }),
      })
      await using running = await app('test', { views: [fragile] }).start({ engine })
      await running.publish([1, 2, 3].flatMap((n) => [Placed({ id: 'a', n }), Placed({ id: 'b', n: 10 + n })]))
      await running.idle()
      const reader = running.view(fragile)
      expect([await reader.get('a'), await reader.get('b')]).toEqual([before, 3])
      const letters = await running.deadLetters.list()
      // No second attempt: the functions of a view are pure.
      expect(letters.map(({ attempts, error }) => [attempts, error.message])).toEqual([[1, 'two is too much']])
      isMended = true
      await running.deadLetters.redrive('all')
      await running.idle()
      expect([await reader.get('a'), await running.deadLetters.count()]).toEqual([after, 0])
    })

    it('can be watched', async () => {
      await using engine = await ground.open()
      await using running = await shop.start({ engine })
      const abort = new AbortController()
      const watching = running.view(totals).watch({ key: 'k0', signal: abort.signal })[Symbol.asyncIterator]()
      const next = watching.next()
      await running.publish([Placed({ id: 'a', n: 1 }), Placed({ id: 'a', n: 0 })])
      expect((await next).value).toEqual({ key: 'k0', value: { placed: 1, paid: 0 } })
      abort.abort()
      expect((await watching.next()).done).toBe(true)
    })

    it('tell whoever watches all that changes from the call on, also before he looks', async () => {
      await using engine = await ground.open()
      await using running = await shop.start({ engine })
      const { signal } = new AbortController()
      const watching = running.view(totals).watch({ signal })
      await running.publish(Placed({ id: 'a', n: 1 }))
      await running.idle()
      for await (const { key } of watching) {
        expect(key).toBe('k1')
        break
      }
      expect(() => running.view(totals).watch({} as never)).toThrow(
        expect.objectContaining({ code: 'ARGUMENT_INVALID' }),
      )
    })

    it('end what watches them when the app stops', async () => {
      await using engine = await ground.open()
      const running = await shop.start({ engine })
      const { signal } = new AbortController()
      const watching = running.view(totals).watch({ signal })[Symbol.asyncIterator]()
      const next = watching.next()
      await running.publish(Placed({ id: 'a', n: 1 }))
      expect((await next).done).toBe(false)
      const [end] = await Promise.allSettled([watching.next(), running.stop()])
      expect(end).toMatchObject({ status: 'rejected', reason: { code: 'APP_STOPPED' } })
    })

    it('are rebuilt from zero, exactly once', async () => {
      await using engine = await ground.open()
      await using running = await shop.start({ engine })
      await publishTwelve(running)
      await running.idle()
      await engine.commit({
        state: [{ kind: 'set', namespace: 'view:test.totals:v1', key: 'k0', value: { placed: 999, paid: 0 } }],
      })
      await running.view(totals).rebuild()
      await running.idle()
      expect(await running.view(totals).range()).toEqual(
        ['k0', 'k1', 'k2'].map((key) => ({ key, value: { placed: 4, paid: 0 } })),
      )
    })

    it('are rebuilt to nothing where no event counts, and are then not behind', async () => {
      await using engine = await ground.open()
      await using running = await shop.start({ engine })
      for (let n = 1; n <= 5; n++) await running.publish(Placed({ id: `id${n}`, n: -n }))
      await running.idle()
      await engine.commit({
        state: [{ kind: 'set', namespace: 'view:test.totals:v1', key: 'k0', value: { placed: 999, paid: 0 } }],
      })
      const reader = running.view(totals)
      expect(await reader.range()).toHaveLength(1)
      await reader.rebuild()
      await running.idle()
      expect(await reader.range()).toEqual([])
      expect(await reader.copies.status()).toMatchObject({ live: { eventsBehind: 0 }, next: null })
      await running.publish(Placed({ id: 'counts', n: 1 }))
      await running.idle()
      expect(await reader.range()).toEqual([{ key: 'k1', value: { placed: 1, paid: 0 } }])
    })

    it('must be those of the app', async () => {
      await using engine = await ground.open()
      await using running = await shop.start({ engine })
      const foreign = view('foreign', { events: [Paid], key: (e) => e.data.id, initial: 0, on: { Paid: (n) => n + 1 } })
      expect(() => running.view(foreign)).toThrow(expect.objectContaining({ code: 'VIEW_UNKNOWN' }))
    })

    it('name all that is wrong with their declaration', () => {
      const wrong = { events: [Placed], initial: 0, on: { Paid: () => 0 }, version: 0 } as never
      expect(() => view('wrong', wrong)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }))
      const mistyped = {
        events: [Placed],
        key: () => 'k',
        initial: 0,
        on: { Placed: () => 0 },
        onDeadletter: 'skip',
      } as never
      expect(() => view('mistyped', mistyped)).toThrow('onDeadletter is no option')
      expect(() => view('wrong', wrong)).toThrow(/version .*key .*on\.Placed .*on\.Paid/)
    })
  })
}
