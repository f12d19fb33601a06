import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { View } from '../domain/index.ts'
import { DiskFullError } from '../embedded/index.ts'
import { VirtualClock } from '../kernel/index.ts'
import { deadLettersOf, none, on, publish, type RetryPolicy } from '../runtime/index.ts'
import {
  clockFaster,
  engineWith,
  gate,
  memoryEngine,
  numbersByKey,
  Paid,
  Placed,
  placedCounts,
  startHandlers,
  withCommits,
} from './app.test-support.ts'
import { type App, app, service } from './index.ts'

describe('a dead letter that is asked for while its partition is given away', () => {
  it.each(['redrive', 'discard'] as const)('leaves nothing waiting behind it: %s', async (door) => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 2 })
    const keys = Array.from({ length: 8 }, (_, i) => `k${i}`)
    let isBad = true
    const handler = on(Placed, { name: 'h', retry: none, onDeadLetter: 'park-key' }, ({ data }) => {
      if (isBad && data.n === 0) throw new Error('bad')
      return publish(Paid(data))
    })
    const [looked, isLookedUp, isHeld, isReleased] = [gate(), gate(), gate(), gate()]
    let isAsked = false
    let holdsNext = false
    const slow = engineWith(engine, 'state', {
      get: async (namespace: string, key: string) => {
        const found = await engine.state.get(namespace, key)
        if (isAsked && namespace.startsWith('dead-letters')) {
          looked.open()
          await isLookedUp.opened
        }
        return found
      },
    })
    const slower = withCommits(slow, async () => {
      if (!holdsNext) return
      holdsNext = false
      isHeld.open()
      await isReleased.opened
    })
    await using first = await startHandlers([handler], { engine: slower })
    await first.publish(keys.flatMap((id) => [0, 1].map((n) => Placed({ id, n }))))
    await first.idle()
    expect(await engine.state.count('parked-keys:test.s.h')).toBe(keys.length)
    isBad = false
    isAsked = true
    const letters = deadLettersOf(engine, 'test')
    const ofTheLast = (await letters.list()).filter(({ partition }) => partition === 1)
    await letters[door](ofTheLast[0]?.id ?? '')
    await looked.opened
    // What is under way holds the partitions up that the next member gets.
    holdsNext = true
    await engine.commit({ publish: [{ topic: 'orders', messages: [Placed({ id: 'other', n: 1 })] }] })
    await isHeld.opened
    const joining = startHandlers([handler], { engine })
    await pause(50)
    isLookedUp.open()
    await pause(50)
    isReleased.open()
    await using second = await joining
    await letters[door]('all')
    await Promise.all([first.idle(), second.idle()])
    const expected = Object.fromEntries(keys.map((id) => [id, door === 'redrive' ? [0, 1] : [1]]))
    expect(await numbersByKey(engine, 'payments')).toEqual({ ...expected, other: [1] })
    expect(await engine.state.count('parked-keys:test.s.h')).toBe(0)
    expect(await letters.count()).toBe(0)
  })
})

describe('a dead letter that is discarded on a full disk', () => {
  it('leaves nothing waiting, whenever there is room again', async () => {
    await using engine = await memoryEngine()
    let isFull = false
    let refusals = 0
    const full = withCommits(engine, ({ state = [] }) => {
      const isUnparking = state.some(({ namespace, kind }) => kind === 'delete' && namespace.startsWith('parked-keys:'))
      if (!isFull || !isUnparking) return
      if (++refusals === 3) isFull = false
      throw new DiskFullError('test')
    })
    const handler = on(Placed, { name: 'h', retry: none, onDeadLetter: 'park-key' }, ({ data }) => {
      if (data.n === 0) throw new Error('bad')
      return publish(Paid(data))
    })
    await using running = await startHandlers([handler], { engine: full, clock: clockFaster(1000) })
    await running.publish([0, 1].map((n) => Placed({ id: 'a', n })))
    await running.idle()
    isFull = true
    await running.deadLetters.discard('all')
    await running.idle()
    await running.publish(Placed({ id: 'a', n: 2 }))
    await running.idle()
    expect(refusals).toBe(3)
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [1, 2] })
    expect(await engine.state.count('parked-keys:test.s.h')).toBe(0)
  })
})

describe('a dead letter that another process asks for while an app starts', () => {
  it('is taken up once it has', async () => {
    await using engine = await memoryEngine()
    let isBad = true
    const handler = on(Placed, { name: 'h', retry: none }, ({ data }) => {
      if (isBad) throw new Error('bad')
      return publish(Paid(data))
    })
    const shop = (views: readonly View[]): App => app('test', { services: [service('s', [handler])], views })
    {
      await using running = await shop([]).start({ engine })
      await running.publish(Placed({ id: 'a', n: 1 }))
      await running.idle()
    }
    isBad = false
    const [isLooking, goesOn] = [gate(), gate()]
    const slow = engineWith(engine, 'state', {
      get: async (namespace: string, key: string) => {
        if (namespace === 'views') {
          isLooking.open()
          await goesOn.opened
        }
        return engine.state.get(namespace, key)
      },
    })
    const starting = shop([placedCounts(1)]).start({ engine: slow })
    await isLooking.opened
    await deadLettersOf(engine, 'test').redrive('all')
    goesOn.open()
    await using running = await starting
    while ((await running.deadLetters.count()) > 0) await pause(5)
    expect(await numbersByKey(engine, 'payments')).toEqual({ a: [1] })
  })
})

describe('a message that waited behind a dead letter and is to be tried again later', () => {
  it('holds up nobody who takes the partition over, and is tried there', async () => {
    const clock = new VirtualClock(0)
    await using engine = await memoryEngine({ clock })
    await engine.topics.ensure('orders', { partitions: 2 })
    const keys = Array.from({ length: 8 }, (_, i) => `k${i}`)
    let badNumbers: readonly number[] = [0]
    const tried: number[] = []
    const retry: RetryPolicy = {
      description: 'an hour later, but for the first message',
      delayMs: () => (badNumbers.includes(0) ? undefined : 3_600_000),
    }
    const handler = on(Placed, { name: 'h', retry, onDeadLetter: 'park-key' }, ({ data }) => {
      tried.push(data.n)
      if (badNumbers.includes(data.n)) throw new Error('bad')
      return publish(Paid(data))
    })
    await using first = await startHandlers([handler], { engine, clock })
    await first.publish(keys.flatMap((id) => [0, 1].map((n) => Placed({ id, n }))))
    await first.idle()
    badNumbers = [1]
    tried.length = 0
    await first.deadLetters.redrive('all')
    while (tried.filter((n) => n === 1).length < keys.length) await clock.advance(1)
    badNumbers = []
    // No time passes that anybody could wait for.
    await using second = await startHandlers([handler], { engine, clock })
    const membersWithClaims = async (): Promise<number> =>
      (await engine.groups.describe('test.s.h'))?.members.filter(({ claims }) => claims.length === 1).length ?? 0
    while ((await membersWithClaims()) < 2) await clock.advance(0)
    await clock.advance('2h')
    await Promise.all([first.idle(), second.idle()])
    expect(await numbersByKey(engine, 'payments')).toEqual(Object.fromEntries(keys.map((id) => [id, [0, 1]])))
  })
})
