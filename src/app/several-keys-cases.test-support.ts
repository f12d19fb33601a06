import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type View, view } from '../domain/index.ts'
import type { Message } from '../message/index.ts'
import { type Item, Placed } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app } from './index.ts'

/** The numbers of the orders that count under a key, in their order: an id names the keys, such as `a+b`. */
export function numbersView(fails: (n: number, key: string) => boolean = () => false): View<readonly number[]> {
  return view('numbers', {
    events: [Placed],
    key: ({ data }) => data.id.split('+').filter((key) => key !== 'none'),
    initial: [] as readonly number[],
    on: {
      Placed: (numbers, { data }, key) => {
        if (fails(data.n, key)) throw new RangeError(`not ${data.n} under ${key}`)
        return [...numbers, data.n]
      },
    },
  })
}

/** What a view of numbers is to hold. */
export function numbersOf(orders: readonly Item[]): Readonly<Record<string, readonly number[]>> {
  const found: Record<string, number[]> = {}
  for (const { id, n } of orders) {
    for (const key of new Set(id.split('+'))) {
      if (key === 'none') continue
      found[key] ??= []
      found[key]?.push(n)
    }
  }
  return found
}

/** Events that count under several keys. */
export function testSeveralKeys(ground: AppGround): void {
  const ordersOf = (ids: readonly string[]): Message[] => ids.map((id, n) => Placed({ id, n }))

  describe('a view whose events count under several keys', () => {
    it('counts each once under each of them, and is told the key', async () => {
      await using engine = await ground.open()
      await engine.topics.ensure('orders', { partitions: 1 })
      const numbers = numbersView()
      await using running = await app('test', { views: [numbers] }).start({ engine })
      await running.publish(ordersOf(['a+b', 'b+c+b', 'none', 'a', 'c+a']))
      await running.idle()
      const entries = await running.view(numbers).range()
      expect(Object.fromEntries(entries.map(({ key, value }) => [key, value]))).toEqual({
        a: [0, 3, 4],
        b: [0, 1],
        c: [1, 4],
      })
    })

    it('makes an event a dead letter of the key under which it fails, and counts it under the others', async () => {
      await using engine = await ground.open()
      await engine.topics.ensure('orders', { partitions: 1 })
      let isMended = false
      const numbers = numbersView((n, key) => !isMended && n === 1 && key !== 'b')
      await using running = await app('test', { views: [numbers] }).start({ engine })
      const reader = running.view(numbers)
      await running.publish(ordersOf(['a+b', 'a+b+c', 'b+a', 'b', 'c']))
      await running.idle()
      expect([await reader.get('a'), await reader.get('b'), await reader.get('c')]).toEqual([
        [0],
        [0, 1, 2, 3],
        undefined,
      ])
      const letters = await running.deadLetters.list()
      expect(letters.map(({ key, parksKey, offset }) => [key, parksKey, offset])).toEqual([
        ['a', true, 1],
        ['c', true, 1],
      ])
      expect(new Set(letters.map(({ id }) => id)).size).toBe(2)
      isMended = true
      await running.deadLetters.redrive('all')
      await running.idle()
      expect([await reader.get('a'), await reader.get('c')]).toEqual([
        [0, 1, 2],
        [1, 4],
      ])
      expect(await running.deadLetters.count()).toBe(0)
    })

    it('makes an event a dead letter whose keys cannot be told, or cannot be kept', async () => {
      await using engine = await ground.open()
      const odd = view('odd', {
        events: [Placed],
        key: ({ data }) => {
          if (data.n === 1) throw new RangeError('no keys')
          if (data.n === 2) return ['a', '']
          if (data.n === 3) return Array.from({ length: 1001 }, (_, i) => `k${i}`)
          return data.n === 4 ? ([7] as never) : ['a', 'b']
        },
        initial: 0,
        on: { Placed: (count) => count + 1 },
      })
      await using running = await app('test', { views: [odd] }).start({ engine })
      await running.publish(ordersOf(['x', 'x', 'x', 'x', 'x', 'x']))
      await running.idle()
      expect(await running.view(odd).range()).toEqual([
        { key: 'a', value: 2 },
        { key: 'b', value: 2 },
      ])
      const letters = await running.deadLetters.list()
      expect(letters.map(({ error }) => error.code ?? error.message).sort()).toEqual([
        'KEY_INVALID',
        'KEY_INVALID',
        'KEY_MISSING',
        'no keys',
      ])
    })

    it('is what the events make of it, whatever fails under which key, and through restarts', async () => {
      const keys = fc.subarray(['a', 'b', 'c', 'd', 'e'], { minLength: 1, maxLength: 4 })
      const round = fc.record({
        orders: fc.array(keys, { minLength: 1, maxLength: 30 }),
        failing: fc.array(fc.tuple(fc.nat(60), fc.constantFrom('a', 'b', 'c', 'd', 'e')), { maxLength: 4 }),
        isRestarted: fc.boolean(),
      })
      await fc.assert(
        fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 4 }), async (rounds) => {
          await using engine = await ground.open()
          await engine.topics.ensure('orders', { partitions: 1 })
          let failing: ReadonlySet<string> = new Set()
          const numbers = numbersView((n, key) => failing.has(`${n % 60} ${key}`))
          const application = app('test', { views: [numbers] })
          let running = await application.start({ engine })
          const orders: Item[] = []
          for (const one of rounds) {
            failing = new Set(one.failing.map(([n, key]) => `${n} ${key}`))
            const added = one.orders.map((some, i) => ({ id: some.join('+'), n: orders.length + i }))
            orders.push(...added)
            await running.publish(added.map((data) => Placed(data)))
            if (one.isRestarted) {
              await running.stop()
              running = await application.start({ engine })
            } else await running.idle()
          }
          await running.idle()
          failing = new Set()
          while ((await running.deadLetters.count()) > 0) {
            await running.deadLetters.redrive('all')
            await running.idle()
          }
          const found = await running.view(numbers).range()
          expect(Object.fromEntries(found.map(({ key, value }) => [key, value]))).toEqual(numbersOf(orders))
          await running.stop()
        }),
        { numRuns: ground.runs(40) },
      )
    }, 120_000)
  })
}
