import { describe, expect, it } from 'vitest'
import type { StateEntry, StateStore } from '../engine/index.ts'
import { StateCache } from './state-cache.ts'

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
    const cache = new StateCache(storeOf(values), 'n')
    await cache.load(['a', 'b'])
    expect(cache.get('a')).toMatchObject({ value: 1, revision: 3 })
    expect(cache.get('b')).toMatchObject({ value: undefined, revision: 0 })
    const entry = cache.get('a')
    if (entry !== undefined) entry.value = 2
    await cache.load(['a'])
    expect(cache.get('a')?.value).toBe(2)
    await cache.reload('a')
    expect(cache.get('a')?.value).toBe(1)
  })

  it('is bounded, but keeps what is pending and what was used', async () => {
    const store = storeOf(new Map())
    const cache = new StateCache(store, 'n')
    const keys = Array.from({ length: 60_000 }, (_, index) => `k${index}`)
    await cache.load(keys)
    const pending = cache.get('k0')
    if (pending !== undefined) pending.pendingCount = 1
    cache.trim()
    expect(cache.size).toBeLessThanOrEqual(50_000)
    expect(cache.has('k0')).toBe(true)
  })

  it('holds fewer keys when values are large', async () => {
    const large = 'x'.repeat(100_000)
    const keys = Array.from({ length: 1000 }, (_, index) => `k${index}`)
    const cache = new StateCache(storeOf(new Map(keys.map((key) => [key, { key, value: large, revision: 1 }]))), 'n')
    await cache.load(keys)
    cache.trim()
    expect(cache.size).toBeLessThan(400)
  })

  it('forgets what is settled when another member may change it', async () => {
    const cache = new StateCache(storeOf(new Map()), 'n')
    await cache.load(['a', 'b'])
    const pending = cache.get('a')
    if (pending !== undefined) pending.pendingCount = 1
    cache.forgetSettled()
    expect([cache.has('a'), cache.has('b')]).toEqual([true, false])
  })
})
