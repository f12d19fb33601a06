import { describe, expect, it } from 'vitest'
import { DiskFullError } from '../embedded/index.ts'
import type { CommitOutcome, Engine, WriteBatch } from '../engine/index.ts'
import { SeededRandom, VirtualClock } from '../kernel/index.ts'
import { type Item, memoryEngine, Placed } from './app.test-support.ts'
import { embeddedGround } from './app-ground.test-support.ts'
import { app } from './index.ts'
import { numbersOf, numbersView, testSeveralKeys } from './several-keys-cases.test-support.ts'

/** The engine, but some commits are refused before they reach it. */
function refusing(engine: Engine, refuse: (batch: WriteBatch) => CommitOutcome | undefined): Engine {
  return new Proxy(engine, {
    get: (target, name) => {
      if (name === 'commit') return async (batch: WriteBatch) => refuse(batch) ?? target.commit(batch)
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

function orderIds(random: SeededRandom, count: number): readonly Item[] {
  return Array.from({ length: count }, (_, n) => {
    const keys = ['a', 'b', 'c', 'd'].filter(() => random.nextFloat() < 0.4)
    return { id: keys.length === 0 ? 'none' : keys.join('+'), n }
  })
}

describe('on the embedded engine', () => {
  testSeveralKeys(embeddedGround())

  it.each([1, 2, 3, 4, 5])(
    'each event counts once, in order, whatever the engine refuses for a while (seed %i)',
    async (seed) => {
      const random = new SeededRandom(seed)
      const clock = new VirtualClock()
      await using engine = await memoryEngine()
      await engine.topics.ensure('orders', { partitions: 1 })
      let refusals = 0
      const unreliable = refusing(engine, (batch) => {
        const { progress = [] } = batch
        if (progress.length === 0 || random.nextFloat() > 0.3) return undefined
        const kind = random.nextFloat()
        // Nobody else changes what waits.
        if (kind >= 0.5 && progress.every(({ done }) => done.length === 0)) return undefined
        refusals++
        if (kind < 0.4) throw new DiskFullError('test')
        // As if it were about what the batch holds: they are then committed one by one.
        if (kind < 0.5) throw new TypeError('not now')
        return { ok: false, conflict: { kind: 'revision', namespace: 'n', key: 'k', expected: 1, actual: 2 } }
      })
      const failing = new Set(Array.from({ length: 10 }, () => Math.floor(random.nextFloat() * 300)))
      let isMended = false
      const numbers = numbersView((n, key) => !isMended && key === 'b' && failing.has(n))
      await using running = await app('test', { views: [numbers] }).start({ engine: unreliable, clock })
      const orders = orderIds(random, 300)
      for (let start = 0; start < orders.length; start += 20) {
        const messages = orders.slice(start, start + 20).map((data) => Placed(data))
        await engine.commit({ publish: [{ topic: 'orders', messages }] })
        await clock.advance('300ms')
      }
      const idle = async (): Promise<void> => {
        let isIdle = false
        const done = running.idle().then(() => {
          isIdle = true
        })
        while (!isIdle) await clock.advance('200ms')
        await done
      }
      await idle()
      expect(refusals).toBeGreaterThan(1)
      isMended = true
      for (let round = 0; (await running.deadLetters.count()) > 0 && round < 100; round++) {
        await running.deadLetters.redrive('all')
        await idle()
      }
      const found = await running.view(numbers).range()
      expect(Object.fromEntries(found.map(({ key, value }) => [key, value]))).toEqual(numbersOf(orders))
    },
  )

  it('what the engine never takes becomes a dead letter of each of its keys, in nobody else’s way', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 1 })
    let isPicky = true
    const picky = refusing(engine, (batch) => {
      if (isPicky && (batch.state ?? []).some((write) => 'key' in write && write.key === 'bad')) {
        throw new TypeError('not this one')
      }
      return undefined
    })
    const numbers = numbersView()
    await using running = await app('test', { views: [numbers] }).start({ engine: picky })
    const orders = ['a+b', 'a+bad', 'b+a', 'b'].map((id, n) => ({ id, n }))
    await running.publish(orders.map((data) => Placed(data)))
    await running.idle()
    const reader = running.view(numbers)
    expect([await reader.get('a'), await reader.get('b')]).toEqual([[0], [0, 2, 3]])
    const letters = await running.deadLetters.list()
    expect(letters.map(({ key, error }) => [key, error.message])).toEqual([
      ['a', 'not this one'],
      ['bad', 'not this one'],
    ])
    isPicky = false
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(Object.fromEntries((await reader.range()).map(({ key, value }) => [key, value]))).toEqual(numbersOf(orders))
  })
})
