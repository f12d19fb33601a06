import { expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import type { StateWrite } from '../engine/index.ts'
import { forgottenNamespace } from './inline-notes.ts'
import { dropGraceMs, finishDrops } from './view-drops.ts'
import { dropWrites } from './view-register.ts'

const droppedMs = 1_800_000_000_000
const namespace = 'view:shop.counts:v1'

it('what is kept of a copy stays for a minute, then goes page by page, and goes on where it was ended', async () => {
  await using engine = await embedded({ path: ':memory:' }).open()
  const keys = Array.from({ length: 1200 }, (_, n) => `k${n}`)
  await engine.commit({ state: keys.map((key): StateWrite => ({ kind: 'set', namespace, key, value: 1 })) })
  const copy = { version: 1, build: 1, inline: false }
  await engine.commit({ state: [...dropWrites('shop', 'counts', copy, droppedMs)] })

  const early = await finishDrops(engine, 'shop', { nowMs: droppedMs + dropGraceMs - 1 })
  expect(early).toEqual({ nextMs: droppedMs + dropGraceMs, isHeld: false })
  expect(await engine.state.count(namespace)).toBe(1200)

  const end = new AbortController()
  const writeCounts: number[] = []
  const commit = engine.commit.bind(engine)
  engine.commit = async (batch, options) => {
    writeCounts.push(batch.state?.length ?? 0)
    const outcome = await commit(batch, options)
    if (writeCounts.length === 1) end.abort(new Error('stop'))
    return outcome
  }
  const nowMs = droppedMs + dropGraceMs
  await expect(finishDrops(engine, 'shop', { nowMs, signal: end.signal })).rejects.toThrow('stop')
  const leftCount = await engine.state.count(namespace)
  expect(leftCount).toBeGreaterThan(0)
  expect(leftCount).toBeLessThan(1200)

  expect(await finishDrops(engine, 'shop', { nowMs })).toEqual({ nextMs: undefined, isHeld: false })
  expect(Math.max(...writeCounts)).toBeLessThanOrEqual(500)
  expect(await engine.state.namespaces()).toEqual([])
})

it('what counted the keys that an inline copy forgot goes with it', async () => {
  await using engine = await embedded({ path: ':memory:' }).open()
  await engine.commit({
    state: [namespace, forgottenNamespace(namespace)].map(
      (one): StateWrite => ({ kind: 'set', namespace: one, key: 'k', value: null }),
    ),
  })
  await engine.commit({ state: [...dropWrites('shop', 'counts', { version: 1, build: 1, inline: true }, droppedMs)] })
  await finishDrops(engine, 'shop', { nowMs: droppedMs + dropGraceMs })
  expect(await engine.state.namespaces()).toEqual(['inline-views'])
})
