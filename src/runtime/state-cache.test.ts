import { describe, expect, it } from 'vitest'
import type { StateEntry, StateStore } from '../engine/index.ts'
import { StateCache } from './state-cache.ts'

const claim = { group: 'g', topic: 't', partition: 0, epoch: 1 }

/** The two calls of a state store that the cache makes, answered from a map. */
function storeOf(values: Map<string, StateEntry>): StateStore & { readonly asked: string[] } {
  const asked: string[] = []
  const store = {
    asked,
    get: async (_namespace: string, key: string) => values.get(key),
    getMany: async (_namespace: string, keys: readonly string[]) => {
      asked.push(...keys)
      return keys.map((key) => values.get(key))
    },
  }
  return store as unknown as StateStore & { readonly asked: string[] }
}

describe('the state cache', () => {
  it('reads through, knows of keys without state, and never replaces what is newer', async () => {
    const values = new Map([['a', { key: 'a', value: 1, revision: 3 }]])
    const cache = new StateCache(storeOf(values), 'n', false)
    await cache.load(['a', 'b'], claim)
    expect(cache.get('a', claim)).toMatchObject({ value: 1, revision: 3 })
    expect(cache.get('b', claim)).toMatchObject({ value: undefined, revision: 0 })
    const entry = cache.get('a', claim)
    if (entry !== undefined) entry.value = 2
    await cache.load(['a'], claim)
    expect(cache.get('a', claim)?.value).toBe(2)
    await cache.reload('a', claim)
    expect(cache.get('a', claim)?.value).toBe(1)
  })

  it('keeps the states of a key apart that comes from two partitions, where each has one', async () => {
    const other = { ...claim, partition: 1 }
    const cache = new StateCache(storeOf(new Map([['a', { key: 'a', value: 1, revision: 1 }]])), 'n', true)
    await cache.load(['a'], claim)
    expect([cache.has('a', claim), cache.has('a', other)]).toEqual([true, false])
    await cache.load(['a'], other)
    const entry = cache.get('a', other)
    if (entry !== undefined) entry.value = 2
    expect(cache.get('a', claim)?.value).toBe(1)
  })

  it('is bounded, but keeps what is pending and what was used', async () => {
    const store = storeOf(new Map())
    const cache = new StateCache(store, 'n', false)
    const keys = Array.from({ length: 60_000 }, (_, index) => `k${index}`)
    await cache.load(keys, claim)
    const pending = cache.get('k0', claim)
    if (pending !== undefined) pending.pendingCount = 1
    cache.trim()
    expect(cache.size).toBeLessThanOrEqual(50_000)
    expect(cache.has('k0', claim)).toBe(true)
  })

  it('holds fewer keys when values are large', async () => {
    const large = 'x'.repeat(100_000)
    const keys = Array.from({ length: 1000 }, (_, index) => `k${index}`)
    const cache = new StateCache(
      storeOf(new Map(keys.map((key) => [key, { key, value: large, revision: 1 }]))),
      'n',
      false,
    )
    await cache.load(keys, claim)
    cache.trim()
    expect(cache.size).toBeLessThan(400)
  })

  it('forgets what is settled when another member may change it', async () => {
    const cache = new StateCache(storeOf(new Map()), 'n', false)
    await cache.load(['a', 'b'], claim)
    const pending = cache.get('a', claim)
    if (pending !== undefined) pending.pendingCount = 1
    cache.forgetSettled()
    expect([cache.has('a', claim), cache.has('b', claim)]).toEqual([true, false])
  })
})
